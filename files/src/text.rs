//! Text files, in whatever encoding somebody saved them.

/// The text that `bytes` are, without the byte order mark of UTF-8 if they begin with it.
///
/// # Errors
/// What they are in place of UTF-8, as the end of a sentence about a file: UTF-16 and UTF-32, by their marks or by where their zeros
/// stand; other encodings and NUL bytes, with the line.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    if let Some(encoding) = wide_encoding(&bytes) {
        return Err(format!("is {encoding} text"));
    }
    let marked = bytes.starts_with(&[0xEF, 0xBB, 0xBF]);
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        format!(
            "line {} holds the byte 0x{:02X}, which is not UTF-8 (Latin-1 and Windows-1252 files hold such bytes)",
            line(&bytes[..at]),
            bytes[at]
        )
    })?;
    if marked {
        text.remove(0);
    }
    if let Some(at) = text.find('\0') {
        let line = line(&text.as_bytes()[..at]);
        return Err(format!("line {line} holds a NUL byte, which no text holds"));
    }
    if text.contains('\r') && !text.contains('\n') {
        return Err(
            "ends its lines with carriage returns, so that the first comment covers the whole file"
                .to_owned(),
        );
    }
    Ok(text)
}

/// One-based number of the line that follows `before`.
fn line(before: &[u8]) -> usize {
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The encoding with two or four bytes a letter that `bytes` are in: by its mark, or by where its zeros stand.
fn wide_encoding(bytes: &[u8]) -> Option<&'static str> {
    const MARKS: [(&[u8], &str); 4] = [
        // In this order: the mark of UTF-32 begins with that of UTF-16.
        (&[0xFF, 0xFE, 0, 0], "UTF-32 (little-endian)"),
        (&[0, 0, 0xFE, 0xFF], "UTF-32 (big-endian)"),
        (&[0xFF, 0xFE], "UTF-16 (little-endian)"),
        (&[0xFE, 0xFF], "UTF-16 (big-endian)"),
    ];
    if let Some((_, encoding)) = MARKS.iter().find(|(mark, _)| bytes.starts_with(mark)) {
        return Some(encoding);
    }
    let mut zeros = [0_usize; 4];
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == 0) {
        zeros[at % 4] += 1;
    }
    // Files for this program are mostly ASCII, whose other bytes are zero. Half of them is more than chance and less than all.
    let many = zeros.map(|count| count > bytes.len() / 8);
    match many {
        [false, true, true, true] => Some("UTF-32 (little-endian)"),
        [true, true, true, false] => Some("UTF-32 (big-endian)"),
        [false, true, false, true] => Some("UTF-16 (little-endian)"),
        [true, false, true, false] => Some("UTF-16 (big-endian)"),
        _ => None,
    }
}
