//! Fields as candle's tensors.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt8Array};
use arrow::compute::cast;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt32Type};
use candle_core::{Device, Tensor, WithDType};

use super::LoaderError;
use super::field::{Data, Field};

/// A device by its name: `cpu`, or `cuda` or `cuda:1` in a build that has CUDA.
pub fn device(name: &str) -> Result<Device, LoaderError> {
    let fail = |e: candle_core::Error| LoaderError::Device(format!("there is no device '{name}': {}", line(&e)));
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", "0") => Ok(Device::Cpu),
        ("cuda", number) => {
            let number = number.parse().map_err(|_| LoaderError::Device(format!("'{name}' names no device: write cuda or cuda:1")))?;
            Device::new_cuda(number).map_err(fail)
        }
        _ => Err(LoaderError::Device(format!("'{name}' names no device: write cpu, cuda or cuda:1"))),
    }
}

impl Field {
    /// The numbers as a tensor on a device, the batch first. Types that candle lacks become int64. Fails for texts, bytes and lists of different lengths.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor, LoaderError> {
        let no = |what: &str| Err(LoaderError::Device(format!("column '{}' holds {what}", self.name)));
        match &self.data {
            Data::Tensor { values, shape, .. } => tensor(values, shape, device),
            Data::Lists { .. } => no("lists of different lengths: pad them (Lists::Longest, Lists::Length) to have one tensor"),
            Data::Text(_) => no("texts, which are no tensor"),
            Data::Bytes(_) => no("bytes, which are no tensor: pictures are decoded where images are given"),
        }
    }

    /// 1 for rows that could be loaded, 0 for the others, as a tensor of bytes; all 1 without a mask.
    pub fn mask_tensor(&self, rows: usize, device: &Device) -> Result<Tensor, LoaderError> {
        let ones: Vec<u8> = (0..rows).map(|row| u8::from(self.mask.as_ref().is_none_or(|mask| row < mask.len() && mask.value(row)))).collect();
        tensor(&(Arc::new(UInt8Array::from(ones)) as ArrayRef), &[rows], device)
    }
}

/// Candle's errors have the stack below the first line.
fn line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

pub(super) fn fault(error: candle_core::Error) -> LoaderError {
    LoaderError::Device(line(&error))
}

/// Numbers that candle has as well.
#[cfg(not(feature = "cuda"))]
pub(super) trait Numbers: WithDType {}
#[cfg(not(feature = "cuda"))]
impl<T: WithDType> Numbers for T {}
/// Numbers that candle has as well, on the GPU too.
#[cfg(feature = "cuda")]
pub(super) trait Numbers: WithDType + candle_core::cuda_backend::CudaDType + candle_core::cuda_backend::cudarc::driver::DeviceRepr {}
#[cfg(feature = "cuda")]
impl<T: WithDType + candle_core::cuda_backend::CudaDType + candle_core::cuda_backend::cudarc::driver::DeviceRepr> Numbers for T {}

/// What makes a tensor of an array, whatever the type of its numbers.
pub(super) trait Typed {
    fn run<T: ArrowPrimitiveType<Native: Numbers>>(self, values: &ArrayRef) -> Result<Tensor, LoaderError>;
}

/// Has a tensor made of an array in its own type or, where candle lacks that, as int64.
pub(super) fn typed(values: &ArrayRef, make: impl Typed) -> Result<Tensor, LoaderError> {
    match values.data_type() {
        DataType::UInt8 => make.run::<UInt8Type>(values),
        DataType::UInt32 => make.run::<UInt32Type>(values),
        DataType::Int16 => make.run::<Int16Type>(values),
        DataType::Int32 => make.run::<Int32Type>(values),
        DataType::Int64 => make.run::<Int64Type>(values),
        DataType::Float16 => make.run::<Float16Type>(values),
        DataType::Float32 => make.run::<Float32Type>(values),
        DataType::Float64 => make.run::<Float64Type>(values),
        _ => {
            let wide = cast(values, &DataType::Int64)?;
            if wide.null_count() > 0 {
                return Err(LoaderError::Device("a number is too large for int64, the widest that candle has".into()));
            }
            make.run::<Int64Type>(&wide)
        }
    }
}

/// A tensor of the numbers, as candle copies them.
pub(super) fn tensor(values: &ArrayRef, shape: &[usize], device: &Device) -> Result<Tensor, LoaderError> {
    struct Slice<'a>(&'a [usize], &'a Device);
    impl Typed for Slice<'_> {
        fn run<T: ArrowPrimitiveType<Native: Numbers>>(self, values: &ArrayRef) -> Result<Tensor, LoaderError> {
            Tensor::from_slice(values.as_primitive::<T>().values(), self.0, self.1).map_err(fault)
        }
    }
    typed(values, Slice(shape, device))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float32Array, Int8Array, Int64Array, StringArray, UInt64Array};
    use arrow::buffer::BooleanBuffer;

    use super::*;

    fn field(values: ArrayRef, shape: &[usize]) -> Field {
        Field { name: "x".into(), data: Data::Tensor { values, shape: shape.to_vec(), lengths: None }, mask: None }
    }

    #[test]
    fn numbers_keep_their_type_where_candle_has_it() {
        let tensor = field(Arc::new(Float32Array::from(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0])), &[2, 3]).to_tensor(&Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec2::<f32>().unwrap(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let tensor = field(Arc::new(UInt8Array::from(vec![7, 255])), &[2]).to_tensor(&Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec1::<u8>().unwrap(), [7, 255]);
        for narrow in [Arc::new(Int8Array::from(vec![-3, 4])) as ArrayRef, Arc::new(Int64Array::from(vec![-3, 4]))] {
            assert_eq!(field(narrow, &[2]).to_tensor(&Device::Cpu).unwrap().to_vec1::<i64>().unwrap(), [-3, 4]);
        }
        assert!(field(Arc::new(UInt64Array::from(vec![u64::MAX])), &[1]).to_tensor(&Device::Cpu).unwrap_err().to_string().contains("too large"));
    }

    #[test]
    fn what_is_no_tensor_says_so() {
        let text = Field { name: "caption".into(), data: Data::Text(StringArray::from(vec!["a"])), mask: None };
        assert_eq!(text.to_tensor(&Device::Cpu).unwrap_err().to_string(), "column 'caption' holds texts, which are no tensor");
        let lists = Field { data: Data::Lists { values: Arc::new(Int64Array::from(vec![1])), offsets: vec![0, 1] }, ..text };
        assert!(lists.to_tensor(&Device::Cpu).unwrap_err().to_string().contains("pad them"));
        let mask = Field { mask: Some(BooleanBuffer::from(vec![true, false])), ..lists };
        assert_eq!(mask.mask_tensor(3, &Device::Cpu).unwrap().to_vec1::<u8>().unwrap(), [1, 0, 0]);
    }

    #[test]
    fn devices_have_names() {
        assert!(device("cpu").is_ok());
        for (name, why) in [("gpu", "names no device"), ("cuda:x", "names no device"), ("cpu:1", "names no device")] {
            assert!(device(name).unwrap_err().to_string().contains(why), "{name}");
        }
        assert!(device("cuda").unwrap_err().to_string().starts_with("there is no device 'cuda'"));
    }
}
