//! An arm of emulated servos as a simulator shows it: what moves are the servos, and the simulator draws and rewards where they are.

use devices::emulation::{EmulatedArm, FaultSwitch};
use firmware_bridge::FirmwareState;
use firmware_bridge::faults::{Fault, Schedule};
use robot::device::{DeviceError, Joints, Task, View};
use robot::{Frame, JointState};
use simulator::Simulator;

/// The world of an arm of emulated servos. Its own set points are of no effect: the servos have others, from their bus.
#[derive(Debug)]
pub struct ServoWorld {
    servos: EmulatedArm,
    simulator: Simulator,
}

impl ServoWorld {
    /// `simulator` shows `servos`, which have as many joints.
    pub fn new(servos: EmulatedArm, simulator: Simulator) -> Self {
        let mut world = Self { servos, simulator };
        world.follow();
        world
    }

    fn follow(&mut self) {
        self.simulator.place(&self.servos.position_rad());
    }
}

impl Joints for ServoWorld {
    fn joint_count(&self) -> usize {
        self.simulator.joint_count()
    }

    fn step(&mut self, _: &[f32], _: bool, dt_s: f32) -> Result<(), DeviceError> {
        self.simulator.pass(dt_s);
        self.follow();
        Ok(())
    }

    fn joints(&self) -> JointState {
        self.simulator.joints()
    }
}

impl View for ServoWorld {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.follow();
        self.simulator.render(frame);
        Ok(())
    }
}

impl Task for ServoWorld {
    /// Draws another target. The arm stays where it is, as a real one does.
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.simulator.reset(seed);
        self.follow();
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        Some(self.simulator.reward())
    }
}

/// A schedule whose faults befall servos and their line as well as the camera. Servos have no state that says whether a host leads them: an
/// arm with torque counts as one that follows.
#[derive(Debug)]
pub struct ServoFaults<S> {
    schedule: S,
    switch: FaultSwitch,
    wrong: Vec<Fault>,
}

impl<S: Schedule> ServoFaults<S> {
    /// What `schedule` says befalls what `switch` belongs to.
    pub fn new(schedule: S, switch: FaultSwitch) -> Self {
        Self {
            schedule,
            switch,
            wrong: Vec::new(),
        }
    }
}

impl<S: Schedule> Schedule for ServoFaults<S> {
    fn wrong(&mut self, elapsed_us: u64, _: FirmwareState) -> &[Fault] {
        let state = if self.switch.torque_on() {
            FirmwareState::Active
        } else {
            FirmwareState::Idle
        };
        let wrong = self.schedule.wrong(elapsed_us, state);
        if wrong != self.wrong {
            self.wrong = wrong.to_vec();
            self.switch.set(&self.wrong);
        }
        &self.wrong
    }
}
