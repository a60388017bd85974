//! `armillary calibrate hand-eye`: where the camera stands, by a board that the gripper holds while a person moves the arm by hand.

use anyhow::bail;
use calibration::picture::{Lens, grey};
use calibration::servos::JointsFile;
use devices::servo_bus::{Family, Line};
use devices::servos::ByHand;
use nalgebra::Isometry3;
use robot::device::{FrameSource, Picture};
use robot::{Clock, Config};
use vision::hand_eye::{self, HandEye, View};
use vision::{Board, CameraFile, Finder, apart_px};

use super::{Person, angles_rad};

/// Joints that move less than this between two pictures stand still, in radians.
const STILL_RAD: f64 = 0.01;

/// The board's corners move less than this meanwhile, in pixels of a picture 640 wide.
const STILL_PX: f64 = 1.5;

/// A view is another one if its corners lie this far from those of each view before, likewise.
const OTHER_PX: f64 = 35.0;

/// Views that are enough where the camera's place is known well, and views after which no more are taken.
const VIEWS_ENOUGH: usize = 15;
const VIEWS_MAX: usize = 40;

/// A camera without a picture for so long is lost, in nanoseconds.
const SILENT_NS: u64 = 5_000_000_000;

/// Time between two looks at the camera, in nanoseconds.
const LOOK_NS: u64 = 5_000_000;

/// Views of a board that the gripper holds.
#[derive(Debug)]
pub struct Collector {
    finder: Finder,
    lens: Lens,
    size: (usize, usize),
    last: Option<(Vec<f64>, Vec<vision::Corner>)>,
    views: Vec<View>,
}

impl Collector {
    /// For the camera of `file`.
    ///
    /// # Errors
    /// A board that cannot be.
    pub fn new(board: &Board, file: &CameraFile) -> anyhow::Result<Self> {
        Ok(Self {
            finder: Finder::new(board)?,
            lens: file.lens,
            size: (file.width_px as usize, file.height_px as usize),
            last: None,
            views: Vec::new(),
        })
    }

    /// Looks at a picture that was taken with the joints at `position_rad`. What to do next, in words.
    pub fn see(&mut self, config: &Config, position_rad: &[f64], levels: &[u8]) -> String {
        let corners = self.finder.find(self.size.0, self.size.1, levels);
        let scale = self.size.0 as f64 / 640.0;
        let last = self.last.replace((position_rad.to_vec(), corners.clone()));
        if corners.is_empty() {
            return "the board is not seen".to_owned();
        }
        let is_still = last.is_some_and(|(joints, before)| {
            let turned = joints.iter().zip(position_rad).map(|(a, b)| (a - b).abs());
            turned.fold(0.0, f64::max) < STILL_RAD && apart_px(&before, &corners) < STILL_PX * scale
        });
        if !is_still {
            return "hold it still".to_owned();
        }
        let is_known = |view: &View| apart_px(&view.corners, &corners) < OTHER_PX * scale;
        if !self.views.iter().any(is_known) {
            self.views.push(View {
                gripper_in_base: gripper_in_base(config, position_rad),
                corners,
            });
        }
        match self.solve() {
            Ok(found) => found.verdict.to_string(),
            Err(verdict) => verdict.to_string(),
        }
    }

    /// Views so far.
    pub fn count(&self) -> usize {
        self.views.len()
    }

    /// Where the camera is by the views so far.
    ///
    /// # Errors
    /// What to do differently.
    pub fn solve(&self) -> Result<HandEye, calibration::Verdict> {
        hand_eye::solve(&self.lens, &self.views)
    }

    fn is_enough(&self) -> bool {
        let good = || {
            self.solve()
                .is_ok_and(|found| found.verdict == calibration::Verdict::Good)
        };
        self.count() >= VIEWS_MAX || (self.count() >= VIEWS_ENOUGH && good())
    }
}

/// The frame of the arm's last link with its joints at `position_rad`, in metres.
pub fn gripper_in_base(config: &Config, position_rad: &[f64]) -> Isometry3<f64> {
    let angles: Vec<f32> = position_rad.iter().map(|angle| *angle as f32).collect();
    config.envelope.chain().last_link(&angles).cast()
}

/// Leads a person who moves the arm by hand, until the views are enough or the person ends it.
///
/// # Errors
/// A servo or a camera that falls silent, and views that tell nothing.
pub fn guide<F: Family, L: Line>(
    person: &mut dyn Person,
    by_hand: &mut ByHand<F, L>,
    camera: &mut dyn FrameSource,
    (config, joints): (&Config, &JointsFile),
    (board, file): (&Board, &CameraFile),
    clock: &dyn Clock,
) -> anyhow::Result<HandEye> {
    let mut collector = Collector::new(board, file)?;
    let mut picture = Picture::default();
    let mut last_ns = clock.now_ns();
    loop {
        if camera.poll(&mut picture)?.is_none() {
            if clock.now_ns().saturating_sub(last_ns) > SILENT_NS {
                bail!("the camera has sent no picture for 5 s; check its cable, and what serves it");
            }
            clock.sleep_until_ns(clock.now_ns() + LOOK_NS);
            continue;
        }
        last_ns = clock.now_ns();
        if (picture.width, picture.height) != (file.width_px, file.height_px) {
            bail!(
                "the camera's pictures have {}x{} pixels, and its lens was measured with {}x{}: set it as then, or `armillary calibrate camera` anew",
                picture.width,
                picture.height,
                file.width_px,
                file.height_px
            );
        }
        let position_rad = angles_rad(by_hand, joints)?;
        // A damaged picture is one in which the board is not seen.
        let levels = grey(&picture).unwrap_or_default();
        let words = collector.see(config, &position_rad, &levels);
        let typed = person.show(&format!("{} views  {words}", collector.count()))?;
        if typed.is_some() || collector.is_enough() {
            return collector.solve().map_err(|verdict| anyhow::anyhow!("{verdict}"));
        }
    }
}

/// What was found, a line each.
pub fn lines(found: &HandEye) -> Vec<String> {
    let at = found.camera_in_base.translation.vector * 1e3;
    vec![
        format!(
            "the camera is at {:.1}, {:.1}, {:.1} mm in the arm's base, +- {:.1} mm and {:.2} degrees",
            at.x,
            at.y,
            at.z,
            found.interval.0 * 1e3,
            found.interval.1.to_degrees()
        ),
        format!("residual {:.2} pixels", found.rms_px),
        found.verdict.to_string(),
    ]
}
