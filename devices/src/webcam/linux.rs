//! The real kernel.

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};
use robot::{Clock, MonotonicNs};

use super::identity::{self, Identity};
use super::kernel::{Call, Kernel, Readiness, System};

/// The calls by number and structure, from `linux/videodev2.h`.
mod request {
    use super::super::abi::*;

    nix::ioctl_read!(query_capability, b'V', 0, Capability);
    nix::ioctl_readwrite!(enumerate_format, b'V', 2, FormatDescription);
    nix::ioctl_readwrite!(set_format, b'V', 5, Format);
    nix::ioctl_readwrite!(request_buffers, b'V', 8, RequestBuffers);
    nix::ioctl_readwrite!(query_buffer, b'V', 9, Buffer);
    nix::ioctl_readwrite!(queue, b'V', 15, Buffer);
    nix::ioctl_readwrite!(dequeue, b'V', 17, Buffer);
    nix::ioctl_write_ptr!(stream_on, b'V', 18, nix::libc::c_int);
    nix::ioctl_write_ptr!(stream_off, b'V', 19, nix::libc::c_int);
    nix::ioctl_readwrite!(get_parameters, b'V', 21, StreamParameters);
    nix::ioctl_readwrite!(set_parameters, b'V', 22, StreamParameters);
    nix::ioctl_readwrite!(get_control, b'V', 27, Control);
    nix::ioctl_readwrite!(set_control, b'V', 28, Control);
    nix::ioctl_readwrite!(query_control, b'V', 36, QueryControl);
    nix::ioctl_readwrite!(enumerate_size, b'V', 74, FrameSize);
    nix::ioctl_readwrite!(enumerate_interval, b'V', 75, FrameInterval);
}

/// `CLOCK_MONOTONIC` since boot: the clock of the drivers' time stamps.
#[derive(Debug, Clone, Copy, Default)]
pub struct BootClock;

impl Clock for BootClock {
    fn now_ns(&self) -> MonotonicNs {
        // It cannot fail: the clock exists on every Linux. A zero would only make every picture look new.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            let (s, ns) = (time.tv_sec().unsigned_abs(), time.tv_nsec().unsigned_abs());
            s * 1_000_000_000 + ns
        })
    }

    fn sleep_until_ns(&self, deadline_ns: MonotonicNs) {
        loop {
            let now = self.now_ns();
            if now >= deadline_ns {
                return;
            }
            std::thread::sleep(std::time::Duration::from_nanos(deadline_ns - now));
        }
    }
}

/// Cameras of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linux;

impl System for Linux {
    fn cameras(&self) -> Vec<Identity> {
        identity::list(Path::new("/sys/class/video4linux"), Path::new("/dev"))
    }

    fn open(&mut self, node: &Path) -> Result<Box<dyn Kernel>, Errno> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).bits())
            .open(node)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))?;
        Ok(Box::new(Open {
            file,
            buffers: Vec::new(),
        }))
    }
}

/// An open node, with the buffers that were mapped.
#[derive(Debug)]
struct Open {
    file: File,
    buffers: Vec<Mapping>,
}

/// A buffer's memory.
#[derive(Debug)]
struct Mapping {
    start: NonNull<std::ffi::c_void>,
    length: usize,
    /// Whether it is ours: dequeued, and not queued again.
    held: bool,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: `start` and `length` are those of a mapping that `mmap` made and nobody else removes; slices of it borrow the `Open`
        // that owns this.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

impl Kernel for Open {
    fn call(&mut self, mut call: Call<'_>) -> Result<(), Errno> {
        loop {
            match self.once(&mut call) {
                Err(Errno::EINTR) => {}
                result => return result,
            }
        }
    }

    fn wait(&mut self, timeout_ms: u16) -> Result<Readiness, Errno> {
        let mut polled = [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::from(timeout_ms)) {
            // A signal: the caller's loop looks again.
            Ok(0) | Err(Errno::EINTR) => Ok(Readiness::TimedOut),
            // POLLERR and POLLHUP, too: dequeueing tells what is wrong.
            Ok(_) => Ok(Readiness::Ready),
            Err(error) => Err(error),
        }
    }

    fn map(&mut self, index: usize, offset: u32, length: usize) -> Result<(), Errno> {
        if index != self.buffers.len() {
            return Err(Errno::EINVAL);
        }
        let size = NonZeroUsize::new(length).ok_or(Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no other memory.
        let start = unsafe {
            mmap(
                None,
                size,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE,
                MapFlags::MAP_SHARED,
                &self.file,
                i64::from(offset),
            )
        }?;
        self.buffers.push(Mapping {
            start,
            length,
            held: false,
        });
        Ok(())
    }

    fn memory(&self, index: usize) -> &[u8] {
        match self.buffers.get(index) {
            // SAFETY: the mapping is `length` bytes long and lives as long as `self`. The driver has handed this buffer over and writes
            // to it only after it is queued, which takes `&mut self`.
            Some(mapping) if mapping.held => unsafe {
                std::slice::from_raw_parts(mapping.start.as_ptr().cast(), mapping.length)
            },
            _ => &[],
        }
    }
}

impl Open {
    fn once(&mut self, call: &mut Call<'_>) -> Result<(), Errno> {
        let fd = self.file.as_raw_fd();
        let capture = super::abi::CAPTURE.cast_signed();
        if matches!(call, Call::StreamOff | Call::RequestBuffers(_)) {
            for buffer in &mut self.buffers {
                buffer.held = false;
            }
        }
        // SAFETY, for all of them: `fd` is open, and the pointer is to a structure of the size that the call's number says, which
        // lives until the call returns. The kernel checks everything else.
        let result = match call {
            // SAFETY: as above.
            Call::QueryCapability(value) => unsafe { request::query_capability(fd, *value) },
            // SAFETY: as above.
            Call::EnumerateFormat(value) => unsafe { request::enumerate_format(fd, *value) },
            // SAFETY: as above.
            Call::EnumerateSize(value) => unsafe { request::enumerate_size(fd, *value) },
            // SAFETY: as above.
            Call::EnumerateInterval(value) => unsafe { request::enumerate_interval(fd, *value) },
            // SAFETY: as above.
            Call::SetFormat(value) => unsafe { request::set_format(fd, *value) },
            // SAFETY: as above.
            Call::GetParameters(value) => unsafe { request::get_parameters(fd, *value) },
            // SAFETY: as above.
            Call::SetParameters(value) => unsafe { request::set_parameters(fd, *value) },
            // SAFETY: as above.
            Call::QueryControl(value) => unsafe { request::query_control(fd, *value) },
            // SAFETY: as above.
            Call::GetControl(value) => unsafe { request::get_control(fd, *value) },
            // SAFETY: as above.
            Call::SetControl(value) => unsafe { request::set_control(fd, *value) },
            // SAFETY: as above.
            Call::RequestBuffers(value) => unsafe { request::request_buffers(fd, *value) },
            // SAFETY: as above.
            Call::QueryBuffer(value) => unsafe { request::query_buffer(fd, *value) },
            Call::Queue(value) => {
                if let Some(buffer) = self.buffers.get_mut(value.index as usize) {
                    buffer.held = false;
                }
                // SAFETY: as above; no slice of the buffer is left, since `self` is borrowed mutably.
                unsafe { request::queue(fd, *value) }
            }
            Call::Dequeue(value) => {
                // SAFETY: as above.
                let result = unsafe { request::dequeue(fd, *value) };
                if let (Ok(_), Some(buffer)) = (result, self.buffers.get_mut(value.index as usize)) {
                    buffer.held = true;
                }
                result
            }
            // SAFETY: as above.
            Call::StreamOn => unsafe { request::stream_on(fd, &capture) },
            // SAFETY: as above.
            Call::StreamOff => unsafe { request::stream_off(fd, &capture) },
        };
        result.map(|_| ())
    }
}
