//! Stage 3, filter: the belief after this frame, or without one.
//!
//! A camera's picture is late: at edge k the newest one shows the world of edge k - D, where D is the delay in control periods. The
//! picture is paired with the action that led to *that* world, a[k - D - 1], so the belief that pictures are filtered into lags by D
//! edges. The actions that were sent since then, a[k - D] to a[k - 1], have moved the arm but are on no picture yet. The prior carries
//! the lagging belief through them, which gives the belief of now. Planner and predicted reward go by that one.
//!
//! Joints are reported without a camera's delay. They are kept until the picture of their edge has come.

use std::collections::VecDeque;

use episode::{ArmState, FilterRow};
use robot::{JointState, JointVec};
use world_model::{Belief, Bundle, BundleError, Dimensions, Filter, Observer};

use crate::capture::Captured;

/// The belief and what updates it.
#[derive(Debug)]
pub struct BeliefFilter {
    observer: Observer,
    filter: Filter,
    delay: Delay,
    /// Of the edge that the newest picture shows.
    seen: Belief,
    /// Of this edge; not kept up to date without a delay, where it is the same.
    now: Belief,
    ahead: Belief,
}

impl BeliefFilter {
    /// Prepares a bundle's filter with an initial belief, for pictures that are `delay_ticks` control periods late.
    ///
    /// # Errors
    /// A graph that does not run.
    pub fn new(bundle: &Bundle, delay_ticks: u32) -> Result<Self, BundleError> {
        let dimensions: Dimensions = bundle.dimensions();
        let belief = Belief::initial(&dimensions);
        Ok(Self {
            observer: bundle.observer(),
            filter: bundle.filter()?,
            delay: Delay::of(delay_ticks as usize),
            seen: belief.clone(),
            now: belief.clone(),
            ahead: belief,
        })
    }

    /// Forgets everything: a new episode.
    pub fn reset(&mut self) {
        self.seen.reset();
        self.now.reset();
        self.delay.reset();
    }

    /// The belief of this edge.
    pub fn belief(&self) -> &Belief {
        if self.delay.is_none() {
            &self.seen
        } else {
            &self.now
        }
    }

    /// Takes an observation into account: `caused_by` is the action that led to this edge. Without a fresh frame, or without
    /// fresh joints where the model sees them, the prior stands in for the posterior.
    pub fn update(&mut self, caused_by: &JointVec, captured: &Captured, fresh: bool) -> FilterRow {
        let mut row = FilterRow::default();
        // Of an arm that was not heard in this tick they are those of before.
        let joints = (captured.arm != ArmState::Unheard).then_some(&captured.joints);
        let (at_rest, caused_by, joints) = self.delay.pair(caused_by, joints);
        let observed = fresh.then(|| self.observer.observe(&captured.embedding, joints));
        if let Some(observed) = observed.flatten() {
            if at_rest {
                self.seen.reset();
            }
            let innovation = self.filter.posterior(&mut self.seen, caused_by, observed);
            row.kl_nats = innovation.kl_nats;
        } else {
            if !at_rest {
                self.filter.predict(&mut self.seen, caused_by);
            }
            row.prior_only = true;
        }
        self.catch_up();
        let now = if self.delay.is_none() {
            &self.seen
        } else {
            &self.now
        };
        row.reward_predicted = self.filter.reward(now);
        row
    }

    /// Moves the belief on by a period that nothing was observed of.
    pub fn advance(&mut self, caused_by: &JointVec) {
        let (at_rest, caused_by, _) = self.delay.pair(caused_by, None);
        if !at_rest {
            self.filter.predict(&mut self.seen, caused_by);
        }
        self.catch_up();
    }

    /// The belief one period on, under `action`, without touching the present one.
    pub fn predict(&mut self, action: &[f32]) -> &Belief {
        let now = if self.delay.is_none() {
            &self.seen
        } else {
            &self.now
        };
        self.ahead.copy_from(now);
        self.filter.predict(&mut self.ahead, action);
        &self.ahead
    }

    /// Carries the belief of the edge that was seen through the actions since then.
    fn catch_up(&mut self) {
        if self.delay.is_none() {
            return;
        }
        self.now.copy_from(&self.seen);
        for action in &self.delay.under_way {
            self.filter.predict(&mut self.now, action);
        }
    }
}

/// The actions and joints of the edges that no picture shows yet. Allocates nothing after it was made.
#[derive(Debug)]
struct Delay {
    ticks: usize,
    /// Actions that were sent since the edge that the newest picture shows, the oldest first.
    under_way: VecDeque<JointVec>,
    /// Joints at that edge and at those since, the oldest first; none where the arm was not heard.
    joints: VecDeque<Option<JointState>>,
    /// The action that led to the edge that the newest picture shows; before the first edge, the arm is at rest.
    caused_by: JointVec,
    begun: bool,
}

impl Delay {
    fn of(ticks: usize) -> Self {
        Self {
            ticks,
            under_way: VecDeque::with_capacity(ticks + 1),
            joints: VecDeque::with_capacity(ticks + 2),
            caused_by: JointVec::new(),
            begun: false,
        }
    }

    fn is_none(&self) -> bool {
        self.ticks == 0
    }

    fn reset(&mut self) {
        self.under_way.clear();
        self.joints.clear();
        self.begun = false;
    }

    /// Takes in what led to this edge and the joints at it. Gives what the newest picture is paired with: the action that led to what it
    /// shows, and the joints then. True if it shows the arm before its first motion: until D actions were sent, each picture is one of
    /// the first edge.
    fn pair(
        &mut self,
        caused_by: &JointVec,
        joints: Option<&JointState>,
    ) -> (bool, &JointVec, Option<&JointState>) {
        if self.begun {
            self.under_way.push_back(caused_by.clone());
        } else {
            self.caused_by.clone_from(caused_by);
        }
        self.begun = true;
        self.joints.push_back(joints.cloned());
        let at_rest = self.under_way.len() <= self.ticks && self.ticks > 0;
        if self.under_way.len() > self.ticks
            && let Some(oldest) = self.under_way.pop_front()
        {
            self.caused_by = oldest;
        }
        if self.joints.len() > self.ticks + 1 {
            self.joints.pop_front();
        }
        (
            at_rest,
            &self.caused_by,
            self.joints.front().and_then(Option::as_ref),
        )
    }
}
