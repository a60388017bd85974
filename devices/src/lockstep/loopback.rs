//! The whole rig in one process, on virtual time.

use std::collections::VecDeque;

use firmware_bridge::arm::{ArmOptions, SimulatedArm};
use firmware_bridge::wire::MAX_FRAME_BYTES;
use robot::Frame;
use robot::device::{DeviceError, JointBus, LinkError, Lockstep, Observation, Plant};

use super::{VALID_PERIODS, accepted, observed};
use crate::link::{ByteStream, HostLink};

/// Virtual time that the host waits for an answer; the arm answers at once or never.
const ANSWER_US: u64 = 1_000_000;

/// A serial line in memory with a simulated arm at its end.
#[derive(Debug)]
pub struct LoopbackStream<P> {
    arm: SimulatedArm<P>,
    received: VecDeque<u8>,
    /// Time the host has spent waiting for bytes, which is not device time: the world waits.
    waited_us: u64,
}

impl<P: Plant> LoopbackStream<P> {
    /// A line to a freshly booted arm.
    pub fn new(plant: P, options: &ArmOptions) -> Self {
        Self {
            arm: SimulatedArm::new(plant, options),
            received: VecDeque::with_capacity(16 * MAX_FRAME_BYTES),
            waited_us: 0,
        }
    }

    /// The arm at the end of the line.
    pub fn arm(&self) -> &SimulatedArm<P> {
        &self.arm
    }

    /// The arm at the end of the line.
    pub fn arm_mut(&mut self) -> &mut SimulatedArm<P> {
        &mut self.arm
    }

    /// Lets one control period pass.
    ///
    /// # Errors
    /// The plant's.
    pub fn advance_period(&mut self) -> Result<(), DeviceError> {
        self.arm.advance_period()?;
        self.transmit();
        Ok(())
    }

    /// Starts a new episode.
    ///
    /// # Errors
    /// The plant's.
    pub fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.arm.reset(seed)?;
        self.transmit();
        Ok(())
    }

    fn transmit(&mut self) {
        let received = &mut self.received;
        self.arm.transmit(|frame| received.extend(frame));
    }
}

impl<P: Plant> ByteStream for LoopbackStream<P> {
    fn name(&self) -> &str {
        "loopback"
    }

    fn now_us(&self) -> u64 {
        self.arm.now_us() + self.waited_us
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.arm.on_bytes(self.arm.now_us(), bytes);
        self.transmit();
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        let count = into.len().min(self.received.len());
        for (to, from) in into.iter_mut().zip(self.received.drain(..count)) {
            *to = from;
        }
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        if self.received.is_empty() {
            self.waited_us += timeout_us;
        }
        Ok(())
    }
}

/// Controller side, wire, firmware and plant in this process: no pty, no threads, no clock but the arm's.
#[derive(Debug)]
pub struct Loopback<P> {
    link: HostLink<LoopbackStream<P>>,
    period_us: u32,
}

impl<P: Plant> Loopback<P> {
    /// Boots an arm around `plant`; call [`Lockstep::reset`] next.
    pub fn new(plant: P, options: &ArmOptions) -> Self {
        let joints = options.limits.joint_count();
        let link = HostLink::new(LoopbackStream::new(plant, options), joints, ANSWER_US);
        Self {
            // The same bytes every time.
            link: link.with_waiting_world().with_counted_nonces(1),
            period_us: options.period_us(),
        }
    }

    /// The plant, for what no sensor shows.
    pub fn plant(&self) -> &P {
        self.link.stream().arm().plant()
    }

    fn observe(&mut self, seq: Option<u32>, frame: &mut Frame) -> Result<Observation, DeviceError> {
        let now_us = self.link.stream().arm().now_us();
        let telemetry = self.link.telemetry_since(now_us, ANSWER_US)?;
        if let Some(seq) = seq {
            accepted(&telemetry, seq)?;
        }
        let arm = self.link.stream_mut().arm_mut();
        arm.render(frame)?;
        Ok(observed(telemetry, arm.reward(), arm.ended()))
    }
}

impl<P: Plant> Lockstep for Loopback<P> {
    fn reset(&mut self, seed: u64, frame: &mut Frame) -> Result<Observation, DeviceError> {
        self.link.stream_mut().reset(seed)?;
        self.link.handshake()?;
        self.observe(None, frame)
    }

    fn step(&mut self, set_point_rad: &[f32], frame: &mut Frame) -> Result<Observation, DeviceError> {
        let seq = self
            .link
            .send_set_point(set_point_rad, self.period_us, VALID_PERIODS * self.period_us)?;
        self.link.stream_mut().advance_period()?;
        self.observe(Some(seq), frame)
    }

    fn pass(&mut self, frame: &mut Frame) -> Result<Observation, DeviceError> {
        // The arm has read everything already; the ping is there because the other rig sends one, and an arm that is
        // spoken to does not let go.
        self.link.sync(ANSWER_US)?;
        self.link.stream_mut().advance_period()?;
        self.observe(None, frame)
    }

    fn bus(&mut self) -> &mut dyn JointBus {
        &mut self.link
    }
}
