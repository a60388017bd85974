//! A camera's own picture, of any size and format. The image that a model sees ([`crate::Frame`]) is made from it.

/// How a picture's pixels lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PixelFormat {
    /// Red, green, blue: three bytes a pixel, rows from the top, without padding.
    #[default]
    Rgb8,
    /// Two pixels in four bytes, Y0 U Y1 V (BT.601, Y from 16 to 235), rows from the top, without padding.
    Yuyv,
    /// A plane of Y, then a plane of half the width and height with U and V in turn (BT.601, Y from 16 to 235).
    Nv12,
    /// One JPEG, from SOI to EOI.
    Jpeg,
}

/// A picture as a camera delivers it. One is filled again and again: its memory is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Picture {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// How `bytes` are to be read.
    pub format: PixelFormat,
    /// The picture.
    pub bytes: Vec<u8>,
}

impl Picture {
    /// Takes the contents of another, without allocating if as many bytes have been here before.
    pub fn copy_from(&mut self, other: &Self) {
        self.fill(other.width, other.height, other.format, &other.bytes);
    }

    /// Takes the contents of `bytes`, without allocating if as many have been here before.
    pub fn fill(&mut self, width: u32, height: u32, format: PixelFormat, bytes: &[u8]) {
        (self.width, self.height, self.format) = (width, height, format);
        self.bytes.clear();
        self.bytes.extend_from_slice(bytes);
    }
}
