//! Marks by which this program knows its own files again.

/// What a file of this program says in its first kilobytes. Nobody writes this by chance, as a person might write a sentence.
pub const MARK: &[u8] = b"made by armillary 5b0e2c197d4f4a869c3e8f21d6a7e043";

/// Whether the beginning of a file holds [`MARK`].
pub fn is_marked(head: &[u8]) -> bool {
    head.windows(MARK.len()).any(|window| window == MARK)
}

/// `image`, a PNG, with [`MARK`] as its `Software` text. Bytes that are no PNG come back as they are.
pub fn png(image: Vec<u8>) -> Vec<u8> {
    /// The signature, and the header chunk, which comes first and has a fixed length.
    const HEAD: usize = 8 + 25;
    const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
    if !image.starts_with(SIGNATURE) || image.len() < HEAD {
        return image;
    }
    // A chunk: length, type, data, and the CRC of type and data.
    let mut chunk = b"tEXtSoftware\0".to_vec();
    chunk.extend_from_slice(MARK);
    let length = (chunk.len() - 4) as u32;
    let crc = crc32fast::hash(&chunk);
    let mut marked = image[..HEAD].to_vec();
    marked.extend_from_slice(&length.to_be_bytes());
    marked.extend_from_slice(&chunk);
    marked.extend_from_slice(&crc.to_be_bytes());
    marked.extend_from_slice(&image[HEAD..]);
    marked
}

/// `image`, a GIF, with [`MARK`] as a comment. Bytes that are no GIF come back as they are.
pub fn gif_comment(image: Vec<u8>) -> Vec<u8> {
    /// The signature and the description of the logical screen.
    const HEAD: usize = 6 + 7;
    if !image.starts_with(b"GIF89a") || image.len() < HEAD {
        return image;
    }
    // A palette follows if the description says so: three bytes a colour.
    let packed = image[10];
    let palette = if packed & 0x80 == 0 {
        0
    } else {
        3 << ((packed & 7) + 1)
    };
    let at = HEAD + palette;
    if image.len() < at {
        return image;
    }
    let mut marked = image[..at].to_vec();
    marked.extend_from_slice(&[0x21, 0xfe, MARK.len() as u8]);
    marked.extend_from_slice(MARK);
    marked.push(0);
    marked.extend_from_slice(&image[at..]);
    marked
}
