//! One connection as the two devices that it stands for: a camera, and a task that goes with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use robot::device::{DeviceError, FrameSource, FrameStamp, Picture, PixelFormat, Task};

use super::FrameSocket;

impl FrameSocket {
    /// The camera and the task at the other end. An episode is reset before its camera is polled: a reset waits for an answer, and
    /// holds up a poll meanwhile.
    pub fn split(self) -> (SocketCamera, SocketTask) {
        let shared = Shared(Arc::new(Mutex::new(self)));
        (SocketCamera(shared.clone()), SocketTask(shared))
    }
}

#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<FrameSocket>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, FrameSocket> {
        // Nothing that can panic leaves the socket half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The camera at the other end of a frame socket.
#[derive(Debug)]
pub struct SocketCamera(Shared);

/// The task at the other end of a frame socket.
#[derive(Debug)]
pub struct SocketTask(Shared);

impl FrameSource for SocketCamera {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let mut socket = self.0.lock();
        let newer = socket.newer()?;
        if newer.is_some() {
            into.copy_from(socket.picture_at_hand());
        }
        Ok(newer.map(|delivered| delivered.stamp))
    }

    fn size(&self) -> Option<(u32, u32)> {
        let socket = self.0.lock();
        let picture = socket.picture_at_hand();
        // Before the first picture there is none.
        (!picture.bytes.is_empty()).then_some((picture.width, picture.height))
    }

    fn format(&self) -> Option<PixelFormat> {
        // The protocol has no other.
        Some(PixelFormat::Rgb8)
    }
}

impl Task for SocketTask {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        // The first picture of an episode is one of those that come by themselves.
        self.0.lock().restart(seed)?;
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        self.0.lock().delivered().and_then(|delivered| delivered.reward)
    }

    fn ended(&self) -> bool {
        self.0.lock().delivered().is_some_and(|delivered| delivered.ended)
    }
}
