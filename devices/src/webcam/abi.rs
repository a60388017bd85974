//! The structures that the kernel's video interface (V4L2) reads and writes, by hand, so that no C compiler's parser is needed.
//!
//! From `linux/videodev2.h`. Sizes are asserted: the kernel tells its calls apart by them. x86-64 and aarch64 lay these out alike.
//! Every field is a number, so that a structure of zeros is a valid one.

use std::mem::size_of;

/// `V4L2_BUF_TYPE_VIDEO_CAPTURE`.
pub const CAPTURE: u32 = 1;
/// `V4L2_MEMORY_MMAP`.
pub const MMAP: u32 = 1;
/// `V4L2_FIELD_ANY`.
pub const FIELD_ANY: u32 = 0;

/// `V4L2_CAP_VIDEO_CAPTURE`.
pub const CAP_VIDEO_CAPTURE: u32 = 0x1;
/// `V4L2_CAP_STREAMING`.
pub const CAP_STREAMING: u32 = 0x0400_0000;
/// `V4L2_CAP_DEVICE_CAPS`: `device_caps` says what this node can do.
pub const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
/// `V4L2_CAP_TIMEPERFRAME`.
pub const CAP_TIME_PER_FRAME: u32 = 0x1000;

/// `V4L2_BUF_FLAG_ERROR`: the picture is damaged.
pub const FLAG_ERROR: u32 = 0x40;
/// `V4L2_BUF_FLAG_TIMESTAMP_MASK`.
pub const FLAG_STAMP_MASK: u32 = 0xe000;
/// `V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC`: the stamp is of `CLOCK_MONOTONIC`.
pub const FLAG_STAMP_MONOTONIC: u32 = 0x2000;

/// `V4L2_FRMSIZE_TYPE_DISCRETE` and `V4L2_FRMIVAL_TYPE_DISCRETE`: one value, not a range.
pub const DISCRETE: u32 = 1;

/// `V4L2_CTRL_FLAG_DISABLED`.
pub const CONTROL_DISABLED: u32 = 0x1;
/// `V4L2_CTRL_FLAG_READ_ONLY`.
pub const CONTROL_READ_ONLY: u32 = 0x4;

/// A format's four letters as the kernel has them.
pub const fn four_letters(letters: [u8; 4]) -> u32 {
    u32::from_le_bytes(letters)
}

macro_rules! structures {
    ($($(#[$about:meta])* $name:ident is $bytes:literal { $($(#[$field_about:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$about])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy)]
        #[allow(missing_docs)]
        pub struct $name {
            $($(#[$field_about])* pub $field: $type,)*
        }

        const _: () = assert!(size_of::<$name>() == $bytes);

        impl Default for $name {
            fn default() -> Self {
                // SAFETY: every field is an integer or an array of integers, for which zeros are a value.
                unsafe { std::mem::zeroed() }
            }
        }
    )*};
}

structures! {
    /// `v4l2_capability`: who the driver is.
    Capability is 104 {
        driver: [u8; 16],
        card: [u8; 32],
        bus_info: [u8; 32],
        version: u32,
        capabilities: u32,
        device_caps: u32,
        reserved: [u32; 3],
    }

    /// `v4l2_fmtdesc`: a format that the camera has.
    FormatDescription is 64 {
        index: u32,
        kind: u32,
        flags: u32,
        description: [u8; 32],
        pixel_format: u32,
        mbus_code: u32,
        reserved: [u32; 3],
    }

    /// `v4l2_frmsizeenum`: a size, or with another `kind` than [`DISCRETE`] a range of sizes.
    FrameSize is 44 {
        index: u32,
        pixel_format: u32,
        kind: u32,
        /// Of one size: width, height. Of a range: least, greatest and step of the width, then of the height.
        size: [u32; 6],
        reserved: [u32; 2],
    }

    /// `v4l2_frmivalenum`: time between pictures as numerator and denominator of seconds.
    FrameInterval is 52 {
        index: u32,
        pixel_format: u32,
        width: u32,
        height: u32,
        kind: u32,
        /// Of one interval: numerator, denominator. Of a range: of the shortest, of the longest, of the step.
        interval: [u32; 6],
        reserved: [u32; 2],
    }

    /// `v4l2_format` with the `v4l2_pix_format` of its union.
    Format is 208 {
        kind: u32,
        padding: u32,
        width: u32,
        height: u32,
        pixel_format: u32,
        field: u32,
        bytes_per_line: u32,
        size_image: u32,
        colorspace: u32,
        private: u32,
        flags: u32,
        encoding: u32,
        quantization: u32,
        transfer: u32,
        rest: [u64; 19],
    }

    /// `v4l2_streamparm` with the `v4l2_captureparm` of its union.
    StreamParameters is 204 {
        kind: u32,
        capability: u32,
        capture_mode: u32,
        /// Time between pictures in seconds: numerator, denominator.
        time_per_frame: [u32; 2],
        extended_mode: u32,
        read_buffers: u32,
        rest: [u32; 44],
    }

    /// `v4l2_queryctrl`: what a control is called and what it takes.
    QueryControl is 68 {
        id: u32,
        kind: u32,
        name: [u8; 32],
        minimum: i32,
        maximum: i32,
        step: i32,
        default_value: i32,
        flags: u32,
        reserved: [u32; 2],
    }

    /// `v4l2_control`.
    Control is 8 {
        id: u32,
        value: i32,
    }

    /// `v4l2_requestbuffers`.
    RequestBuffers is 20 {
        count: u32,
        kind: u32,
        memory: u32,
        capabilities: u32,
        flags: [u8; 4],
    }

    /// `v4l2_buffer`.
    Buffer is 88 {
        index: u32,
        kind: u32,
        bytes_used: u32,
        flags: u32,
        field: u32,
        padding: u32,
        stamp_s: i64,
        stamp_us: i64,
        time_code: [u32; 4],
        sequence: u32,
        memory: u32,
        /// Where the buffer lies, for `mmap`.
        offset: u32,
        offset_rest: u32,
        length: u32,
        reserved: [u32; 2],
        padding_end: u32,
    }
}

/// The text of a field, up to its zero.
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
}

/// A format's letters for a person.
pub fn letters(pixel_format: u32) -> String {
    text(&pixel_format.to_le_bytes())
}
