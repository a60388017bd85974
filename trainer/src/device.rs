//! Where tensors live.

use std::ffi::CStr;
use std::sync::OnceLock;

use tch::Device;

/// A GPU was asked for and cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "--device cuda: {0}; start with the folder of a CUDA LibTorch 2.11 in LD_LIBRARY_PATH (such as \
     site-packages/torch/lib) on a machine with an NVIDIA GPU, or pass --device cpu"
)]
pub struct NoCuda(String);

/// What the loader of libraries said, if LibTorch's CUDA half could not be had.
static NOT_LOADED: OnceLock<String> = OnceLock::new();

/// Loads LibTorch's CUDA half, if there is one: linked is the other half alone, so that one program runs with either. To be
/// called before the first tensor is made.
pub fn load_cuda() {
    #[cfg(unix)]
    // SAFETY: a library's initialisers run; those of LibTorch expect nothing.
    unsafe {
        let library = libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
        if library.is_null() {
            let said = libc::dlerror();
            if !said.is_null() {
                let _ = NOT_LOADED.set(CStr::from_ptr(said).to_string_lossy().into_owned());
            }
        }
    }
}

/// The first GPU.
///
/// # Errors
/// [`NoCuda`], saying what is missing.
pub fn cuda() -> Result<Device, NoCuda> {
    // LibTorch itself says the same of a missing half and of a missing GPU.
    if let Some(said) = NOT_LOADED.get() {
        let other = if said.contains("undefined symbol") {
            "; it is of another LibTorch than this program's"
        } else {
            ""
        };
        return Err(NoCuda(format!(
            "LibTorch's CUDA half could not be loaded ({said}{other})"
        )));
    }
    if !tch::Cuda::is_available() {
        return Err(NoCuda(
            "LibTorch finds no GPU, or its driver is too old for it".to_owned(),
        ));
    }
    Ok(Device::Cuda(0))
}

/// Waits until a GPU has done all that was asked of it, so that a clock may be read.
pub fn finish(device: Device) {
    if let Device::Cuda(index) = device {
        tch::Cuda::synchronize(index as i64);
    }
}

/// Whether this processor multiplies 16-bit numbers by itself. Where it does not, LibTorch makes do, much slower than in 32 bits.
pub fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}
