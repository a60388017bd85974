//! Consistent overhead byte stuffing (Cheshire and Baker, 1999).

/// Bytes that `len` bytes take at most once encoded, without delimiters.
pub(super) const fn encoded_max(len: usize) -> usize {
    len + len / 254 + 1
}

/// Encodes `input` into `output` and returns the length; `None` if it does not fit. The result holds no zero.
pub(super) fn encode(input: &[u8], output: &mut [u8]) -> Option<usize> {
    let (mut code_at, mut at, mut code) = (0, 1, 1u8);
    if output.is_empty() {
        return None;
    }
    for &byte in input {
        if byte != 0 {
            *output.get_mut(at)? = byte;
            at += 1;
            code += 1;
        }
        if byte == 0 || code == 0xFF {
            *output.get_mut(code_at)? = code;
            code_at = at;
            at += 1;
            code = 1;
        }
    }
    *output.get_mut(code_at)? = code;
    Some(at)
}

/// Decodes `data` in place and returns the length; `None` for what no encoder produces.
pub(super) fn decode_in_place(data: &mut [u8]) -> Option<usize> {
    let (mut read, mut write) = (0, 0);
    while read < data.len() {
        let code = data[read];
        let end = read + usize::from(code);
        if code == 0 || end > data.len() || data[read + 1..end].contains(&0) {
            return None;
        }
        for from in read + 1..end {
            data[write] = data[from];
            write += 1;
        }
        read = end;
        if code != 0xFF && read < data.len() {
            data[write] = 0;
            write += 1;
        }
    }
    Some(write)
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn published_examples_and_all_short_lengths() {
        let cases: [(&[u8], &[u8]); 5] = [
            (&[], &[1]),
            (&[0], &[1, 1]),
            (&[0, 0], &[1, 1, 1]),
            (&[0x11, 0x22, 0, 0x33], &[3, 0x11, 0x22, 2, 0x33]),
            (&[0x11, 0, 0, 0], &[2, 0x11, 1, 1, 1]),
        ];
        for (plain, coded) in cases {
            let mut buffer = [0xAA; 16];
            let len = encode(plain, &mut buffer).unwrap();
            assert_eq!(&buffer[..len], coded);
            let len = decode_in_place(&mut buffer[..len]).unwrap();
            assert_eq!(&buffer[..len], plain);
        }
        for len in 0..600 {
            for zero_every in [1, 2, 7, 1000] {
                let plain: Vec<u8> = (0..len)
                    .map(|i| {
                        if i % zero_every == zero_every - 1 {
                            0
                        } else {
                            (i % 255 + 1) as u8
                        }
                    })
                    .collect();
                let mut buffer = vec![0; encoded_max(len)];
                let coded = encode(&plain, &mut buffer).unwrap();
                assert!(!buffer[..coded].contains(&0), "length {len}");
                let back = decode_in_place(&mut buffer[..coded]).unwrap();
                assert_eq!(&buffer[..back], &plain[..], "length {len}");
            }
        }
    }

    #[test]
    fn what_no_encoder_produces_is_refused() {
        for coded in [&[0][..], &[3, 1], &[3, 0, 1], &[2, 1, 0]] {
            assert_eq!(decode_in_place(&mut coded.to_vec()), None, "{coded:?}");
        }
    }

    #[test]
    fn a_short_output_is_refused() {
        assert_eq!(encode(&[1, 2, 3], &mut [0; 3]), None);
        assert_eq!(encode(&[], &mut []), None);
    }
}
