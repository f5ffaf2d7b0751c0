//! From memory to an NVIDIA GPU: through a ring of pinned buffers, on a stream of its own, so that copies go on while kernels run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, UInt8Array};
use candle_core::cuda_backend::cudarc::driver::sys::CUevent_flags;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, CudaEvent, CudaStream, DriverError, PinnedHostSlice};
use candle_core::op::BackpropOp;
use candle_core::{CudaDevice, CudaStorage, Device, Storage, Tensor};

use super::LoaderError;
use super::tensor::{Numbers, Typed, fault, tensor, typed};

/// Batches whose numbers are in the ring at once: one that is copied, and one that is put into pinned memory meanwhile.
const BATCHES: usize = 2;

/// Takes the fields of batches to a GPU, in turns.
pub(super) struct Carrier {
    device: CudaDevice,
    stream: Arc<CudaStream>,
    /// Buffers in the order in which they are used. A batch takes one a field, so each meets fields of one size.
    ring: Vec<Pinned>,
    next: usize,
}

/// Memory that the GPU reads from without the CPU's help.
struct Pinned {
    memory: PinnedHostSlice<u64>,
    /// What was last copied out of it has arrived.
    copied: CudaEvent,
}

fn driver(error: DriverError) -> LoaderError {
    LoaderError::Device(format!("the GPU's driver says: {error}"))
}

impl Carrier {
    /// For batches of so many fields.
    pub fn new(device: &CudaDevice, fields: usize) -> Result<Carrier, LoaderError> {
        // Memory is given back once the last kernel that reads it has run, which events tell.
        if !device.is_event_tracking() {
            return Err(LoaderError::Device("the device does not track events (disable_event_tracking), so that memory could be used again too early".into()));
        }
        // Of candle's own context: events of another one could not be waited for.
        let context = device.cuda_stream().context().clone();
        let stream = context.new_stream().map_err(driver)?;
        let ring = (0..fields.max(1) * BATCHES).map(|_| Pinned::new(&context, 1)).collect::<Result<_, _>>().map_err(driver)?;
        Ok(Carrier { device: device.clone(), stream, ring, next: 0 })
    }

    /// The numbers as a tensor on the device, where they arrive before whatever is done with it there.
    pub fn tensor(&mut self, values: &ArrayRef, shape: &[usize]) -> Result<Tensor, LoaderError> {
        typed(values, Copy { carrier: self, shape })
    }

    /// Into pinned memory, and on from there.
    fn copy<T: ArrowPrimitiveType<Native: Numbers>>(&mut self, values: &PrimitiveArray<T>, shape: &[usize]) -> Result<Tensor, DriverError> {
        let (stream, place) = (self.stream.clone(), self.next);
        self.next = (place + 1) % self.ring.len();
        let bytes = values.values().inner().as_slice();
        let pinned = &mut self.ring[place];
        pinned.copied.synchronize()?;
        if pinned.memory.num_bytes() < bytes.len() {
            *pinned = Pinned::new(stream.context(), bytes.len())?;
        }
        let to: &mut [u8] = bytemuck::cast_slice_mut(pinned.memory.as_mut_slice()?);
        let to = &mut to[..bytes.len()];
        to.copy_from_slice(bytes);
        // SAFETY: pinned memory is aligned to a page, and these are the bytes of so many values of T, which were just copied there.
        let numbers = unsafe { std::slice::from_raw_parts(to.as_ptr().cast::<T::Native>(), values.len()) };
        // SAFETY: all of it is written by the copy before anything reads it.
        let mut slice = unsafe { stream.alloc::<T::Native>(values.len()) }?;
        stream.memcpy_htod(numbers, &mut slice)?;
        pinned.copied.record(&stream)?;
        let storage = Storage::Cuda(CudaStorage::wrap_cuda_slice(slice, self.device.clone()));
        Ok(Tensor::from_storage(storage, shape, BackpropOp::none(), false))
    }
}

struct Copy<'a> {
    carrier: &'a mut Carrier,
    shape: &'a [usize],
}

impl Typed for Copy<'_> {
    fn run<T: ArrowPrimitiveType<Native: Numbers>>(self, values: &ArrayRef) -> Result<Tensor, LoaderError> {
        self.carrier.copy(values.as_primitive::<T>(), self.shape).map_err(driver)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        // Pinned memory is not given back while it is read.
        let _ = self.stream.synchronize();
    }
}

impl Pinned {
    fn new(context: &Arc<CudaContext>, bytes: usize) -> Result<Pinned, DriverError> {
        // Memory that the CPU reads as fast as it writes it: without the flag for the other kind.
        // SAFETY: what is read of it was written before.
        let memory = unsafe { context.alloc_pinned_with_flags(bytes.div_ceil(8), 0) }?;
        // Whoever waits for a copy sleeps, and leaves the processor to the threads that decode.
        Ok(Pinned { memory, copied: context.new_event(Some(CUevent_flags::CU_EVENT_BLOCKING_SYNC))? })
    }
}

/// How fast a GPU gets bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CopyRates {
    /// From pinned memory, in bytes a second: how long the GPU is at it.
    pub pinned: f64,
    /// The same with the copy into that memory before, as the loader does it.
    pub staged: f64,
    /// From any memory, as `Tensor::from_slice` does it, in bytes a second.
    pub plain: f64,
}

/// Measures copies of `bytes` to a GPU, `rounds` of each kind in turns.
pub fn copy_rates(device: &Device, bytes: usize, rounds: u32) -> Result<CopyRates, LoaderError> {
    let Device::Cuda(cuda) = device else { return Err(LoaderError::Device("copies are measured to a CUDA device".into())) };
    let values: ArrayRef = Arc::new(UInt8Array::from(vec![7u8; bytes]));
    let mut carrier = Carrier::new(cuda, 1)?;
    let timed = || cuda.cuda_stream().context().new_event(Some(CUevent_flags::CU_EVENT_DEFAULT)).map_err(driver);
    let (before, after) = (timed()?, timed()?);
    let (mut pinned, mut staged, mut plain) = (0.0, Duration::ZERO, Duration::ZERO);
    // The first round of each gets the memory.
    for round in 0..=rounds {
        let started = Instant::now();
        let sent = carrier.tensor(&values, &[bytes])?;
        carrier.stream.synchronize().map_err(driver)?;
        drop(sent);
        let middle = Instant::now();
        let sent = tensor(&values, &[bytes], device)?;
        device.synchronize().map_err(fault)?;
        drop(sent);
        let end = Instant::now();
        before.record(&carrier.stream).map_err(driver)?;
        let memory = carrier.ring.first().ok_or_else(|| LoaderError::Device("there is no pinned memory".into()))?;
        let sent = carrier.stream.clone_htod(&memory.memory).map_err(driver)?;
        after.record(&carrier.stream).map_err(driver)?;
        let milliseconds = before.elapsed_ms(&after).map_err(driver)?;
        drop(sent);
        if round > 0 {
            staged += middle - started;
            plain += end - middle;
            pinned += f64::from(milliseconds) / 1e3;
        }
    }
    let rate = |seconds: f64| bytes as f64 * f64::from(rounds) / seconds.max(f64::MIN_POSITIVE);
    Ok(CopyRates { pinned: rate(pinned), staged: rate(staged.as_secs_f64()), plain: rate(plain.as_secs_f64()) })
}
