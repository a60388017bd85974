//! Packets equal those of `rustypot`, a library of others.

use std::io::{self, Read, Write};
use std::time::Duration;

use devices::dynamixel::Dynamixel;
use devices::feetech::Feetech;
use devices::servo_bus::{PacketBytes, Protocol, Request};
use robot::philox::Stream;
use rustypot::DynamixelProtocolHandler;
use serialport::{ClearBuffer, DataBits, FlowControl, Parity, SerialPort, StopBits};

/// A port that keeps what is written and never answers.
#[derive(Default)]
struct Recorder(Vec<u8>);

impl Write for Recorder {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Recorder {
    fn read(&mut self, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// Answers the same, whatever was done.
macro_rules! asked {
    ($($name:ident($($argument:ty)?) -> $result:ty = $value:expr;)*) => {
        $(fn $name(&self $(, _: $argument)?) -> $result { $value })*
    };
}

/// As above, of a port that may change.
macro_rules! told {
    ($($name:ident($($argument:ty)?) -> $result:ty = $value:expr;)*) => {
        $(fn $name(&mut self $(, _: $argument)?) -> $result { $value })*
    };
}

impl SerialPort for Recorder {
    asked! {
        name() -> Option<String> = None;
        baud_rate() -> serialport::Result<u32> = Ok(1_000_000);
        data_bits() -> serialport::Result<DataBits> = Ok(DataBits::Eight);
        flow_control() -> serialport::Result<FlowControl> = Ok(FlowControl::None);
        parity() -> serialport::Result<Parity> = Ok(Parity::None);
        stop_bits() -> serialport::Result<StopBits> = Ok(StopBits::One);
        timeout() -> Duration = Duration::ZERO;
        bytes_to_read() -> serialport::Result<u32> = Ok(0);
        bytes_to_write() -> serialport::Result<u32> = Ok(0);
        clear(ClearBuffer) -> serialport::Result<()> = Ok(());
        set_break() -> serialport::Result<()> = Ok(());
        clear_break() -> serialport::Result<()> = Ok(());
    }

    told! {
        set_baud_rate(u32) -> serialport::Result<()> = Ok(());
        set_data_bits(DataBits) -> serialport::Result<()> = Ok(());
        set_flow_control(FlowControl) -> serialport::Result<()> = Ok(());
        set_parity(Parity) -> serialport::Result<()> = Ok(());
        set_stop_bits(StopBits) -> serialport::Result<()> = Ok(());
        set_timeout(Duration) -> serialport::Result<()> = Ok(());
        write_request_to_send(bool) -> serialport::Result<()> = Ok(());
        write_data_terminal_ready(bool) -> serialport::Result<()> = Ok(());
        read_clear_to_send() -> serialport::Result<bool> = Ok(true);
        read_data_set_ready() -> serialport::Result<bool> = Ok(true);
        read_ring_indicator() -> serialport::Result<bool> = Ok(false);
        read_carrier_detect() -> serialport::Result<bool> = Ok(true);
    }

    fn try_clone(&self) -> serialport::Result<Box<dyn SerialPort>> {
        Ok(Box::<Recorder>::default())
    }
}

fn check<P: Protocol>(peer: &DynamixelProtocolHandler, count: usize) {
    let mut random = Stream::new(17, 6);
    let mut ours = PacketBytes::new();
    for round in 0..count {
        let id = random.below(usize::from(P::ID_MAX) + 1) as u8;
        let address = random.below(200) as u8;
        let length = 1 + random.below(8);
        let servos = 1 + random.below(8);
        let ids: Vec<u8> = (0..servos)
            .map(|_| random.below(usize::from(P::ID_MAX) + 1) as u8)
            .collect();
        // Headers within the data are common here.
        let data: Vec<u8> = (0..servos * length)
            .map(|_| [0xFF, 0xFF, 0xFD, random.next_u32() as u8][random.below(4)])
            .collect();
        let mut port = Recorder::default();
        // Nobody answers: each call but the last fails after it has written.
        let request = match random.below(5) {
            0 => {
                let _ = peer.ping(&mut port, id);
                Request::Ping { id }
            }
            1 => {
                let _ = peer.read(&mut port, id, address, length as u8);
                Request::Read {
                    id,
                    address: address.into(),
                    length: length as u8,
                }
            }
            2 => {
                let _ = peer.write(&mut port, id, address, &data[..length]);
                Request::Write {
                    id,
                    address: address.into(),
                    data: &data[..length],
                }
            }
            3 => {
                let _ = peer.sync_read(&mut port, &ids, address, length as u8);
                Request::SyncRead {
                    ids: &ids,
                    address: address.into(),
                    length: length as u8,
                }
            }
            _ => {
                let each: Vec<Vec<u8>> = data.chunks(length).map(<[u8]>::to_vec).collect();
                peer.sync_write(&mut port, &ids, address, &each)
                    .expect("nobody answers a sync write");
                Request::SyncWrite {
                    ids: &ids,
                    address: address.into(),
                    length: length as u8,
                    data: &data,
                }
            }
        };
        request.encode::<P>(&mut ours).expect("a packet");
        assert_eq!(port.0, ours.as_slice(), "round {round}: {request:?}");
    }
}

#[test]
fn ten_thousand_random_packets_equal_rustypots() {
    check::<Feetech>(&DynamixelProtocolHandler::v1(), 10_000);
    check::<Dynamixel>(&DynamixelProtocolHandler::v2(), 10_000);
}
