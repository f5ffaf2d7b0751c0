//! Batches on a device hold what batches in memory hold. One body for all devices: the CPU always, a GPU where there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, UInt8Array};
use arrow::datatypes::DataType;
use candle_core::{DType, Device, Tensor};

use super::gallery::*;
use crate::loader::*;
use crate::query::Params;
use crate::repo::Repo;

/// 61 rows; with damage, two have no picture that can be decoded.
fn table(dir: &std::path::Path, is_damaged: bool) -> Arc<Repo> {
    let rows = (0..61).map(|id| match id {
        7 if is_damaged => Row { picture: row(id).picture.map(|file| file[..40].to_vec()), ..row(id) },
        20 if is_damaged => Row { picture: None, ..row(id) },
        _ => row(id),
    });
    made(dir, &rows.collect::<Vec<_>>())
}

fn all(repo: &Repo) -> Selection {
    Selection::of_table(repo, "main", "pictures", None).unwrap()
}

/// The numbers of a tensor, in memory again.
fn back(tensor: &Tensor) -> ArrayRef {
    let flat = tensor.flatten_all().unwrap();
    match flat.dtype() {
        DType::U8 => Arc::new(UInt8Array::from(flat.to_vec1::<u8>().unwrap())),
        DType::I32 => Arc::new(Int32Array::from(flat.to_vec1::<i32>().unwrap())),
        DType::I64 => Arc::new(Int64Array::from(flat.to_vec1::<i64>().unwrap())),
        DType::F32 => Arc::new(Float32Array::from(flat.to_vec1::<f32>().unwrap())),
        DType::F64 => Arc::new(Float64Array::from(flat.to_vec1::<f64>().unwrap())),
        other => panic!("{other:?}"),
    }
}

/// Compares a batch on a device with the same one in memory, value for value.
fn same(on_device: &DeviceBatch, in_memory: &Batch) {
    assert_eq!((on_device.epoch, on_device.is_last, on_device.valid), (in_memory.epoch, in_memory.is_last, in_memory.valid));
    assert_eq!((&on_device.rows, on_device.fields.len()), (&in_memory.rows, in_memory.fields.len()));
    for (there, here) in on_device.fields.iter().zip(&in_memory.fields) {
        assert_eq!((&there.name, &there.mask), (&here.name, &here.mask));
        match (&there.data, &here.data) {
            (DeviceData::Tensor { tensor, lengths }, Data::Tensor { values, shape, lengths: expected }) => {
                assert_eq!((tensor.dims(), lengths), (shape.as_slice(), expected), "{}", there.name);
                assert_eq!(&back(tensor), values, "{}", there.name);
            }
            (DeviceData::Lists { values, offsets }, Data::Lists { values: expected, offsets: ends }) => {
                assert_eq!((&back(values), offsets), (expected, ends));
            }
            (DeviceData::Text(there), Data::Text(here)) => assert_eq!(there, here),
            (DeviceData::Bytes(there), Data::Bytes(here)) => assert_eq!(there, here),
            (there, here) => panic!("{there:?} is not {here:?}"),
        }
    }
}

/// All that is promised of a device. `is_late`: floats are made on it.
fn promises(device: &Device, is_late: bool) {
    let dir = tempfile::tempdir().unwrap();
    let repo = table(dir.path(), false);
    let load = |options: &Options| DeviceLoader::with(all(&repo), options.clone(), device, is_late).unwrap();
    let images = options().images.unwrap();
    let normalize = Some(Normalize { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] });
    let rgb = |layout| Images { layout, normalize, ..images.clone() };
    let gray = Images { channels: Channels::Gray, normalize, ..images.clone() };
    let mut compared = 0;
    for images in [Some(images.clone()), Some(rgb(Layout::Chw)), Some(rgb(Layout::Hwc)), Some(gray), None] {
        for (last, lists) in [(LastBatch::Short, Lists::Longest), (LastBatch::Pad, Lists::Ragged), (LastBatch::Drop, Lists::Length(5))] {
            let options = Options { images: images.clone(), last, lists, ..options() };
            let mut there = load(&options);
            for here in Loader::new(all(&repo), options).unwrap() {
                same(&there.next().unwrap().unwrap(), &here.unwrap());
                compared += 1;
            }
            assert!(there.next().is_none());
        }
    }
    assert_eq!(compared, 5 * 2 * (6 + 6 + 5));

    // Floats of pictures that cannot be decoded are zeros, wherever they are made.
    let hurt = tempfile::tempdir().unwrap();
    let damaged = table(hurt.path(), true);
    let options = Options { images: Some(rgb(Layout::Chw)), last: LastBatch::Pad, bad_rows: BadRows::Null, ..options() };
    let mut there = DeviceLoader::with(all(&damaged), options.clone(), device, is_late).unwrap();
    let mut masks = 0;
    for here in Loader::new(all(&damaged), options.clone()).unwrap() {
        let here = here.unwrap();
        masks += here.fields.iter().filter(|field| field.mask.is_some()).count();
        same(&there.next().unwrap().unwrap(), &here);
    }
    assert!(masks >= 2, "{masks}");

    // Batches of an epoch; the state of what was delivered, though more was brought; resumed from there.
    let options = Options { bad_rows: BadRows::Stop, last: LastBatch::Short, ..options };
    let mut there = load(&options);
    assert_eq!((there.batches_an_epoch(), there.labels("label").unwrap().len(), there.selection().rows()), (6, 2, 61));
    assert_eq!(there.epoch().unwrap().map(Result::unwrap).map(|batch| (batch.epoch, batch.valid)).collect::<Vec<_>>().len(), 6);
    assert_eq!((there.state().epoch, there.state().delivered), (1, 0));
    there.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let state = there.state();
    assert_eq!((state.epoch, state.delivered), (1, 12));
    assert_eq!((there.report().samples, there.report().batches), (73, 7));
    let rest: Vec<DeviceBatch> = load(&Options { resume: Some(state), ..options.clone() }).map(Result::unwrap).collect();
    assert_eq!(rest.len(), 5);
    for (resumed, going_on) in rest.iter().zip(there.by_ref()) {
        assert_eq!(resumed.rows, going_on.unwrap().rows);
        assert!(resumed.tensor("picture").is_some() && resumed.tensor("caption").is_none());
    }
    assert!(there.next().is_none() && there.epoch().is_none());

    // A fault comes in the place of its batch, and nothing after it.
    let mut faulty = DeviceLoader::with(all(&damaged), Options { seed: None, ..options.clone() }, device, is_late).unwrap();
    let error = faulty.next().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("column 'picture' of row "), "{error}");
    assert!(faulty.next().is_none());
    // Options are looked at before anything is done on the device.
    let wrong = Images { normalize: Some(Normalize { std: [0.0; 3], ..Normalize::default() }), ..images };
    assert!(
        DeviceLoader::with(all(&repo), Options { images: Some(wrong), ..options.clone() }, device, is_late)
            .err()
            .unwrap()
            .to_string()
            .contains("deviation of 0")
    );
    // Dropped in the midst of it, it ends at once.
    let started = Instant::now();
    let mut dropped = load(&Options { epochs: 1 << 30, ..options });
    dropped.next().unwrap().unwrap();
    drop(dropped);
    assert!(started.elapsed() < Duration::from_secs(10));
}

/// Numbers of any type, and none at all.
fn types(device: &Device) {
    let dir = tempfile::tempdir().unwrap();
    let repo = made(dir.path(), &(0..20).map(row).collect::<Vec<_>>());
    let sql = "SELECT id, CAST(id AS SMALLINT) AS small, CAST(id AS REAL) AS real, CAST(id AS DOUBLE) / 3 AS double, id % 2 = 0 AS even, tags FROM pictures WHERE id % 4 = 0";
    let selection = Selection::of_query(&repo, "main", sql, &Params::new()).unwrap();
    let options = Options { batch: 4, ..Options::default() };
    let mut there = DeviceLoader::new(selection.clone(), options.clone(), device).unwrap();
    let here = Loader::new(selection, options).unwrap().next().unwrap().unwrap();
    let batch = there.next().unwrap().unwrap();
    for (name, ty) in [("id", DType::I64), ("small", DType::I16), ("real", DType::F32), ("double", DType::F64), ("even", DType::U8)] {
        let tensor = batch.tensor(name).unwrap();
        assert_eq!((tensor.dtype(), tensor.dims()), (ty, &[4][..]), "{name}");
        let numbers = tensor.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
        let Data::Tensor { values, .. } = &here.field(name).unwrap().data else { panic!("{name}") };
        assert_eq!(&(Arc::new(Float64Array::from(numbers)) as ArrayRef), &arrow::compute::cast(values, &DataType::Float64).unwrap(), "{name}");
    }
    // Every fourth row has no tags.
    assert!(matches!(&batch.field("tags").unwrap().data, DeviceData::Lists { values, offsets } if values.dims() == [0] && offsets == &[0; 5]));
}

#[test]
fn on_the_cpu() {
    promises(&Device::Cpu, false);
    promises(&Device::Cpu, true);
    types(&Device::Cpu);
}

#[test]
fn on_a_gpu() {
    let device = if cfg!(feature = "cuda") { device("cuda").map_err(|e| e.to_string()) } else { Err("this build is without the feature `cuda`".to_owned()) };
    match device {
        Ok(device) => {
            promises(&device, true);
            types(&device);
        }
        Err(why) => {
            assert!(std::env::var_os("DSV_REQUIRE_CUDA").is_none(), "required, yet skipped: {why}");
            println!("skipped: cuda: {why}");
        }
    }
}
