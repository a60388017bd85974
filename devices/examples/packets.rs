//! Prints random requests and their packets, one a line, for `tests/check_packets.py` to compare with the makers' own programs.
//!
//! ```text
//! protocol  kind  id  address  length  ids  data  packet      (the last three in hexadecimal, "-" if empty)
//! ```

use devices::dynamixel::Dynamixel;
use devices::feetech::Feetech;
use devices::servo_bus::{PacketBytes, Protocol, Request};
use robot::philox::Stream;

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".to_owned();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn print<P: Protocol>(protocol: &str, count: usize) {
    let mut random = Stream::new(17, 7);
    let mut packet = PacketBytes::new();
    for _ in 0..count {
        let id = random.below(usize::from(P::ID_MAX) + 1) as u8;
        let address = random.below(200) as u16;
        let length = 1 + random.below(8) as u8;
        let mut ids: Vec<u8> = (0..=P::ID_MAX).collect();
        // A servo is named once.
        for index in 0..8 {
            let other = index + random.below(ids.len() - index);
            ids.swap(index, other);
        }
        ids.truncate(1 + random.below(8));
        let data: Vec<u8> = (0..ids.len() * usize::from(length))
            .map(|_| [0xFF, 0xFF, 0xFD, random.next_u32() as u8][random.below(4)])
            .collect();
        let one = &data[..usize::from(length)];
        let (kind, request, ids, data) = match random.below(5) {
            0 => ("ping", Request::Ping { id }, &[][..], &[][..]),
            1 => ("read", Request::Read { id, address, length }, &[][..], &[][..]),
            2 => (
                "write",
                Request::Write {
                    id,
                    address,
                    data: one,
                },
                &[][..],
                one,
            ),
            3 => (
                "sync_read",
                Request::SyncRead {
                    ids: &ids,
                    address,
                    length,
                },
                &ids[..],
                &[][..],
            ),
            _ => {
                let request = Request::SyncWrite {
                    ids: &ids,
                    address,
                    length,
                    data: &data,
                };
                ("sync_write", request, &ids[..], &data[..])
            }
        };
        match request.encode::<P>(&mut packet) {
            Ok(()) => {
                let (ids, data, packet) = (hex(ids), hex(data), hex(&packet));
                println!("{protocol} {kind} {id} {address} {length} {ids} {data} {packet}");
            }
            Err(error) => eprintln!("{protocol}: {request:?}: {error}"),
        }
    }
}

fn main() {
    print::<Feetech>("feetech", 10_000);
    print::<Dynamixel>("dynamixel", 10_000);
}
