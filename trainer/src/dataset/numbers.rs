//! Tensors that are filled in place.

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use tch::{Device, Tensor};

/// A new tensor of zeros as the slice that it is in memory: a batch is put together where LibTorch will read it, and whoever
/// trains on it copies nothing. LibTorch itself is asked for the memory alone: it keeps threads for each thread that has it compute.
pub(super) struct Numbers<T> {
    pub(super) tensor: Tensor,
    first: NonNull<T>,
}

impl<T: tch::kind::Element + Default> Numbers<T> {
    pub(super) fn new(shape: &[usize]) -> Self {
        let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
        let tensor = Tensor::empty(&shape, (T::KIND, Device::Cpu));
        // An empty tensor has no memory, and a slice of nothing needs none.
        let first: NonNull<T> = NonNull::new(tensor.data_ptr().cast()).unwrap_or(NonNull::dangling());
        let zeros: &mut [MaybeUninit<T>] =
            // SAFETY: as in `all`; what is there may be anything, which `MaybeUninit` allows.
            unsafe { std::slice::from_raw_parts_mut(first.as_ptr().cast(), tensor.numel()) };
        zeros.fill_with(|| MaybeUninit::new(T::default()));
        Self { tensor, first }
    }

    /// In row-major order.
    pub(super) fn all(&mut self) -> &mut [T] {
        // SAFETY: `first` is the start of `numel` numbers of kind `T` in this process's memory, one behind the other as in
        // every tensor that was just made, initialised by `new`. They are the tensor's, which lives as long as `self` and is not
        // used in any other way before `self` is given up.
        unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.tensor.numel()) }
    }
}
