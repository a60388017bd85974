//! Robot files.

use std::path::Path;

use devices::{Arm, Camera};
use firmware_bridge::arm::ArmOptions;
use robot::config::{HORIZON_MAX, PLANNER_THREADS_MAX};
use robot::{Config, SetPoint};

/// A robot file is refused by an error that names it, or describes an arm that can be driven: its numbers are finite and in order, and
/// its envelope keeps its own limits.
#[derive(Default)]
pub(crate) struct Check;

impl Check {
    /// # Panics
    /// If the file is neither.
    pub(crate) fn check(&mut self, data: &[u8]) {
        let Ok(text) = files::text(data.to_vec()) else {
            return;
        };
        let path = Path::new("robot.ron");
        let config = match Config::parse(path, text) {
            Ok(config) => config,
            Err(error) => {
                assert!(error.to_string().contains("robot.ron"), "{error}");
                return;
            }
        };
        sound(&config);
        // Each is an arm, a camera or a table, or an error. Nothing is opened.
        let _ = Arm::of(&config, None);
        let _ = Camera::of(&config, None);
        let _ = ArmOptions::from_config(&config);
        let _ = calibration::picture::PictureSettings::of(&config, 640, 480);
    }

    /// Inputs from which a fuzzer begins: the shipped robot files, and short ones with every kind of device.
    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let shipped = [
            &include_bytes!("../../../configs/sim-arm.ron")[..],
            include_bytes!("../../../configs/sim-planar.ron"),
            include_bytes!("../../../configs/so101.ron"),
        ];
        let planar = String::from_utf8_lossy(shipped[1]);
        let with = |line: &str| {
            planar
                .replacen("period_s:", &format!("{line}\n    period_s:"), 1)
                .into_bytes()
        };
        let devices = LINES.iter().map(|line| with(line));
        shipped.into_iter().map(<[u8]>::to_vec).chain(devices).collect()
    }
}

/// Lines of a robot file for each kind of arm, camera and reward.
const LINES: [&str; 10] = [
    r#"arm: firmware(port: "/dev/ttyUSB0", baud: 115200, boot_s: 1.0, serial_number: "a"),"#,
    r#"arm: feetech(port: "/dev/ttyUSB0", servos: [(id: 1, zero_ticks: 2048, reversed: true), (id: 2, zero_ticks: 0)], rate_hz: 100),"#,
    r#"arm: dynamixel(port: "/dev/ttyUSB0", servos: [(id: 1, zero_ticks: 2048), (id: 2, zero_ticks: 0)], rest_rad: [0.0, 0.1]),"#,
    r#"arm: playback(log: "a.mcap"),"#,
    r#"camera: frames(socket: "/tmp/camera"),"#,
    r#"camera: folder(path: "pictures", rate_hz: 10, repeat: true),"#,
    r#"camera: webcam(device: "/dev/video0", width: 640, height: 480, rate_hz: 30, format: "mjpeg", gain: 1),"#,
    r#"camera: emulated_webcam(socket: "/tmp/camera", width: 640, height: 480, rate_hz: 30),"#,
    r#"reward: tip_goal(goal_m: (0.5, 0.5, 0.1), scale_m: 0.1, weight: 2.0, success: (within_m: 0.02, ticks: 5)),"#,
    r#"calibration: (joints: "arm.joints.ron"), reward: joint_goal(goal_rad: [0.5, -0.5], scale_rad: 0.3),"#,
];

/// Whether a checked robot is one.
fn sound(config: &Config) {
    assert!(config.period_s.is_finite() && config.period_s > 0.0);
    assert!(robot::Frame::allows(config.frame_side));
    assert!((1..=HORIZON_MAX).contains(&config.planner.horizon));
    assert!((1..=PLANNER_THREADS_MAX).contains(&config.planner.threads));
    if let Some(rule) = &config.reward {
        let reward = rule.reward(0.0);
        assert!(reward > 0.0 && reward.is_finite() && rule.reward(f32::MAX).is_finite());
    }
    let joints = config.envelope.joints();
    assert!((1..=robot::MAX_JOINTS).contains(&joints.len()));
    for joint in joints {
        assert!(joint.position_min_rad < joint.position_max_rad, "{joint:?}");
        assert!((joint.position_min_rad..=joint.position_max_rad).contains(&joint.home_rad));
        for limit in [joint.velocity_max_rad_s, joint.acceleration_max_rad_s2] {
            assert!(limit.is_finite() && limit > 0.0, "{joint:?}");
        }
    }
    // Actions beyond all bounds, and such as are no numbers.
    let mut at: SetPoint = config.envelope.home();
    for action in [9.0, -9.0, 1.0, f32::NAN, f32::NEG_INFINITY, 0.3, -1.0] {
        let actions: Vec<f32> = joints.iter().map(|_| action).collect();
        let clamped = config.envelope.clamp(&at, &actions);
        for (asked, joint) in clamped.action.iter().zip(joints) {
            assert!((-1.0..=1.0).contains(asked), "{asked} of {joint:?}");
        }
        for (position_rad, joint) in clamped.set_point.position_rad.iter().zip(joints) {
            let room = 1e-3 * (joint.position_max_rad - joint.position_min_rad) + 1e-3;
            assert!(
                (joint.position_min_rad - room..=joint.position_max_rad + room).contains(position_rad),
                "{position_rad} of {joint:?}"
            );
        }
        at = clamped.set_point;
    }
}
