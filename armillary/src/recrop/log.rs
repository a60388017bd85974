//! One log made again.

use std::ops::ControlFlow;
use std::path::Path;

use calibration::JointMapping;
use calibration::picture::{PictureTable, Workspace, jpeg_size};
use controller::capture::Imager;
use controller::replay::recorded_config;
use episode::{Attachment, Episode, EpisodeError, EpisodeInfo, EpisodeWriter, read_episode, read_pictures};
use robot::device::{Picture, PixelFormat};
use robot::{Config, Frame};

use super::RecropError;
use super::arm::same_arm;

/// What is to be made of which log.
pub(super) struct Job<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
    /// The robot file.
    pub(super) config: &'a Config,
    /// Where it lies.
    pub(super) robot: &'a Path,
}

/// What was made.
pub(super) struct Done {
    pub(super) rows: usize,
    pub(super) ended: Option<String>,
    pub(super) rows_left_out: usize,
}

/// Makes one log. `watch` is told of each row, and ends the work by `false`. The inner error says why no log was made.
pub(super) fn remake(
    job: &Job<'_>,
    watch: &mut dyn FnMut() -> bool,
) -> Result<Result<Done, String>, RecropError> {
    let log = match read_episode(job.from) {
        Ok(log) => log,
        // It was cut off before it had begun.
        Err(EpisodeError::NotALog { problem, .. }) => return Ok(Err(format!("not a run log: {problem}"))),
        Err(error) => return Err(error.into()),
    };
    if log.camera_pictures == 0 {
        return Ok(Err("it keeps none of the camera's own pictures".to_owned()));
    }
    same_arm(job, &recorded_config(job.from, &log)?)?;
    let size = match first_size(job.from)? {
        Ok(size) => size,
        Err(why) => return Ok(Err(why)),
    };
    let view = |problem| RecropError::View {
        log: job.from.to_owned(),
        problem,
    };
    let mut imager = Imager::new(job.config).map_err(view)?;
    let (table, workspace) = imager.prepare(size.0, size.1).map_err(view)?;
    let info = EpisodeInfo {
        robot: job.config.name.clone(),
        config_sha256: job.config.sha256.clone(),
        joint_calibration_sha256: Some(JointMapping::of(job.config).sha256()),
        picture_sha256: Some(table.sha256().to_owned()),
        // The new robot file may know it better than the old one.
        picture_delay_ticks: job.config.camera_delay_ticks(),
        software: format!(
            concat!("{}; recrop by armillary ", env!("CARGO_PKG_VERSION")),
            log.info.software
        ),
        ..log.info.clone()
    };
    let attachments: Vec<Attachment<'_>> = log
        .attachments
        .iter()
        .map(|(name, data)| match name.as_str() {
            "robot.ron" => (name.as_str(), "text/plain", job.config.text.as_bytes()),
            other => (other, "text/plain", data.as_slice()),
        })
        .collect();
    let mut making = Making {
        log: &log,
        writer: EpisodeWriter::create(job.to, &info, &attachments)?,
        table,
        workspace,
        picture: Picture {
            width: size.0,
            height: size.1,
            format: PixelFormat::Jpeg,
            bytes: Vec::new(),
        },
        image: Frame::new(job.config.frame_side),
        shown: None,
        keep: job.config.keep_pictures,
        next: 0,
        ended: None,
    };
    let mut result = Ok(());
    let damage = read_pictures(job.from, |tick, jpeg| {
        result = making
            .up_to(tick, watch)
            .and_then(|()| making.row_of(tick, jpeg, watch));
        if result.is_ok() && making.goes_on() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    result?;
    making.up_to(u32::MAX, watch)?;
    making.finish(damage).map(Ok)
}

/// Width and height of the first picture in the log, or what is wrong with it.
fn first_size(path: &Path) -> Result<Result<(u32, u32), String>, RecropError> {
    let mut size = Err("none of the camera's own pictures can be read".to_owned());
    read_pictures(path, |tick, jpeg| {
        size = jpeg_size(jpeg).map_err(|error| format!("tick {tick}: the camera's own picture: {error}"));
        ControlFlow::Break(())
    })?;
    Ok(size)
}

/// A log in the making.
struct Making<'a> {
    log: &'a Episode,
    writer: EpisodeWriter,
    table: &'a PictureTable,
    workspace: &'a mut Workspace,
    picture: Picture,
    /// The new image that is shown now.
    image: Frame,
    /// Number and old hash of the picture that the image was made of; `None` before the first.
    shown: Option<(u64, u64)>,
    /// Whether the new log keeps the camera's own pictures, too.
    keep: bool,
    /// Index of the next row.
    next: usize,
    /// Why no row can follow.
    ended: Option<String>,
}

impl Making<'_> {
    /// Whether rows follow. What is behind damage hangs together with nothing, and is left out.
    fn goes_on(&self) -> bool {
        self.ended.is_none() && self.next < self.log.intact
    }

    /// Writes the rows before `tick`, which have no picture of their own.
    fn up_to(&mut self, tick: u32, watch: &mut dyn FnMut() -> bool) -> Result<(), RecropError> {
        while self.goes_on() && self.log.ticks[self.next].tick < tick {
            let row = &self.log.ticks[self.next];
            let capture = &row.capture;
            let blank = || {
                let side = self.log.frame_side().unwrap_or(self.image.side());
                capture.frame_hash == Frame::new(side).hash()
            };
            let known = match self.shown {
                // The same picture as in the row before.
                Some(shown) => shown == (capture.frame_seq, capture.frame_hash),
                // Before the first picture the image is black.
                None => !capture.fresh && blank(),
            };
            if !known {
                self.ended = Some(format!(
                    "tick {}: the camera's own picture was not kept",
                    row.tick
                ));
                return Ok(());
            }
            self.write(None, watch)?;
        }
        Ok(())
    }

    /// Writes the row of `tick`, whose picture is `jpeg`.
    fn row_of(&mut self, tick: u32, jpeg: &[u8], watch: &mut dyn FnMut() -> bool) -> Result<(), RecropError> {
        if !self.goes_on() || self.log.ticks[self.next].tick != tick {
            return Ok(());
        }
        let Picture {
            width,
            height,
            format,
            ..
        } = self.picture;
        self.picture.fill(width, height, format, jpeg);
        if let Err(error) = self
            .table
            .apply(&self.picture, self.workspace, self.image.rgb_mut())
        {
            self.ended = Some(format!("tick {tick}: the camera's own picture: {error}"));
            return Ok(());
        }
        let capture = &self.log.ticks[self.next].capture;
        self.shown = Some((capture.frame_seq, capture.frame_hash));
        self.write(Some(jpeg), watch)
    }

    fn write(&mut self, jpeg: Option<&[u8]>, watch: &mut dyn FnMut() -> bool) -> Result<(), RecropError> {
        if !watch() {
            return Err(RecropError::Interrupted);
        }
        let mut row = self.log.ticks[self.next].clone();
        // A row that was recorded without an image has none.
        let image = self.log.frames[self.next].as_ref().map(|_| &self.image);
        if let Some(image) = image {
            row.capture.frame_hash = image.hash();
        }
        let info = &self.log.info;
        let period_ns = (f64::from(info.period_s) * 1e9) as u64;
        let time_ns = info
            .started_unix_ns
            .saturating_add(u64::from(row.tick).saturating_mul(period_ns));
        self.writer
            .write_tick_with_picture(&row, image, jpeg.filter(|_| self.keep), time_ns)?;
        self.next += 1;
        Ok(())
    }

    /// Ends the log. One that is not the whole of a whole log stays without an end, so that nobody takes it for one.
    fn finish(mut self, damage: Option<String>) -> Result<Done, RecropError> {
        let damage = self.log.problem.clone().or(damage);
        let ended = match (self.ended.take(), damage) {
            (Some(ended), Some(damage)) => Some(format!("{ended} ({damage})")),
            (ended, damage) => ended.or(damage),
        };
        if ended.is_some() {
            self.writer.flush()?;
        } else {
            self.writer.finish()?;
        }
        Ok(Done {
            rows: self.next,
            rows_left_out: self.log.ticks.len() - self.next,
            ended,
        })
    }
}
