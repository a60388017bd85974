//! The way from a camera's picture to the model's image: one table a camera, made once, hashed, and used by recording, training and
//! control alike.
//!
//! A pixel of the image is the mean of the part of the picture that it shows. Each pixel of the picture weighs by the area of it that
//! lies in that part. A plain crop has weights by column and by row (`axis`); a rectified or undistorted view has a list of pixels
//! for each pixel of the image (`gather`).
//!
//! Everything after the making of the table is integer arithmetic without overflow, so that every instruction set gives the same bits.

mod axis;
mod colour;
mod gather;
mod geometry;
mod grey;
mod jpeg;
mod lanes;
mod lens;
mod settings;
mod weigh;

pub use grey::grey;
pub use jpeg::size as jpeg_size;
pub use lanes::InstructionSet;
pub use lens::Lens;
pub use settings::{PictureSettings, SettingsError, View};

use axis::Separable;
use gather::Gather;
use lanes::Job;
use robot::device::{Picture, PixelFormat};
use sha2::{Digest, Sha256};

/// Why a picture gave no image. Each is worth a counter of its own: a camera that now and then sends a damaged picture is usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// Another size than the table was made for.
    #[error(
        "the picture has {found:?} pixels and the table is for {expected:?}; the camera was set to another size than the robot file's"
    )]
    Size {
        /// Width and height of the table's pictures, in pixels.
        expected: (u32, u32),
        /// Width and height of this picture, in pixels.
        found: (u32, u32),
    },
    /// An uncompressed picture with too few or too many bytes: only a part of it arrived.
    #[error("the picture has {found} bytes instead of {expected}: a part of it is missing")]
    Bytes {
        /// Bytes of a whole picture.
        expected: usize,
        /// Bytes of this picture.
        found: usize,
    },
    /// A format whose pixels share colours needs an even width (and NV12 an even height).
    #[error("{format:?} pictures have an even size, and this one has {size:?} pixels")]
    Odd {
        /// The format.
        format: PixelFormat,
        /// Width and height of the picture, in pixels.
        size: (u32, u32),
    },
    /// No JPEG at all: it does not begin with FF D8.
    #[error("the picture is no JPEG: it does not begin with FF D8")]
    JpegStart,
    /// A JPEG that was cut off: the mark of its end, FF D9, is not there.
    #[error("the JPEG was cut off: it has no FF D9")]
    JpegEnd,
    /// A JPEG with damage inside.
    #[error("the JPEG is damaged: {reason}")]
    JpegDamaged {
        /// The decoder's words.
        reason: String,
    },
    /// The image's buffer has another size than `3 * side * side` bytes.
    #[error("the image's buffer has {found} bytes instead of {expected}")]
    Image {
        /// `3 * side * side`.
        expected: usize,
        /// The buffer's length.
        found: usize,
    },
}

/// Which pixels of a camera's picture make up each pixel of the model's image.
#[derive(Debug, Clone)]
pub struct PictureTable {
    settings: PictureSettings,
    weights: Weights,
    sha256: String,
    instructions: InstructionSet,
}

#[derive(Debug, Clone)]
enum Weights {
    Separable(Separable),
    Gather(Gather),
}

/// Memory that [`PictureTable::apply`] works in. One belongs to each thread that makes images.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The picture as RGB, where it came otherwise.
    rgb: Vec<u8>,
    /// The JPEG as the decoder is shown it.
    jpeg: Vec<u8>,
    /// A row of sums, then the same as 8.8 fixed point.
    sums: Vec<u32>,
    row: Vec<u16>,
}

impl PictureTable {
    /// Makes the table: milliseconds for a crop, up to a second for a rectified view of a large picture.
    ///
    /// # Errors
    /// [`SettingsError`], which names the field.
    pub fn new(settings: &PictureSettings) -> Result<Self, SettingsError> {
        let region = settings.region()?;
        let weights = match &region {
            settings::Region::Crop(crop) => Weights::Separable(Separable::new(*crop, settings.side)),
            settings::Region::Mapped(map) => Weights::Gather(Gather::new(map, settings)?),
        };
        let mut hash = Sha256::new();
        hash.update(b"picture table 1\n");
        for number in [settings.width_px, settings.height_px, settings.side] {
            hash.update(number.to_le_bytes());
        }
        match &weights {
            Weights::Separable(table) => table.hash_into(&mut hash),
            Weights::Gather(table) => table.hash_into(&mut hash),
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            settings: settings.clone(),
            weights,
            sha256,
            instructions: InstructionSet::best(),
        })
    }

    /// The same table, worked through with other instructions: the same image, faster or slower. `None` if this CPU lacks them.
    #[must_use]
    pub fn with_instructions(mut self, instructions: InstructionSet) -> Option<Self> {
        self.instructions = instructions;
        instructions.is_here().then_some(self)
    }

    /// Names the table in logs and bundles: SHA-256 over picture size, image side and all weights, 64 hexadecimal digits.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What the table was made from.
    pub fn settings(&self) -> &PictureSettings {
        &self.settings
    }

    /// Bytes of the image: `3 * side * side`, RGB, rows from the top.
    pub fn image_bytes(&self) -> usize {
        3 * (self.settings.side as usize).pow(2)
    }

    /// Memory to work in, as large as this table's pictures need.
    pub fn workspace(&self) -> Workspace {
        let (width, height) = (self.settings.width_px as usize, self.settings.height_px as usize);
        Workspace {
            rgb: vec![0; 3 * width * height],
            jpeg: Vec::with_capacity(width * height),
            sums: vec![0; 3 * width],
            row: vec![0; 3 * width],
        }
    }

    /// Makes the image: `3 * side * side` bytes. Allocates nothing of its own; the JPEG decoder allocates its tables and a strip of rows.
    ///
    /// # Errors
    /// [`PictureError`]; `image` is then unspecified.
    pub fn apply(
        &self,
        picture: &Picture,
        workspace: &mut Workspace,
        image: &mut [u8],
    ) -> Result<(), PictureError> {
        self.check(picture, image)?;
        if picture.format == PixelFormat::Jpeg {
            let size = (picture.width, picture.height);
            jpeg::decode(&picture.bytes, size, &mut workspace.jpeg, &mut workspace.rgb)?;
        }
        self.instructions.run(&mut Making {
            table: self,
            picture,
            workspace,
            image,
        });
        Ok(())
    }

    fn check(&self, picture: &Picture, image: &[u8]) -> Result<(), PictureError> {
        let expected = (self.settings.width_px, self.settings.height_px);
        let found = (picture.width, picture.height);
        if expected != found {
            return Err(PictureError::Size { expected, found });
        }
        whole(picture)?;
        if image.len() != self.image_bytes() {
            return Err(PictureError::Image {
                expected: self.image_bytes(),
                found: image.len(),
            });
        }
        Ok(())
    }
}

/// Refuses a picture whose size its format cannot have, or that has more or fewer bytes than it should.
fn whole(picture: &Picture) -> Result<(), PictureError> {
    let found = (picture.width, picture.height);
    let odd = match picture.format {
        PixelFormat::Yuyv => found.0 % 2 == 1,
        PixelFormat::Nv12 => found.0 % 2 == 1 || found.1 % 2 == 1,
        PixelFormat::Rgb8 | PixelFormat::Jpeg => false,
    };
    if odd {
        return Err(PictureError::Odd {
            format: picture.format,
            size: found,
        });
    }
    let pixels = found.0 as usize * found.1 as usize;
    let whole = match picture.format {
        PixelFormat::Rgb8 => Some(3 * pixels),
        PixelFormat::Yuyv => Some(2 * pixels),
        PixelFormat::Nv12 => Some(pixels / 2 * 3),
        PixelFormat::Jpeg => None,
    };
    if let Some(expected) = whole.filter(|expected| *expected != picture.bytes.len()) {
        return Err(PictureError::Bytes {
            expected,
            found: picture.bytes.len(),
        });
    }
    Ok(())
}

/// All of the integer arithmetic, as one piece of work that is compiled once for each instruction set.
struct Making<'a> {
    table: &'a PictureTable,
    picture: &'a Picture,
    workspace: &'a mut Workspace,
    image: &'a mut [u8],
}

impl Job for Making<'_> {
    #[inline(always)]
    fn run(&mut self) {
        let Workspace { rgb, sums, row, .. } = &mut *self.workspace;
        let (width, height) = (self.picture.width as usize, self.picture.height as usize);
        let side = self.table.settings.side as usize;
        let bytes = self.picture.bytes.as_slice();
        let rows = match &self.table.weights {
            Weights::Separable(table) => table.rows(),
            Weights::Gather(table) => table.rows(),
        };
        let rgb: &[u8] = match self.picture.format {
            PixelFormat::Rgb8 => bytes,
            PixelFormat::Jpeg => rgb,
            PixelFormat::Yuyv => {
                colour::yuyv_rows(bytes, width, rows, rgb);
                rgb
            }
            PixelFormat::Nv12 => {
                colour::nv12_rows(bytes, width, height, rows, rgb);
                rgb
            }
        };
        match &self.table.weights {
            Weights::Separable(table) => weigh::separable(table, rgb, width, side, sums, row, self.image),
            Weights::Gather(table) => weigh::gathered(table, rgb, self.image),
        }
    }
}
