//! Where tensors live.

use tch::Device;

/// A GPU was asked for and cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "--device cuda: {0}; start with the folder of a CUDA LibTorch 2.11 in LD_LIBRARY_PATH (such as \
     site-packages/torch/lib) on a machine with an NVIDIA GPU, or pass --device cpu"
)]
pub struct NoCuda(&'static str);

/// Loads LibTorch's CUDA half, if there is one: linked is the other half alone, so that one program runs with either. To be
/// called before the first tensor is made.
pub fn load_cuda() {
    #[cfg(unix)]
    // SAFETY: a library's initialisers run; those of LibTorch expect nothing.
    unsafe {
        libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
    }
}

/// The first GPU.
///
/// # Errors
/// [`NoCuda`], saying which half of it is missing.
pub fn cuda() -> Result<Device, NoCuda> {
    if !tch::utils::has_cuda() {
        return Err(NoCuda("this LibTorch was built without CUDA"));
    }
    if !tch::Cuda::is_available() {
        return Err(NoCuda("LibTorch finds no GPU"));
    }
    Ok(Device::Cuda(0))
}
