//! What the arm says of itself, judged in each tick before anything is sent to it, by the rules for a world that does not wait.
//!
//! | what is seen | how long | reason |
//! |---|---|---|
//! | no report, or one with another number of joints | `SILENT_TICKS` in a row | `LinkLost` |
//! | a number that is none, or a joint that jumped | `UNSOUND_OF_SIX` of six reports | `BadReport` |
//! | the arm's own set point is not between those it was sent | `OFF_COURSE_TICKS` in a row | `OffCourse` |
//! | an arm that followed has been stopped | at once | `SelfStopped` |
//! | the arm refuses what it is sent | three periods, or its watchdog's time if that is longer | `ArmStopped` |
//! | the arm is not where its firmware leads it | more than `trust.track_ticks` | `ArmStopped` |
//!
//! **After a pause of this program** that was longer than the arm's watchdog waits, nothing is sent until the arm has been heard: its watchdog
//! decides whether the episode goes on, not our clock, which runs on where a simulated arm stands still together with this program. In the
//! last tick of an episode nobody is heard any more, and the pause counts as a stop.
//!
//! **The bound on the set point.** The firmware leads the arm in a straight line from set point to set point, no faster than the speed
//! limit. What it reports at an edge is therefore between the set points of the last commands: the newest is being carried out, the one
//! before may have come late, the report may be a period old, and two commands may be lost. So it lies between the smallest and the largest
//! of the last `COMMANDS` set points of a joint, or within `SLACK_RAD` of that range, which is for arms that round.

use std::collections::VecDeque;

use episode::{ArmState, Reason};
use robot::{ActionMode, Config, JointVec};

/// Ticks in a row without a sound report at the last of which the arm counts as lost.
const SILENT_TICKS: u32 = 3;

/// Ticks in a row at the last of which an arm that is led elsewhere is stopped.
const OFF_COURSE_TICKS: u32 = 3;

/// Set points between which the arm's own may lie.
const COMMANDS: usize = 5;

/// Rounding of an arm's own set point, in radians a joint; of an actuator, as a share of its range.
const SLACK_RAD: f32 = 0.01;
const SLACK_SHARE: f32 = 0.005;

/// Of the last six reports, so many unsound ones stop the arm.
const UNSOUND_OF_SIX: u32 = 3;

/// A joint that moves by more than twice its speed limit and this has jumped, in radians.
const JUMP_RAD: f32 = 0.1;

/// Ticks in a row in which an arm that has not followed yet may hold: the first command may come late.
const BEGIN_TICKS: u32 = 10;

/// Fewest ticks in a row of refused commands at the last of which the arm is stopped.
const REFUSED_TICKS: u32 = 3;

/// What was heard of the arm in a tick.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// What it does; [`ArmState::Unheard`] if nothing was heard.
    pub state: ArmState,
    /// Whether it refused the newest command that had reached it.
    pub refused: bool,
    /// Measured positions.
    pub position_rad: &'a JointVec,
    /// Where its firmware leads it.
    pub set_point_rad: &'a JointVec,
}

/// What is remembered of an arm, sized once.
#[derive(Debug)]
pub(crate) struct ArmWatch {
    joints: usize,
    /// Whether its set points are compared with those that were sent.
    led: bool,
    slack: JointVec,
    /// How far a joint moves in a tick at most; none for actuators, which do not move.
    reach_rad: Option<JointVec>,
    watchdog_periods: f32,
    track_max_rad: f32,
    track_ticks: u32,
    silent: u32,
    holding: u32,
    off_track: u32,
    off_course: u32,
    /// A bit for each of the last reports: whether it was unsound.
    unsound: u32,
    /// Whether the arm has followed in this episode.
    followed: bool,
    /// Whether its watchdog may have stopped the arm, which has not been heard since.
    unsure: bool,
    /// The last set points that were sent, oldest first.
    commands: VecDeque<JointVec>,
    last_sent: Option<u32>,
    /// The last sound position and its tick.
    position: Option<(u32, JointVec)>,
}

impl ArmWatch {
    pub(crate) fn new(config: &Config) -> Self {
        let envelope = &config.envelope;
        let velocity = envelope.mode() == ActionMode::Velocity;
        let joints = envelope.joints();
        let slack = |joint: &robot::Joint| match envelope.mode() {
            ActionMode::Velocity => SLACK_RAD,
            ActionMode::Absolute => SLACK_SHARE * 2.0 * joint.half_range_rad(),
        };
        let reach = |joint: &robot::Joint| 2.0 * joint.velocity_max_rad_s * config.period_s;
        Self {
            joints: joints.len(),
            led: true,
            slack: joints.iter().map(slack).collect(),
            reach_rad: velocity.then(|| joints.iter().map(reach).collect()),
            watchdog_periods: config.watchdog_periods,
            track_max_rad: config.trust.track_max_rad,
            track_ticks: config.trust.track_ticks,
            silent: 0,
            holding: 0,
            off_track: 0,
            off_course: 0,
            unsound: 0,
            followed: false,
            unsure: false,
            commands: VecDeque::with_capacity(COMMANDS),
            last_sent: None,
            position: None,
        }
    }

    pub(crate) fn reset(&mut self, led: bool) {
        self.led = led;
        (self.silent, self.holding, self.off_track, self.off_course) = (0, 0, 0, 0);
        (self.unsound, self.last_sent, self.position) = (0, None, None);
        (self.followed, self.unsure) = (false, false);
        self.commands.clear();
    }

    /// The arm stands at `set_point_rad`, and is led on from there.
    pub(crate) fn stands(&mut self, set_point_rad: &JointVec) {
        self.commands.clear();
        self.commands.push_back(set_point_rad.clone());
    }

    /// A command has left in `tick`.
    pub(crate) fn sent(&mut self, tick: u32, set_point_rad: &JointVec) {
        self.last_sent = Some(tick);
        if self.commands.len() == COMMANDS {
            self.commands.pop_front();
        }
        self.commands.push_back(set_point_rad.clone());
    }

    /// Whether the arm may be sent a command in the tick in which it was last judged.
    pub(crate) fn may_send(&self) -> bool {
        !self.unsure
    }

    /// Judges what was heard in `tick`, which may be the `last` of its episode: why the arm must stop, if it must.
    pub(crate) fn hear(&mut self, tick: u32, heard: &Heard<'_>, last: bool) -> Option<Reason> {
        let counted = [heard.position_rad, heard.set_point_rad]
            .iter()
            .all(|vector| vector.len() == self.joints);
        let silent = heard.state == ArmState::Unheard || !counted;
        self.silent = count(silent, self.silent);
        if self.silent >= SILENT_TICKS {
            return Some(Reason::LinkLost);
        }
        // The last command left at the end of its tick at the latest.
        let silence = self
            .last_sent
            .map_or(0, |sent| tick.saturating_sub(sent).saturating_sub(1));
        let paused = silence as f32 > self.watchdog_periods;
        self.unsure = silent && (paused || self.unsure);
        if silent {
            // That tells nothing of the rest.
            return (last && self.unsure).then_some(Reason::SelfStopped);
        }
        match heard.state {
            ArmState::EStopped => return Some(Reason::EStop),
            // Torque that went off stays off until the next session.
            ArmState::Released => return Some(Reason::ArmStopped),
            ArmState::Active => self.followed = true,
            // One that held from the beginning may have followed in the pause.
            ArmState::Idle | ArmState::Stopping | ArmState::Held if self.followed || paused => {
                return Some(Reason::SelfStopped);
            }
            ArmState::Unheard | ArmState::Idle | ArmState::Stopping | ArmState::Held => {}
        }
        let unsound = !self.is_sound(tick, heard);
        self.unsound = (self.unsound << 1 | u32::from(unsound)) & 0b11_1111;
        if self.unsound.count_ones() >= UNSOUND_OF_SIX {
            return Some(Reason::BadReport);
        }
        let aside = self.led && heard.state == ArmState::Active && !self.is_on_course(heard.set_point_rad);
        self.off_course = count(aside, self.off_course);
        if self.off_course >= OFF_COURSE_TICKS {
            return Some(Reason::OffCourse);
        }
        // It begins held, or without torque, and goes with the first command.
        let holding = tick > 0 && (heard.state.is_stopped() || heard.refused);
        self.holding = count(holding, self.holding);
        let off = |(measured, led_to): (&f32, &f32)| !((measured - led_to).abs() <= self.track_max_rad);
        let off_track = heard.position_rad.iter().zip(heard.set_point_rad).any(off);
        self.off_track = count(off_track, self.off_track);
        let stopped = self.holding >= self.holding_ticks() || self.off_track > self.track_ticks;
        stopped.then_some(Reason::ArmStopped)
    }

    /// Ticks in a row in which the arm may refuse, or hold at the beginning.
    fn holding_ticks(&self) -> u32 {
        if self.followed {
            (self.watchdog_periods.ceil() as u32).clamp(REFUSED_TICKS, BEGIN_TICKS)
        } else {
            BEGIN_TICKS
        }
    }

    /// Whether all numbers are numbers, and no joint has moved farther since the last sound report than it can.
    fn is_sound(&mut self, tick: u32, heard: &Heard<'_>) -> bool {
        let numbers = heard.position_rad.iter().chain(heard.set_point_rad);
        if numbers.into_iter().any(|number| !number.is_finite()) {
            return false;
        }
        if let (Some((before, from)), Some(reach)) = (&self.position, &self.reach_rad) {
            let ticks = tick.saturating_sub(*before) as f32;
            let mut moves = heard.position_rad.iter().zip(from).zip(reach);
            if moves.any(|((now, from), reach)| (now - from).abs() > reach * ticks + JUMP_RAD) {
                return false;
            }
        }
        self.position = Some((tick, heard.position_rad.clone()));
        true
    }

    /// Whether each joint's set point lies between those that were sent.
    fn is_on_course(&self, set_point_rad: &JointVec) -> bool {
        if self.commands.is_empty() {
            return true;
        }
        set_point_rad.iter().enumerate().all(|(joint, found)| {
            let sent = self.commands.iter().map(|command| command[joint]);
            let (low, high) = sent.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), sent| {
                (low.min(sent), high.max(sent))
            });
            *found >= low - self.slack[joint] && *found <= high + self.slack[joint]
        })
    }
}

fn count(hit: bool, so_far: u32) -> u32 {
    if hit { so_far.saturating_add(1) } else { 0 }
}
