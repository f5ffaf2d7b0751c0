//! Batches as tensors on a device: a thread of its own brings them there, so that the next batch is on its way while one trains.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use arrow::array::{BinaryArray, StringArray};
use arrow::buffer::BooleanBuffer;
use candle_core::{DType, Device, Tensor};

use super::batch::Batch;
use super::batches::{Epoch, Loader};
#[cfg(feature = "cuda")]
use super::cuda;
use super::field::{Data, Kind};
use super::make::Maker;
use super::pool::{Pool, message};
use super::report::{Meter, Report};
use super::tensor::{fault, tensor};
use super::{Images, Layout, LoaderError, Normalize, Options, Selection, State};

/// Batches that wait on the device to be taken, beside the one that is brought there.
const WAITING_BATCHES: usize = 1;

/// A [`Loader`] whose batches are tensors on a device.
///
/// On a GPU, pictures go over as bytes, a quarter of what floats take, and are normalised there: by the same table as on the CPU, so that each value is the same. Bytes are put into pinned
/// memory and copied on a stream of their own.
pub struct DeviceLoader {
    /// Taken when it is dropped, which ends the thread.
    batches: Option<Receiver<Message>>,
    thread: Option<JoinHandle<()>>,
    pool: Arc<Pool>,
    maker: Arc<Maker>,
    floats: Option<Floats>,
    device: Device,
    state: State,
    over: bool,
    meter: Meter,
}

/// A batch, and where the loader stands behind it.
type Message = Result<(DeviceBatch, State), LoaderError>;

/// A batch of samples on a device.
#[derive(Debug, Clone)]
pub struct DeviceBatch {
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// Whether it is the epoch's last.
    pub is_last: bool,
    /// How many samples it has; with [`LastBatch::Pad`](super::LastBatch::Pad), its fields may hold more rows, which are zeros.
    pub valid: usize,
    /// The rows of the selection that it holds.
    pub rows: Vec<u64>,
    /// Its columns, in the selection's order.
    pub fields: Vec<DeviceField>,
}

impl DeviceBatch {
    /// The field of a column.
    pub fn field(&self, name: &str) -> Option<&DeviceField> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The tensor of a column; `None` where it has none, as texts and lists have not.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match &self.field(name)?.data {
            DeviceData::Tensor { tensor, .. } => Some(tensor),
            _ => None,
        }
    }
}

/// A column of a batch on a device.
#[derive(Debug, Clone)]
pub struct DeviceField {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub data: DeviceData,
    /// With [`BadRows::Null`](super::BadRows::Null), and where a cell could not be loaded: which of the batch's rows could. The others hold zeros.
    pub mask: Option<BooleanBuffer>,
}

/// What a column of a batch holds: as [`Data`], with the numbers on a device.
#[derive(Debug, Clone)]
pub enum DeviceData {
    /// Numbers of one shape, the batch first.
    Tensor {
        /// The numbers.
        tensor: Tensor,
        /// Of padded lists: how many numbers of each row are the list's.
        lengths: Option<Vec<usize>>,
    },
    /// Lists of numbers.
    Lists {
        /// The numbers of all of them, in one dimension.
        values: Tensor,
        /// Where each list starts, and where the last one ends.
        offsets: Vec<usize>,
    },
    /// Texts, which no device has.
    Text(StringArray),
    /// Files and other bytes, which no device has.
    Bytes(BinaryArray),
}

impl DeviceLoader {
    /// Starts to load. Fails as [`Loader::new`] does, and where the device cannot be used.
    pub fn new(selection: Selection, options: Options, device: &Device) -> Result<DeviceLoader, LoaderError> {
        DeviceLoader::with(selection, options, device, !device.is_cpu())
    }

    /// `is_late`: floats of pictures are made on the device.
    pub(super) fn with(selection: Selection, mut options: Options, device: &Device, is_late: bool) -> Result<DeviceLoader, LoaderError> {
        options.check()?;
        let normalize = options.images.as_mut().filter(|_| is_late).and_then(|images| images.normalize.take());
        let floats = match (normalize, &options.images) {
            (Some(normalize), Some(images)) => Some(Floats::new(&normalize, images, device)?),
            _ => None,
        };
        let threads = options.threads;
        let loader = Loader::new(selection, options)?;
        let carrier = Carrier::new(device, loader.maker.kinds.len())?;
        let (pool, maker, state) = (loader.pool.clone(), loader.maker.clone(), loader.state());
        let meter = Meter::new(threads, maker.counters.clone());
        let (sender, batches) = sync_channel(WAITING_BATCHES);
        let thread = std::thread::Builder::new().name("dsv-carry".into()).spawn(move || carry_all(loader, carrier, &sender));
        let thread = Some(thread.map_err(|e| LoaderError::Thread(format!("it did not start: {e}")))?);
        Ok(DeviceLoader { batches: Some(batches), thread, pool, maker, floats, device: device.clone(), state, over: false, meter })
    }

    /// What is loaded.
    pub fn selection(&self) -> &Selection {
        &self.maker.selection
    }

    /// The labels of a column that comes as their numbers.
    pub fn labels(&self, column: &str) -> Option<&[String]> {
        self.maker.labels(column)
    }

    /// Batches of a whole epoch, on each rank.
    pub fn batches_an_epoch(&self) -> u64 {
        self.maker.batches_an_epoch()
    }

    /// Where it stands: behind the batch that was taken last, not the last one that was brought to the device.
    pub fn state(&self) -> State {
        self.state.clone()
    }

    /// How fast it was so far, and how long the training waited.
    pub fn report(&self) -> Report {
        self.meter.report()
    }

    /// The batches that are left of this epoch; `None` after the last epoch.
    pub fn epoch(&mut self) -> Option<Epoch<'_, DeviceBatch>> {
        let is_more = !self.over && self.state.epoch < self.maker.options.epochs;
        is_more.then(|| Epoch::new(self, |batch| batch.is_last))
    }

    /// Makes the floats of pictures that came as bytes. Here and not by the thread that brings them: what a device is told, it does in the order of the thread that tells it.
    fn finished(&self, mut batch: DeviceBatch) -> Result<DeviceBatch, LoaderError> {
        let Some(floats) = &self.floats else { return Ok(batch) };
        for (field, kind) in batch.fields.iter_mut().zip(&self.maker.kinds) {
            if let (DeviceData::Tensor { tensor, .. }, Kind::Pixels) = (&mut field.data, kind) {
                let rows = tensor.dims().first().copied().unwrap_or_default();
                let is_blank = |row: usize| row >= batch.valid || field.mask.as_ref().is_some_and(|mask| row >= mask.len() || !mask.value(row));
                let blank: Vec<u8> = (0..rows).map(|row| u8::from(is_blank(row))).collect();
                *tensor = floats.of(tensor, &blank, &self.device).map_err(fault)?;
            }
        }
        Ok(batch)
    }
}

impl Iterator for DeviceLoader {
    type Item = Result<DeviceBatch, LoaderError>;

    /// The next batch of any epoch. After a fault there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let receiver = self.batches.as_ref()?;
        let taken = self.meter.take(|| receiver.recv().ok(), |taken| Some(taken.as_ref()?.as_ref().ok()?.0.valid));
        let finished = taken.map(|taken| {
            let (batch, state) = taken?;
            self.state = state;
            self.finished(batch)
        });
        self.over = !matches!(finished, Some(Ok(_)));
        finished
    }
}

impl Drop for DeviceLoader {
    fn drop(&mut self) {
        // The thread waits for a batch, or for its last one to be taken.
        self.pool.stop();
        drop(self.batches.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Brings one batch after the other to the device, until nobody takes them any more.
fn carry_all(mut loader: Loader, mut carrier: Carrier, to: &SyncSender<Message>) {
    let carried = catch_unwind(AssertUnwindSafe(|| {
        while let Some(batch) = loader.next() {
            let carried = batch.and_then(|batch| carrier.carry(batch)).map(|batch| (batch, loader.state()));
            let is_fault = carried.is_err();
            if to.send(carried).is_err() || is_fault {
                return;
            }
        }
    }));
    if let Err(panic) = carried {
        let _ = to.send(Err(LoaderError::Thread(message(&*panic))));
    }
}

/// How numbers get to a device.
enum Carrier {
    /// As candle does it.
    Plain(Device),
    #[cfg(feature = "cuda")]
    Cuda(cuda::Carrier),
}

impl Carrier {
    /// For batches of so many fields.
    fn new(device: &Device, fields: usize) -> Result<Carrier, LoaderError> {
        match device {
            #[cfg(feature = "cuda")]
            Device::Cuda(device) => Ok(Carrier::Cuda(cuda::Carrier::new(device, fields)?)),
            _ => {
                let _ = fields;
                Ok(Carrier::Plain(device.clone()))
            }
        }
    }

    fn tensor(&mut self, values: &arrow::array::ArrayRef, shape: &[usize]) -> Result<Tensor, LoaderError> {
        match self {
            Carrier::Plain(device) => tensor(values, shape, device),
            #[cfg(feature = "cuda")]
            Carrier::Cuda(carrier) => carrier.tensor(values, shape),
        }
    }

    fn carry(&mut self, batch: Batch) -> Result<DeviceBatch, LoaderError> {
        let mut fields = Vec::with_capacity(batch.fields.len());
        for field in batch.fields {
            let data = match field.data {
                Data::Tensor { values, shape, lengths } => DeviceData::Tensor { tensor: self.tensor(&values, &shape)?, lengths },
                Data::Lists { values, offsets } => DeviceData::Lists { values: self.tensor(&values, &[values.len()])?, offsets },
                Data::Text(texts) => DeviceData::Text(texts),
                Data::Bytes(bytes) => DeviceData::Bytes(bytes),
            };
            fields.push(DeviceField { name: field.name, data, mask: field.mask });
        }
        Ok(DeviceBatch { epoch: batch.epoch, is_last: batch.is_last, valid: batch.valid, rows: batch.rows, fields })
    }
}

/// Floats of bytes, by a table of each channel's on the device.
struct Floats {
    /// 256 floats a channel, one channel after the other.
    table: Tensor,
    /// Where each channel's begin, in the shape of a picture with sides of 1.
    starts: Tensor,
}

impl Floats {
    fn new(normalize: &Normalize, images: &Images, device: &Device) -> Result<Floats, LoaderError> {
        let channels = images.channels.count();
        let numbers: Vec<f32> = normalize.floats().into_iter().take(channels).flatten().collect();
        let starts: Vec<u32> = (0..channels as u32).map(|channel| channel * 256).collect();
        let shape = match images.layout {
            Layout::Chw => [1, channels, 1, 1],
            Layout::Hwc => [1, 1, 1, channels],
        };
        let table = Tensor::from_vec(numbers, channels * 256, device).map_err(fault)?;
        Ok(Floats { table, starts: Tensor::from_vec(starts, &shape, device).map_err(fault)? })
    }

    /// The floats of pictures, and zeros for those that `blank` marks.
    fn of(&self, bytes: &Tensor, blank: &[u8], device: &Device) -> candle_core::Result<Tensor> {
        let places = bytes.to_dtype(DType::U32)?.broadcast_add(&self.starts)?;
        let floats = self.table.index_select(&places.flatten_all()?, 0)?.reshape(bytes.shape())?;
        if blank.iter().all(|blank| *blank == 0) {
            return Ok(floats);
        }
        let blank = Tensor::from_slice(blank, &[blank.len(), 1, 1, 1], device)?.broadcast_as(bytes.shape())?;
        blank.where_cond(&floats.zeros_like()?, &floats)
    }
}
