//! The limits nothing may pass: the last word on every action.

use crate::{ActionMode, Chain, Joint, JointVec, joint};

/// A commanded position and the speed at which it is moving.
#[derive(Debug, Clone, PartialEq)]
pub struct SetPoint {
    /// Commanded joint positions.
    pub position_rad: JointVec,
    /// Rate of change over the period that ended here.
    pub velocity_rad_s: JointVec,
}

impl SetPoint {
    /// At rest at `position_rad`.
    pub fn at_rest(position_rad: JointVec) -> Self {
        let velocity_rad_s = joint::zeros(position_rad.len());
        Self {
            position_rad,
            velocity_rad_s,
        }
    }
}

/// Which limits changed an action; a bit each, so that a log row stays one number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitHits(pub u8);

impl LimitHits {
    /// The action was not a finite number and became zero.
    pub const NOT_FINITE: u8 = 1;
    /// The speed limit of a joint.
    pub const VELOCITY: u8 = 1 << 1;
    /// The acceleration limit of a joint.
    pub const ACCELERATION: u8 = 1 << 2;
    /// A position limit, including braking in time for it.
    pub const POSITION: u8 = 1 << 3;
    /// The workspace box.
    pub const WORKSPACE: u8 = 1 << 4;

    /// Whether nothing was changed.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What the envelope made of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct Clamped {
    /// The action that will be carried out, in [-1, 1] a joint.
    pub action: JointVec,
    /// The set point at the end of the period.
    pub set_point: SetPoint,
    /// Limits that intervened.
    pub hits: LimitHits,
}

/// Position, velocity and acceleration limits a joint, and a box the tip stays in.
///
/// What an action asks for is the [`ActionMode`]'s to say. The same function clamps candidates while planning
/// and the chosen action before it is sent, so the action scored is the action sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    joints: Vec<Joint>,
    mode: ActionMode,
    chain: Chain,
    workspace_min_m: [f32; 3],
    workspace_max_m: [f32; 3],
    period_s: f32,
}

impl Envelope {
    /// Assembles checked parts; [`crate::Config`] is what checks them.
    pub fn new(
        joints: Vec<Joint>,
        mode: ActionMode,
        chain: Chain,
        workspace_min_m: [f32; 3],
        workspace_max_m: [f32; 3],
        period_s: f32,
    ) -> Self {
        Self {
            joints,
            mode,
            chain,
            workspace_min_m,
            workspace_max_m,
            period_s,
        }
    }

    /// Actuators of a plant that has no tip to keep in a box.
    pub fn without_geometry(joints: Vec<Joint>, mode: ActionMode, period_s: f32) -> Self {
        let everywhere = f32::INFINITY;
        Self::new(
            joints,
            mode,
            Chain::default(),
            [-everywhere; 3],
            [everywhere; 3],
            period_s,
        )
    }

    /// What an action means.
    pub fn mode(&self) -> ActionMode {
        self.mode
    }

    /// The joints, in order.
    pub fn joints(&self) -> &[Joint] {
        &self.joints
    }

    /// The kinematic chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The home pose, at rest.
    pub fn home(&self) -> SetPoint {
        SetPoint::at_rest(self.joints.iter().map(|joint| joint.home_rad).collect())
    }

    /// Whether a place in the base frame, in metres, is inside the workspace box.
    pub fn holds(&self, place_m: [f32; 3]) -> bool {
        (0..3).all(|axis| (self.workspace_min_m[axis]..=self.workspace_max_m[axis]).contains(&place_m[axis]))
    }

    /// Whether the tip is inside the workspace box at these joint angles.
    pub fn in_workspace(&self, position_rad: &[f32]) -> bool {
        let tip = self.chain.tip_m(position_rad);
        (0..3).all(|axis| tip[axis] >= self.workspace_min_m[axis] && tip[axis] <= self.workspace_max_m[axis])
    }

    /// Clamps `action` (one number a joint, nominally in [-1, 1]) for a period that starts at `from`.
    ///
    /// Order: finite, speed, acceleration, braking distance to the position limits, position limits, workspace.
    /// Where limits conflict the later wins: an arm may brake harder than its acceleration limit, never leave its box.
    pub fn clamp(&self, from: &SetPoint, action: &[f32]) -> Clamped {
        let dt = self.period_s;
        let mut hits = 0;
        let mut velocity = JointVec::new();
        for (index, joint) in self.joints.iter().enumerate() {
            let asked = action.get(index).copied().unwrap_or(0.0);
            let finite = if asked.is_finite() {
                asked
            } else {
                hits |= LimitHits::NOT_FINITE;
                0.0
            };
            let position = from.position_rad[index];
            let mut v = match self.mode {
                ActionMode::Velocity => finite * joint.velocity_max_rad_s,
                ActionMode::Absolute => {
                    let target = joint.middle_rad() + finite * joint.half_range_rad();
                    let within = target.max(joint.position_min_rad).min(joint.position_max_rad);
                    if within != target {
                        hits |= LimitHits::POSITION;
                    }
                    (within - position) / dt
                }
            };
            let mut bound = |v: f32, low: f32, high: f32, bit: u8| {
                let bounded = v.max(low).min(high);
                if bounded != v {
                    hits |= bit;
                }
                bounded
            };
            v = bound(
                v,
                -joint.velocity_max_rad_s,
                joint.velocity_max_rad_s,
                LimitHits::VELOCITY,
            );
            let before = from.velocity_rad_s[index];
            let change = joint.acceleration_max_rad_s2 * dt;
            v = bound(v, before - change, before + change, LimitHits::ACCELERATION);
            if self.mode == ActionMode::Absolute {
                // It is within its range already, and has nothing to brake.
                let _ = velocity.push(v);
                continue;
            }
            let up = braking_velocity(
                joint.position_max_rad - position,
                joint.acceleration_max_rad_s2,
                dt,
            );
            let down = braking_velocity(
                position - joint.position_min_rad,
                joint.acceleration_max_rad_s2,
                dt,
            );
            v = bound(v, -down, up, LimitHits::POSITION);
            // The capacity is MAX_JOINTS and a checked robot has no more joints.
            let _ = velocity.push(v);
        }
        let mut fraction = 1.0;
        let mut next = self.advance(from, &velocity, fraction);
        if !self.in_workspace(&next.position_rad) {
            hits |= LimitHits::WORKSPACE;
            for smaller in [0.5, 0.25, 0.125, 0.0] {
                fraction = smaller;
                next = self.advance(from, &velocity, fraction);
                if self.in_workspace(&next.position_rad) {
                    break;
                }
            }
        }
        let action = self
            .joints
            .iter()
            .zip(&next.velocity_rad_s)
            .zip(&next.position_rad)
            .map(|((joint, v), position)| match self.mode {
                ActionMode::Velocity => v / joint.velocity_max_rad_s,
                ActionMode::Absolute => (position - joint.middle_rad()) / joint.half_range_rad(),
            })
            .map(|action| action.clamp(-1.0, 1.0))
            .collect();
        Clamped {
            action,
            set_point: next,
            hits: LimitHits(hits),
        }
    }

    /// The action that says what happens while nothing new is sent: an arm at `position_rad` holds there, which is none; of an
    /// actuator the control stands, as if it were sent again.
    pub fn standing_action(&self, position_rad: &[f32]) -> JointVec {
        let standing = |(joint, position): (&Joint, &f32)| match self.mode {
            ActionMode::Velocity => 0.0,
            ActionMode::Absolute => (position - joint.middle_rad()) / joint.half_range_rad(),
        };
        let pairs = self.joints.iter().zip(position_rad);
        pairs
            .map(standing)
            .map(|action| action.clamp(-1.0, 1.0))
            .collect()
    }

    fn advance(&self, from: &SetPoint, velocity_rad_s: &[f32], fraction: f32) -> SetPoint {
        let mut next = from.clone();
        for (index, joint) in self.joints.iter().enumerate() {
            let v = velocity_rad_s[index] * fraction;
            // A pose that starts outside (a person moved the arm) is led back, not thrown back.
            let low = joint.position_min_rad.min(from.position_rad[index]);
            let high = joint.position_max_rad.max(from.position_rad[index]);
            next.position_rad[index] = (from.position_rad[index] + v * self.period_s).max(low).min(high);
            next.velocity_rad_s[index] = v;
        }
        next
    }
}

/// The largest speed towards a limit `distance_rad` away from which braking at `acceleration` still stops in time:
/// the positive root of `v dt + v^2 / (2 a) = d`.
fn braking_velocity(distance_rad: f32, acceleration: f32, dt: f32) -> f32 {
    if distance_rad <= 0.0 {
        return 0.0;
    }
    acceleration * ((dt * dt + 2.0 * distance_rad / acceleration).sqrt() - dt)
}
