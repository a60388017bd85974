//! The control loop's own tick, with the host's own link, before a [`VirtualArm`], in virtual time.

use std::path::{Path, PathBuf};

use armillary::simulation;
use controller::actuate::World;
use controller::capture::Captured;
use controller::guard::Rules;
use controller::listen::Listener;
use controller::plan::Limit;
use controller::session::{PolicyChoice, Session};
use controller::tick::{Controller, Timing};
use devices::link::{Allowed, ByteStream, HostLink};
use episode::Reason;
use robot::config::Pipeline;
use robot::device::{JointBus, LinkError};
use robot::{Clock, JointState, VirtualClock};

use crate::virtual_arm::{STEP_US, VirtualArm};

/// The robot that is driven: the planar arm, by coloured noise.
pub(crate) fn session() -> Session {
    let robot = root().join("configs/sim-planar.ron");
    simulation::session(&robot, None, PolicyChoice::Random, Some(Pipeline::NextTick)).expect("sound")
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The control loop of one arm.
pub(crate) struct Loop<S> {
    controller: Controller,
    pub(crate) link: HostLink<S>,
    listener: Listener,
    arm: VirtualArm,
    joints: usize,
    period_us: u64,
    clock: VirtualClock,
    tick: u32,
    /// Why the arm was stopped, once it was.
    pub(crate) stopped: Option<Reason>,
}

impl<S: ByteStream> Loop<S> {
    /// A loop that reaches `arm` by `stream`.
    pub(crate) fn new(session: &Session, arm: &VirtualArm, stream: S) -> Self {
        let config = &session.config;
        let (controller, _) = session.controller().expect("no model takes part");
        let allowed = Allowed::of(config, None).expect("a checked robot file has limits");
        Self {
            controller,
            link: HostLink::new(stream, config.joint_count(), 1_000_000).with_allowed(allowed),
            listener: Listener::default(),
            arm: arm.clone(),
            joints: config.joint_count(),
            period_us: (f64::from(config.period_s) * 1e6) as u64,
            clock: VirtualClock::default(),
            tick: 0,
            stopped: None,
        }
    }

    /// An episode begins, with a handshake.
    pub(crate) fn begin(&mut self, seed: u64) -> Result<(), LinkError> {
        self.link.handshake()?;
        let first = self.link.poll()?.ok_or_else(|| LinkError::Silent {
            port: "virtual arm".to_owned(),
            waited_ms: 0,
        })?;
        self.controller.set_rules(Rules::live(true));
        self.controller.reset(&first.set_point_rad, seed);
        self.controller.set_joints(JointState {
            position_rad: first.position_rad,
            velocity_rad_s: first.velocity_rad_s,
        });
        (self.tick, self.stopped, self.listener) = (0, None, Listener::default());
        Ok(())
    }

    /// One control period in microseconds.
    pub(crate) fn period_us(&self) -> u64 {
        self.period_us
    }

    /// A tick, and the time until the next, in which `happens` is asked before each step of the firmware. An arm that is stopped is told so, and
    /// nothing is sent to it afterwards.
    pub(crate) fn period(&mut self, mut happens: impl FnMut(&mut HostLink<S>)) {
        if self.stopped.is_none() {
            self.stopped = self.tick();
            if self.stopped.is_some() {
                // The port may be gone.
                let _ = self.link.send_stop();
            }
        }
        for _ in 0..self.period_us / STEP_US {
            happens(&mut self.link);
            self.arm.step();
        }
    }

    fn tick(&mut self) -> Option<Reason> {
        let edge_ns = self.arm.now_us() * 1_000;
        self.clock.sleep_until_ns(edge_ns);
        let mut world = Outside {
            link: &mut self.link,
            listener: &mut self.listener,
            joints: self.joints,
            period_us: self.period_us as u32,
            tick: self.tick,
            edge_ns,
            fault: None,
        };
        let timing = Timing {
            tick: self.tick,
            edge_ns,
            clock: &self.clock,
            limit: Limit::None,
            last: false,
        };
        let (_, stop) = self.controller.tick(&mut world, timing);
        self.tick += 1;
        stop
    }
}

/// What the tick sees: the arm, and a camera that is always sound.
struct Outside<'a, S> {
    link: &'a mut HostLink<S>,
    listener: &'a mut Listener,
    joints: usize,
    period_us: u32,
    tick: u32,
    edge_ns: u64,
    fault: Option<Reason>,
}

impl<S: ByteStream> World for Outside<'_, S> {
    fn listen(&mut self, held: &mut Captured) {
        if self.listener.listen(self.link, self.joints, held).is_err() {
            self.fault = Some(Reason::LinkLost);
        }
    }

    fn capture(&mut self, _edge_ns: u64, held: &mut Box<Captured>) -> bool {
        held.frame_seq = u64::from(self.tick) + 1;
        held.captured_ns = self.edge_ns;
        // Another picture in each tick.
        for (byte, of_tick) in held.frame.rgb_mut().iter_mut().zip(self.tick.to_le_bytes()) {
            *byte = of_tick;
        }
        true
    }

    fn encode(&mut self, _held: &mut Captured) {}

    fn actuate(&mut self, set_point_rad: &[f32]) -> Option<u32> {
        if self.fault.is_some() {
            return None;
        }
        let sent =
            self.link
                .send_set_point(set_point_rad, self.period_us, self.period_us + self.period_us / 2);
        if matches!(sent, Err(LinkError::Closed { .. })) {
            self.fault = Some(Reason::LinkLost);
        }
        sent.ok()
    }

    fn fault(&self) -> Option<Reason> {
        self.fault
    }
}
