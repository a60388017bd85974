//! Whether a picture repeats an earlier one although the arm has moved since.
//!
//! A picture of an arm at rest may well be the same to the last bit, if the camera has no noise. That of an arm that has moved is not.

use robot::{ActionMode, Config, JointVec};

/// Edges that are remembered: as many as pictures may be late, and some more.
const EDGES: usize = 8 + robot::config::DELAY_TICKS_MAX as usize;

/// How far a joint must have moved between two pictures, so that they must differ, in radians.
const MOVED_RAD: f32 = 0.05;

/// Where the joints were at the last edges, and the picture that was used last. Allocates nothing.
#[derive(Debug)]
pub(crate) struct Motion {
    /// What an actuator reports is its control, and no motion.
    judging: bool,
    /// How old what the arm reports at an edge may be.
    report_age_ns: u64,
    /// How much earlier a picture's motion was than the picture's time.
    delay_ns: u64,
    /// Time of an edge, and the joints as the arm reported them then; the oldest is overwritten.
    edges: [(u64, JointVec); EDGES],
    next: usize,
    /// Hash of the last picture that differed from the one before it, and when it was taken.
    picture: Option<(u64, u64)>,
    /// The first edge from which on all that the arm moves must show, and the joints then. Kept for as long as the picture is the same, so
    /// that an arm that moves slowly is seen to have moved, too.
    from: Option<(u64, JointVec)>,
    /// Whether that picture was told to be repeated: then it is until another comes.
    stuck: bool,
}

impl Motion {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            judging: config.envelope.mode() == ActionMode::Velocity,
            report_age_ns: (f64::from(config.period_s) * 0.5e9) as u64,
            delay_ns: (f64::from(config.camera_delay_s) * 1e9) as u64,
            edges: std::array::from_fn(|_| (0, JointVec::new())),
            next: 0,
            picture: None,
            from: None,
            stuck: false,
        }
    }

    /// The joints as the arm reported them at this edge.
    pub(crate) fn note(&mut self, edge_ns: u64, position_rad: &JointVec) {
        let is_after = |(_, first_ns): (u64, u64)| edge_ns >= first_ns.saturating_add(self.report_age_ns);
        if self.from.is_none() && self.picture.is_some_and(is_after) {
            self.from = Some((edge_ns, position_rad.clone()));
        }
        self.edges[self.next] = (edge_ns, position_rad.clone());
        self.next = (self.next + 1) % EDGES;
    }

    /// Whether the picture with this hash, taken at `captured_ns`, is the one before, and the arm has moved between the two. What the arm
    /// reports at an edge was measured before that edge, and at most half a period before. So all of the motion from an edge half a
    /// period after the first picture until an edge before the second one must show.
    pub(crate) fn is_repeated(&mut self, hash: u64, captured_ns: u64) -> bool {
        let captured_ns = captured_ns.saturating_sub(self.delay_ns);
        if !self.judging || self.picture.is_none_or(|(before, _)| before != hash) {
            (self.picture, self.stuck) = (Some((hash, captured_ns)), false);
            let shows_ns = captured_ns.saturating_add(self.report_age_ns);
            let after = self
                .edges
                .iter()
                .filter(|edge| is_noted(edge) && edge.0 >= shows_ns);
            self.from = after.min_by_key(|(edge_ns, _)| *edge_ns).cloned();
            return false;
        }
        let Some((from_ns, from)) = &self.from else {
            return self.stuck;
        };
        let between = self
            .edges
            .iter()
            .filter(|edge| is_noted(edge) && (*from_ns..=captured_ns).contains(&edge.0));
        if let Some((_, to)) = between.max_by_key(|(edge_ns, _)| *edge_ns) {
            let moved = |(from, to): (&f32, &f32)| (from - to).abs() > MOVED_RAD;
            self.stuck |= from.iter().zip(to).any(moved);
        }
        self.stuck
    }
}

fn is_noted((_, joints): &&(u64, JointVec)) -> bool {
    !joints.is_empty()
}
