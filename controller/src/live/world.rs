//! The arm and the camera of an episode, as its ticks see them.

use episode::{ArmState, Reason};
use robot::device::{JointBus, LinkError, MotorTrouble};
use robot::{ActionMode, Clock, Config};

use crate::actuate::World;
use crate::capture::{CaptureThread, Captured, Motion};
use crate::listen::Listener;

/// An arm and a camera, as the tick sees them.
pub(super) struct LiveWorld<'a> {
    bus: &'a mut dyn JointBus,
    joints: usize,
    listener: Listener,
    capture: &'a CaptureThread,
    period_ns: u64,
    clock: &'a dyn Clock,
    /// When the tick was due.
    edge_ns: u64,
    /// How long after the arm was last listened to a command may still be carried out.
    valid_us: u32,
    /// How long the arm may take for the way to a set point.
    move_time_us: u32,
    /// The frame this tick is to use, if a new one had come when it began.
    newest: Option<Box<Captured>>,
    motion: Motion,
    /// Pictures that repeat one although the arm has moved.
    repeated: u64,
    fault: Option<Reason>,
    /// What the link said when it failed. It is put into words after the episode.
    error: Option<LinkError>,
    /// What was wrong with a motor, likewise.
    trouble: Option<MotorTrouble>,
}

impl<'a> LiveWorld<'a> {
    /// Between an episode's arm and its camera, whose pictures come by `capture`.
    pub(super) fn new(
        config: &Config,
        bus: &'a mut dyn JointBus,
        capture: &'a CaptureThread,
        clock: &'a dyn Clock,
    ) -> Self {
        let period_ns = (f64::from(config.period_s) * 1e9) as u64;
        Self {
            bus,
            joints: config.joint_count(),
            listener: Listener::default(),
            capture,
            period_ns,
            clock,
            edge_ns: 0,
            valid_us: 0,
            move_time_us: match config.envelope.mode() {
                ActionMode::Velocity => (period_ns / 1000) as u32,
                // A control, not a place to move to. Such a plant moves by whole periods: on the way to one that came in the middle
                // of a period it would be given a mixture with the one before, which nobody decided.
                ActionMode::Absolute => 0,
            },
            newest: None,
            motion: Motion::new(config),
            repeated: 0,
            fault: None,
            error: None,
            trouble: None,
        }
    }

    /// A tick that was due at `edge_ns` begins. Whether the world has ended the episode by itself.
    pub(super) fn begin(&mut self, edge_ns: u64) -> bool {
        self.edge_ns = edge_ns;
        self.newest = self.capture.take_newest();
        self.newest.as_ref().is_some_and(|newest| newest.ended)
    }

    /// Pictures so far that repeat one although the arm has moved.
    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    /// What ended the episode, for which `stop` is the reason, in the words of whoever failed.
    pub(super) fn problem(&self, config: &Config, stop: Option<Reason>) -> Option<String> {
        let refused = match stop {
            Some(Reason::LinkLost) => self.listener.refused(self.bus),
            _ => None,
        };
        match (&self.error, self.trouble) {
            (Some(error), _) => Some(match refused {
                Some(refused) => format!("{error}; {refused}"),
                None => error.to_string(),
            }),
            (None, Some(trouble)) => {
                let joint = config.envelope.joints().get(usize::from(trouble.joint));
                let name = joint.map_or("a joint", |joint| joint.name.as_str());
                Some(format!("{name}: {trouble}"))
            }
            (None, None) => refused,
        }
    }
}

/// A command is void so long after the edge that it belongs to: one and a half periods. What comes later is refused by the firmware, which
/// stops the arm after its watchdog's time.
fn validity_ns(period_ns: u64) -> u64 {
    period_ns + period_ns / 2
}

impl World for LiveWorld<'_> {
    fn listen(&mut self, held: &mut Captured) {
        let listened = self.listener.listen(self.bus, self.joints, held);
        // The link counts from its own look at the clock in `poll`, which was earlier: what is left is never more than there is.
        let void_ns = self.edge_ns + validity_ns(self.period_ns);
        self.valid_us = (void_ns.saturating_sub(self.clock.now_ns()) / 1000) as u32;
        if let Err(error) = listened {
            self.fault.get_or_insert(Reason::LinkLost);
            self.error.get_or_insert(error);
        }
        self.bus.motors(&mut held.motors);
        if let Some(trouble) = held.motors.trouble {
            self.fault.get_or_insert(trouble.kind.into());
            self.trouble.get_or_insert(trouble);
        }
    }

    fn capture(&mut self, edge_ns: u64, held: &mut Box<Captured>) -> bool {
        if held.arm != ArmState::Unheard {
            self.motion.note(edge_ns, &held.joints.position_rad);
        }
        let mut new = false;
        if let Some(newest) = self.newest.take() {
            if self.motion.is_repeated(newest.frame.hash(), newest.captured_ns) {
                self.repeated += 1;
                self.capture.give_back(newest);
            } else {
                self.capture.use_newest(newest, held);
                new = true;
            }
        }
        if self.capture.failed() {
            self.fault.get_or_insert(Reason::CameraLost);
        }
        new
    }

    fn encode(&mut self, _held: &mut Captured) {
        // The capture thread has done it when the frame arrived.
    }

    fn actuate(&mut self, set_point_rad: &[f32]) -> Option<u32> {
        if self.fault.is_some() {
            // The arm is about to be stopped.
            return None;
        }
        // Belongs to this edge, however long this tick has been held up since: a late command is not sent, or is refused by the arm.
        let sent = self
            .bus
            .send_set_point_since_poll(set_point_rad, self.move_time_us, self.valid_us);
        if matches!(sent, Err(LinkError::Closed { .. })) {
            self.fault.get_or_insert(Reason::LinkLost);
        }
        sent.ok()
    }

    fn fault(&self) -> Option<Reason> {
        self.fault
    }
}
