//! A serial port as the line of a servo bus.

use robot::device::LinkError;
use serialport::SerialPort as _;

use super::SerialStream;
use crate::link::ByteStream;
use crate::servo_bus::{Line, LineError, RatedLine};

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

impl RatedLine for SerialStream {
    fn set_baud(&mut self, baud: u32) -> Result<(), LineError> {
        let name = Line::name(self).to_owned();
        let result = self
            .port
            .set_baud_rate(baud)
            .and_then(|()| self.port.clear(serialport::ClearBuffer::Input));
        result.map_err(|error| LineError::Io {
            line: name,
            source: std::io::Error::other(format!("{baud} bits a second: {}", error.description)),
        })
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
