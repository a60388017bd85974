//! A two-joint plant that needs no simulator, and short cuts the tests share.

use firmware_bridge::arm::ArmOptions;
use firmware_bridge::wire::{fitted_serial_number, joint_names_hash};
use firmware_bridge::{FirmwareLimits, Identity, JointLimits};
use robot::device::{DeviceError, Joints, Task, View};
use robot::philox::Stream;
use robot::{Frame, JointState, joint};

pub(crate) const JOINTS: usize = 2;
pub(crate) const PERIOD_US: u64 = 100_000;

/// First-order servos; without torque the joints stay where they are.
#[derive(Debug, Clone)]
pub(crate) struct TestPlant {
    joints: JointState,
    pub(crate) torque_on: bool,
    /// Whether nobody gives it rewards.
    pub(crate) without_reward: bool,
    /// Physics steps after which an episode ends by itself, if it does.
    pub(crate) ends_after: Option<u64>,
    since_reset: u64,
    steps: u64,
}

impl Default for TestPlant {
    fn default() -> Self {
        let joints = JointState {
            position_rad: joint::zeros(JOINTS),
            velocity_rad_s: joint::zeros(JOINTS),
        };
        Self {
            joints,
            torque_on: false,
            without_reward: false,
            ends_after: None,
            since_reset: 0,
            steps: 0,
        }
    }
}

impl Joints for TestPlant {
    fn joint_count(&self) -> usize {
        JOINTS
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        self.steps += 1;
        self.since_reset += 1;
        self.torque_on = torque_on;
        for (index, asked) in set_point_rad.iter().enumerate() {
            let moved = if torque_on {
                0.6 * (asked - self.joints.position_rad[index])
            } else {
                0.0
            };
            self.joints.position_rad[index] += moved;
            self.joints.velocity_rad_s[index] = moved / dt_s;
        }
        Ok(())
    }

    fn joints(&self) -> JointState {
        self.joints.clone()
    }
}

impl View for TestPlant {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        frame.rgb_mut().fill(0);
        frame.rgb_mut()[..8].copy_from_slice(&self.steps.to_le_bytes());
        for (index, rad) in self.joints.position_rad.iter().enumerate() {
            frame.rgb_mut()[8 + 4 * index..][..4].copy_from_slice(&rad.to_le_bytes());
        }
        Ok(())
    }
}

impl Task for TestPlant {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.since_reset = 0;
        let mut random = Stream::new(seed, 0);
        for rad in &mut self.joints.position_rad {
            *rad = random.range(-1.0, 1.0);
        }
        self.joints.velocity_rad_s = joint::zeros(JOINTS);
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        (!self.without_reward).then(|| 1.0 / (1.0 + self.joints.position_rad[0].abs()))
    }

    fn ended(&self) -> bool {
        self.ends_after.is_some_and(|steps| self.since_reset >= steps)
    }
}

pub(crate) fn limits() -> FirmwareLimits {
    let joint = JointLimits {
        position_min_rad: -2.0,
        position_max_rad: 2.0,
        velocity_max_rad_s: 1.0,
        acceleration_max_rad_s2: 5.0,
    };
    FirmwareLimits::new(&[joint; JOINTS]).unwrap()
}

pub(crate) fn arm_options() -> ArmOptions {
    ArmOptions {
        period_s: 0.1,
        substeps: 5,
        limits: limits(),
        watchdog_us: PERIOD_US * 5 / 2,
        torque_grace_us: 1_000_000,
        jump_max_rad: 0.25,
        // Long enough for a machine that stands still now and then.
        validity_max_us: 10_000_000,
        identity: Identity {
            serial_number: fitted_serial_number("test-arm"),
            boot_id: 1,
            joint_names_hash: joint_names_hash(["first", "second"]),
        },
    }
}
