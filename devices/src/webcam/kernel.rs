//! What this module asks of an operating system: as few operations as there are, so that another can stand in for it.

use std::path::Path;

use nix::errno::Errno;

use super::abi::{
    Buffer, Capability, Control, Format, FormatDescription, FrameInterval, FrameSize, QueryControl,
    RequestBuffers, StreamParameters,
};
use super::identity::Identity;

/// One call of the kernel's video interface. What the kernel answers is written into the structure.
#[derive(Debug)]
pub enum Call<'a> {
    /// Who the driver is, and what it can do.
    QueryCapability(&'a mut Capability),
    /// One format by its index; EINVAL past the last.
    EnumerateFormat(&'a mut FormatDescription),
    /// One size of a format by its index; EINVAL past the last.
    EnumerateSize(&'a mut FrameSize),
    /// One interval of a size by its index; EINVAL past the last.
    EnumerateInterval(&'a mut FrameInterval),
    /// Sets size and format. The driver may choose others, and says which.
    SetFormat(&'a mut Format),
    /// The interval in force.
    GetParameters(&'a mut StreamParameters),
    /// Sets the interval. The driver may choose another, and says which.
    SetParameters(&'a mut StreamParameters),
    /// What a control is.
    QueryControl(&'a mut QueryControl),
    /// A control's value.
    GetControl(&'a mut Control),
    /// Sets a control.
    SetControl(&'a mut Control),
    /// Makes buffers; 0 frees them.
    RequestBuffers(&'a mut RequestBuffers),
    /// Where a buffer lies.
    QueryBuffer(&'a mut Buffer),
    /// Gives a buffer to the driver.
    Queue(&'a mut Buffer),
    /// Takes a filled buffer back; EAGAIN if there is none.
    Dequeue(&'a mut Buffer),
    /// Begins.
    StreamOn,
    /// Ends, and takes all buffers back.
    StreamOff,
}

/// What waiting came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// There is something to dequeue: a picture, or an error.
    Ready,
    /// Nothing came.
    TimedOut,
}

/// An open camera. Closed when it is dropped.
pub trait Kernel: Send {
    /// Carries out `call` without blocking.
    ///
    /// # Errors
    /// The kernel's number.
    fn call(&mut self, call: Call<'_>) -> Result<(), Errno>;

    /// Waits until there is something to dequeue, for `timeout_ms` milliseconds at most.
    ///
    /// # Errors
    /// The kernel's number.
    fn wait(&mut self, timeout_ms: u16) -> Result<Readiness, Errno>;

    /// Makes the memory of buffer `index` visible, as `QueryBuffer` described it. Buffers are mapped in the order of their indices.
    ///
    /// # Errors
    /// The kernel's number.
    fn map(&mut self, index: usize, offset: u32, length: usize) -> Result<(), Errno>;

    /// The memory of a buffer that was dequeued and not queued again; empty for any other.
    fn memory(&self, index: usize) -> &[u8];
}

/// Where cameras are found and opened.
pub trait System: Send {
    /// The cameras that are plugged in.
    fn cameras(&self) -> Vec<Identity>;

    /// Opens a camera's node.
    ///
    /// # Errors
    /// The kernel's number.
    fn open(&mut self, node: &Path) -> Result<Box<dyn Kernel>, Errno>;
}
