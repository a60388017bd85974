//! Changes to a text file, at random.

use robot::philox::Stream;

/// Changes a few places of a file: bits, digits, whole pieces that are removed, doubled or put elsewhere.
pub(crate) fn mutate(bytes: &mut Vec<u8>, stream: &mut Stream) {
    const PIECES: [&[u8]; 18] = [
        b"1e38",
        b"-1e39",
        b"NaN",
        b"inf",
        b"99999999999999999999",
        b"0x7fffffffffffffff",
        b"-0.0",
        b"(",
        b")",
        b"[",
        b"{",
        b"\"",
        b"/*",
        b"//",
        b"Some(",
        b"r#\"",
        b"\xff",
        b"'\\u{d800}'",
    ];
    let mut below = |end: usize| (stream.range(0.0, 1.0) * end as f32) as usize % end.max(1);
    for _ in 0..=below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = below(bytes.len());
        let end = (at + below(40)).min(bytes.len());
        match below(6) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = b'0' + below(10) as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                let to = below(bytes.len());
                bytes.splice(to..to, piece);
            }
            4 => drop(bytes.splice(at..at, PIECES[below(PIECES.len())].iter().copied())),
            _ => drop(bytes.splice(at..end, PIECES[below(PIECES.len())].iter().copied())),
        }
    }
}
