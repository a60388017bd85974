//! What the camera says of itself: standard USB descriptors, and those of the class for video devices.

use super::{Form, PAYLOAD_BYTES};

/// Length of probe and commit controls.
pub(super) const PROBE_BYTES: usize = 26;

/// Maker and product; the serial number is the third name.
const NAMES: [&str; 2] = ["Armillary", "Camera of software"];

/// Device descriptor: USB 2.0, several functions, vendor 1234, product 5678, three names.
const DEVICE: [u8; 18] = [
    18, 1, 0, 2, 0xef, 2, 1, 64, 0x34, 0x12, 0x78, 0x56, 0, 1, 1, 2, 3, 1,
];

/// The standard descriptor of a kind; `None` if there is none.
pub(super) fn standard(form: &Form, kind: u8, index: u8) -> Option<Vec<u8>> {
    match (kind, index) {
        (1, _) => Some(DEVICE.to_vec()),
        (2, _) => Some(configuration(form)),
        // The languages of names: US English.
        (3, 0) => Some(vec![4, 3, 9, 4]),
        (3, _) => {
            let names = [NAMES[0], NAMES[1], &form.serial];
            let name = names.get(usize::from(index) - 1)?;
            let text: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            Some([&[text.len() as u8 + 2, 3][..], &text].concat())
        }
        _ => None,
    }
}

/// Video probe and commit controls (UVC 1.0, table 4-47).
pub(super) fn probe(form: &Form, interval_100ns: u32) -> [u8; PROBE_BYTES] {
    let mut bytes = [0; PROBE_BYTES];
    bytes[..4].copy_from_slice(&[1, 0, 1, 1]);
    bytes[4..8].copy_from_slice(&interval_100ns.to_le_bytes());
    bytes[18..22].copy_from_slice(&form.bytes_max().to_le_bytes());
    bytes[22..].copy_from_slice(&(PAYLOAD_BYTES as u32).to_le_bytes());
    bytes
}

/// Everything about the camera's interfaces.
fn configuration(form: &Form) -> Vec<u8> {
    let intervals = &form.intervals_100ns;
    let mut frame = vec![26 + 4 * intervals.len() as u8, 0x24, 7, 1, 0];
    frame.extend(form.width_px.to_le_bytes());
    frame.extend(form.height_px.to_le_bytes());
    // Bits a second, from and to; bytes of a picture; the usual interval.
    let usual_100ns = form.interval_100ns(u32::MAX);
    for number in [10_000_000, 100_000_000, form.bytes_max(), usual_100ns] {
        frame.extend(number.to_le_bytes());
    }
    frame.push(intervals.len() as u8);
    frame.extend(intervals.iter().flat_map(|interval| interval.to_le_bytes()));
    let stream: Vec<u8> = [
        &[14, 0x24, 1, 1, 0, 0, 0x81, 0, 2, 0, 0, 0, 1, 0][..],
        &[11, 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0],
        &frame,
        &[6, 0x24, 13, 1, 1, 4],
    ]
    .concat();
    let mut all: Vec<u8> = [
        &[9, 2, 0, 0, 2, 1, 0, 0x80, 250][..],
        &[8, 11, 0, 2, 14, 3, 0, 0],
        // Control: a camera, and the stream that it goes to.
        &[9, 4, 0, 0, 0, 14, 1, 0, 0],
        &[13, 0x24, 1, 0, 1, 13 + 18 + 9, 0, 0x80, 0x8d, 0x5b, 0, 1, 1],
        &[18, 0x24, 2, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0],
        &[9, 0x24, 3, 2, 1, 1, 0, 1, 0],
        &[9, 4, 1, 0, 1, 14, 2, 0, 0],
        &stream,
        &[7, 5, 0x81, 2, 0, 2, 0],
    ]
    .concat();
    let start = all.len() - 7 - stream.len();
    all[start + 4..start + 6].copy_from_slice(&(stream.len() as u16).to_le_bytes());
    let length = all.len() as u16;
    all[2..4].copy_from_slice(&length.to_le_bytes());
    all
}
