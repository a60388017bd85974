//! From a camera's picture to the model's image, by one table that is made once.

use calibration::picture::{PictureError, PictureSettings, PictureTable, Workspace};
use robot::device::{DeviceError, Picture};
use robot::{Config, Frame};

/// Makes the model's images of one camera's pictures. The table is made when the size of the pictures is known.
#[derive(Debug)]
pub struct Imager {
    config: Config,
    table: Option<(PictureTable, Workspace)>,
    damaged: u64,
}

impl Imager {
    /// For the camera of `config`.
    ///
    /// # Errors
    /// [`DeviceError`] for a `capture.view` or `capture.lens` of the robot file that cannot be read.
    pub fn new(config: &Config) -> Result<Self, DeviceError> {
        PictureSettings::of(config, 1, 1).map_err(DeviceError::new)?;
        Ok(Self {
            config: config.clone(),
            table: None,
            damaged: 0,
        })
    }

    /// Makes the table for pictures of this size, unless it is there.
    ///
    /// # Errors
    /// [`DeviceError`] for a view that does not fit into such pictures.
    pub fn prepare(
        &mut self,
        width_px: u32,
        height_px: u32,
    ) -> Result<&mut (PictureTable, Workspace), DeviceError> {
        let made = match self.table.take() {
            Some(made) => made,
            None => {
                let settings =
                    PictureSettings::of(&self.config, width_px, height_px).map_err(DeviceError::new)?;
                let table = PictureTable::new(&settings).map_err(|error| {
                    DeviceError::new(format!(
                        "robot `{}`: field `capture.{error}` (the camera's pictures have {width_px}x{height_px} pixels)",
                        self.config.name
                    ))
                })?;
                let workspace = table.workspace();
                (table, workspace)
            }
        };
        Ok(self.table.insert(made))
    }

    /// Names the table, once it is there: SHA-256 over sizes and all weights.
    pub fn sha256(&self) -> Option<&str> {
        self.table.as_ref().map(|(table, _)| table.sha256())
    }

    /// Pictures that were damaged, and of which no image was made.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// Makes `image` of `picture`: `false` for a picture that arrived damaged, of which none can be made.
    ///
    /// # Errors
    /// [`DeviceError`] for pictures of another size than the first, and for a view that does not fit into them.
    pub fn make(&mut self, picture: &Picture, image: &mut Frame) -> Result<bool, DeviceError> {
        let (table, workspace) = self.prepare(picture.width, picture.height)?;
        match table.apply(picture, workspace, image.rgb_mut()) {
            Ok(()) => Ok(true),
            Err(
                PictureError::Bytes { .. }
                | PictureError::JpegStart
                | PictureError::JpegEnd
                | PictureError::JpegDamaged { .. },
            ) => {
                self.damaged += 1;
                Ok(false)
            }
            Err(error) => Err(DeviceError::new(error)),
        }
    }
}
