//! A serial port as the line of a servo bus.

use robot::device::LinkError;

use super::SerialStream;
use crate::link::ByteStream;
use crate::servo_bus::{Line, LineError};

impl Line for SerialStream {
    fn name(&self) -> &str {
        ByteStream::name(self)
    }

    fn now_us(&self) -> u64 {
        ByteStream::now_us(self)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        ByteStream::write(self, bytes).map_err(of_link)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LineError> {
        ByteStream::read(self, into).map_err(of_link)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LineError> {
        ByteStream::wait(self, timeout_us).map_err(of_link)
    }
}

fn of_link(error: LinkError) -> LineError {
    match error {
        LinkError::Closed { port } => LineError::Closed { line: port },
        LinkError::WriteTimeout { port } => LineError::WriteTimeout { line: port },
        LinkError::Io { port, source } => LineError::Io { line: port, source },
        other => LineError::Io {
            line: String::new(),
            source: std::io::Error::other(other.to_string()),
        },
    }
}
