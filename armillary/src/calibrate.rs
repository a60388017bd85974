//! What `armillary calibrate` does: it leads a person through a measurement, judges it, and writes it into a file beside the robot file.

pub mod camera;
pub mod hand_eye;
pub mod joints;
pub mod latency;
pub mod workspace;

use calibration::servos::JointsFile;
use devices::servo_bus::{Family, Line};
use devices::servos::{ByHand, encoder};

/// The angles of joints whose servos have no torque, in radians, base first.
///
/// # Errors
/// A servo is silent.
pub fn angles_rad<F: Family, L: Line>(
    by_hand: &mut ByHand<F, L>,
    joints: &JointsFile,
) -> anyhow::Result<Vec<f64>> {
    let encoder = encoder::<F>();
    let joints = joints.joints.iter().enumerate();
    joints
        .map(|(index, joint)| {
            let ticks = by_hand.encoder_ticks(index)?;
            Ok(joint.radians(encoder, encoder.present_ticks(ticks, joint.homing_offset_ticks)))
        })
        .collect()
}

/// Whoever is led. A test stands in for a person.
pub trait Person {
    /// Tells something.
    fn tell(&mut self, words: &str);

    /// Asks something, and waits for the answer.
    ///
    /// # Errors
    /// Nobody is there any more.
    fn ask(&mut self, question: &str) -> anyhow::Result<String>;

    /// Shows what changes while the person does something, in the place of what was shown before. Returns the line that was typed meanwhile, if any.
    /// Waits for nothing.
    ///
    /// # Errors
    /// Nobody is there any more.
    fn show(&mut self, words: &str) -> anyhow::Result<Option<String>>;
}
