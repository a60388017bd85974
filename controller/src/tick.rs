//! The tick: capture, encode, filter, plan, guard, actuate, record, on one page.
//!
//! With the `next-tick` pipeline a tick first sends the action decided in the previous one, then decides the next: the
//! delay from image to motor is one period, whatever planning took. With `immediate` it decides, then sends, while the
//! world waits. Either way `action[t]` in the log is the action that was sent at edge t, and the filter pairs each
//! observation with the action of the edge before it.

use episode::{ActuateRow, CaptureRow, EncodeRow, PlanRow, Reason, TickRecord};
use robot::config::Pipeline;
use robot::{Clock, Config, JointState, JointVec, RewardRule, SetPoint, joint};

use crate::actuate::World;
use crate::capture::{Captured, KeptPicture, KeptPictures};
use crate::course::Course;
use crate::filter::BeliefFilter;
use crate::plan::{Limit, Policy};
use guard::arm::Heard;
use guard::{Guard, Rules};

/// How a tick is run.
#[derive(Clone, Copy)]
pub struct Timing<'a> {
    /// Number of the tick.
    pub tick: u32,
    /// When it was due.
    pub edge_ns: u64,
    /// The clock latencies are measured on.
    pub clock: &'a dyn Clock,
    /// What ends planning early.
    pub limit: Limit<'a>,
    /// The last tick of an episode observes, but neither plans nor moves.
    pub last: bool,
}

/// Everything the tick works with, sized once.
#[derive(Debug)]
pub struct Controller {
    pipeline: Pipeline,
    frame_max_age_ns: u64,
    filter: Option<BeliefFilter>,
    policy: Policy,
    guard: Guard,
    rules: Rules,
    held: Box<Captured>,
    kept: Option<KeptPictures>,
    course: Course,
    /// Decided, not yet sent.
    decided: (JointVec, SetPoint),
    /// Computes rewards, where nobody else gives them.
    reward: Option<RewardRule>,
    /// Consecutive ticks at the reward's goal.
    near: u32,
    row: TickRecord,
}

impl Controller {
    /// Puts the stages together. `filter` is absent for policies that need no model.
    pub fn new(
        config: &Config,
        pipeline: Pipeline,
        filter: Option<BeliefFilter>,
        policy: Policy,
        embedding: usize,
    ) -> Self {
        let home = config.envelope.home();
        let zero = joint::zeros(config.joint_count());
        Self {
            pipeline,
            frame_max_age_ns: (f64::from(config.frame_max_age_s) * 1e9) as u64,
            filter,
            policy,
            guard: Guard::new(config),
            rules: Rules::default(),
            held: Box::new(Captured::sized(config.frame_side, embedding)),
            kept: KeptPictures::of(config),
            course: Course::from_rest(home.position_rad.clone()),
            decided: (zero, home),
            reward: config.reward.clone(),
            near: 0,
            row: TickRecord::default(),
        }
    }

    /// By which rules the guard judges from the next episode on: [`Rules::Waiting`] until it is told others.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// A new episode that starts with the arm at rest at `start_rad`.
    pub fn reset(&mut self, start_rad: &JointVec, planner_seed: u64) {
        self.course = Course::from_rest(start_rad.clone());
        self.decided = (self.course.action().clone(), self.course.set_point().clone());
        self.guard.reset(self.rules);
        self.guard.stands(start_rad);
        self.policy.reset(planner_seed);
        self.near = 0;
        if let Some(filter) = &mut self.filter {
            filter.reset();
        }
    }

    /// What is known of the joints before the first tick.
    pub fn set_joints(&mut self, joints: JointState) {
        self.held.joints = joints;
    }

    /// The policy's name, for the log.
    pub fn policy(&self) -> String {
        self.policy.name()
    }

    /// The frame the last tick worked with.
    pub fn frame(&self) -> &robot::Frame {
        &self.held.frame
    }

    /// The camera's own picture that this frame was made of, where the log keeps those.
    pub fn picture(&self) -> &KeptPicture {
        &self.held.picture
    }

    /// Whether the robot file says that the camera's own pictures are kept.
    pub(crate) fn kept(&self) -> Option<&KeptPictures> {
        self.kept.as_ref()
    }

    /// Whether the goal of a reward that is computed here has been reached for as long as the robot file asks: the episode ends with the next tick.
    pub fn has_succeeded(&self) -> bool {
        let success = self.reward.as_ref().and_then(|rule| rule.success);
        success.is_some_and(|success| self.near >= success.ticks)
    }

    /// Demands a controlled stop from the next decision on.
    pub fn demand_stop(&mut self, reason: Reason) {
        self.guard.demand_stop(reason);
    }

    /// One tick. The record stage is the caller's: it owns the ring.
    pub fn tick(&mut self, world: &mut dyn World, timing: Timing<'_>) -> (&TickRecord, Option<Reason>) {
        let Timing {
            tick,
            edge_ns,
            clock,
            last,
            ..
        } = timing;
        self.row = TickRecord {
            tick,
            edge_ns,
            ..TickRecord::default()
        };
        let mut watch = Stopwatch {
            clock,
            at: clock.now_ns(),
        };
        self.row.record.lateness_ns = watch.at.saturating_sub(edge_ns);
        self.skip_to(tick);
        world.listen(&mut self.held);
        self.hear(tick, last);
        // A stop in the last tick is a stop; an arm that was stopped while this machine stood still has failed its episode.
        let last = last && (self.rules == Rules::Waiting || self.guard.stopped().is_none());
        self.resume(tick);
        let caused_by = self.course.action().clone();

        if self.pipeline == Pipeline::NextTick && !last {
            // A stop that was demanded from outside comes before the action decided earlier.
            if self.guard.may_send() {
                self.actuate(world);
            } else {
                self.withhold();
            }
            self.row.record.latency_ns.actuate = watch.lap();
        }
        self.capture(world, edge_ns);
        if let Some(reason) = world.fault() {
            self.guard.demand_stop(reason);
        }
        self.row.record.latency_ns.capture = watch.lap();

        world.encode(&mut self.held);
        self.row.encode = EncodeRow {
            reused: !self.row.capture.fresh,
        };
        // Encoding counts where it happened: on the capture thread in a live loop.
        watch.lap();
        self.row.record.latency_ns.encode = self.held.encode_ns;

        if let Some(filter) = &mut self.filter {
            self.row.filter = filter.update(&caused_by, &self.held, self.row.capture.fresh);
        }
        self.row.record.latency_ns.filter = watch.lap();
        if last {
            self.row.guard.reason = Reason::EpisodeEnd;
            self.withhold();
            return (&self.row, None);
        }

        self.row.plan = self.plan(timing);
        self.row.record.latency_ns.plan = watch.lap();

        let stop = self.guard(&caused_by);
        self.row.record.latency_ns.guard = watch.lap();

        if self.pipeline == Pipeline::Immediate {
            self.actuate(world);
            self.row.record.latency_ns.actuate = watch.lap();
        }
        if self.row.actuate.sent {
            // What the next tick hears may come from it.
            self.guard.sent(tick, &self.row.actuate.set_point_rad);
        }
        (&self.row, stop)
    }

    fn capture(&mut self, world: &mut dyn World, edge_ns: u64) {
        let new = world.capture(edge_ns, &mut self.held);
        let held = &self.held;
        let reward = match &self.reward {
            None => held.reward,
            Some(rule) => {
                let chain = self.guard.envelope().chain();
                let distance = rule.distance(chain, &held.joints.position_rad);
                let is_near = |distance: f32| rule.success.is_some_and(|success| distance <= success.within);
                self.near = if distance.is_some_and(is_near) {
                    self.near + 1
                } else {
                    0
                };
                distance.map(|distance| rule.reward(distance))
            }
        };
        let age_ns = edge_ns.saturating_sub(held.captured_ns);
        self.row.capture = CaptureRow {
            frame_seq: held.frame_seq,
            frame_hash: held.frame.hash(),
            fresh: new && age_ns <= self.frame_max_age_ns,
            age_ns,
            // A reward that is no number is none, whoever gave it.
            reward: reward.filter(|reward| reward.is_finite()),
            arm: held.arm,
            arm_refused: held.arm_refused,
            arm_set_point_rad: held.arm_set_point_rad.clone(),
            motors: held.motors.clone(),
            position_rad: held.joints.position_rad.clone(),
            velocity_rad_s: held.joints.velocity_rad_s.clone(),
        };
    }

    /// Takes account of edges that passed while the machine stood still.
    fn skip_to(&mut self, tick: u32) {
        let (filter, policy) = (&mut self.filter, &mut self.policy);
        let skipped = self.course.skip_to(tick, self.guard.envelope(), |action| {
            if let Some(filter) = filter.as_mut() {
                filter.advance(action);
            }
            policy.skip();
        });
        if skipped {
            self.decide_again();
        }
    }

    /// Has the guard judge what the arm says, before anything is sent to it.
    fn hear(&mut self, tick: u32, last: bool) {
        let held = &self.held;
        let heard = Heard {
            state: held.arm,
            refused: held.arm_refused,
            position_rad: &held.joints.position_rad,
            set_point_rad: &held.arm_set_point_rad,
        };
        self.guard.hear(tick, &heard, last);
    }

    /// An arm that refused a command is picked up where it holds; so is one that has been stopped, where the guard has not ended the
    /// episode for it.
    fn resume(&mut self, tick: u32) {
        let held = &self.held;
        let disobeyed = held.arm.is_stopped() || held.arm_refused;
        let envelope = self.guard.envelope();
        if self
            .course
            .resume(tick, disobeyed, &held.arm_set_point_rad, envelope)
        {
            self.guard.stands(&self.course.set_point().position_rad);
            self.decide_again();
        }
    }

    /// What was decided in motion is asked for from rest.
    fn decide_again(&mut self) {
        let again = self
            .guard
            .envelope()
            .clamp(self.course.set_point(), &self.decided.0);
        self.decided = (again.action, again.set_point);
    }

    /// Proposes the first action not yet sent: with `next-tick`, from the belief one period ahead.
    fn plan(&mut self, timing: Timing<'_>) -> PlanRow {
        if self.guard.stopped().is_some() {
            return crate::plan::hold(self.course.action().len());
        }
        let belief = match (&mut self.filter, self.pipeline) {
            (Some(filter), Pipeline::NextTick) => Some(filter.predict(self.course.action())),
            (Some(filter), Pipeline::Immediate) => Some(filter.belief()),
            (None, _) => None,
        };
        self.policy.propose(
            timing.tick,
            self.course.set_point(),
            belief,
            self.guard.envelope(),
            timing.limit,
        )
    }

    fn guard(&mut self, caused_by: &[f32]) -> Option<Reason> {
        let moving = caused_by.iter().any(|value| value.abs() > 0.2);
        let row = &mut self.row;
        let verdict = self.guard.decide(
            &row.capture,
            &row.filter,
            &mut row.plan,
            self.course.set_point(),
            moving,
        );
        row.guard = verdict.row;
        self.decided = (verdict.clamped.action, verdict.clamped.set_point);
        verdict.stop
    }

    /// Sends what was decided. A command that does not leave asked for no motion.
    fn actuate(&mut self, world: &mut dyn World) {
        let (action, set_point) = &self.decided;
        let Some(command_seq) = world.actuate(&set_point.position_rad) else {
            return self.withhold();
        };
        self.course.send(action, set_point);
        self.row.actuate = ActuateRow {
            command_seq,
            action: action.clone(),
            set_point_rad: set_point.position_rad.clone(),
            sent: true,
        };
    }

    /// Sends nothing: the arm finishes the move it is in, and holds.
    fn withhold(&mut self) {
        self.course.withhold(self.guard.envelope());
        self.row.actuate = ActuateRow {
            command_seq: 0,
            action: self.course.action().clone(),
            set_point_rad: self.course.set_point().position_rad.clone(),
            sent: false,
        };
    }
}

struct Stopwatch<'a> {
    clock: &'a dyn Clock,
    at: u64,
}

impl Stopwatch<'_> {
    fn lap(&mut self) -> u64 {
        let now = self.clock.now_ns();
        std::mem::replace(&mut self.at, now).abs_diff(now)
    }
}
