//! Servos in memory, whose own time goes on with the turns of a firmware core.

use devices::emulation::MemoryLine;
use devices::feetech::Feetech;
use devices::hosted::Measured;
use devices::servo_bus::Line;
use devices::servo_bus::joints::{ArmError, ServoArm};
use robot::JointState;
use robot::device::{DeviceError, Joints, Motors};

/// Time from one turn to the next, in microseconds.
pub(crate) const TURN_US: u64 = 20_000;

type Servos = ServoArm<Feetech, MemoryLine<Feetech>>;

/// See the module documentation.
pub(crate) struct Paced(pub(crate) Servos);

impl Paced {
    /// Does one turn's work, and lets the rest of the turn pass.
    fn turn(&mut self, work: impl FnOnce(&mut Servos) -> Result<(), ArmError>) -> Result<(), DeviceError> {
        let begun_us = self.0.bus().line().now_us();
        let worked = work(&mut self.0).map_err(DeviceError::new);
        let line = self.0.bus_mut().line_mut();
        let took_us = line.now_us() - begun_us;
        line.advance(TURN_US.saturating_sub(took_us));
        worked
    }
}

impl Joints for Paced {
    fn joint_count(&self) -> usize {
        self.0.joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, _: f32) -> Result<(), DeviceError> {
        self.turn(|servos| servos.period(set_point_rad, torque_on))
    }

    fn joints(&self) -> JointState {
        self.0.joints()
    }
}

impl Measured for Paced {
    fn is_known(&self, joint: usize) -> bool {
        self.0.is_known(joint)
    }

    fn motors(&self) -> Motors {
        self.0.motors()
    }

    fn has_let_go(&self) -> bool {
        self.0.has_let_go()
    }

    fn may_hold(&self) -> bool {
        self.0.torque_on()
    }

    fn look(&mut self) -> Result<(), DeviceError> {
        self.turn(Servos::hear)
    }
}
