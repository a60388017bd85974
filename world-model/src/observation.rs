//! What the filter sees of the world: a picture's embedding, the state of the joints, or both.

use robot::JointState;
use serde::{Deserialize, Serialize};

/// What a model observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// The camera's picture, as PlaNet does.
    #[default]
    Pixels,
    /// Positions and velocities of the joints.
    Joints,
    /// Both.
    PixelsAndJoints,
}

impl Observation {
    /// Whether pictures are part of it.
    pub const fn pixels(self) -> bool {
        matches!(self, Self::Pixels | Self::PixelsAndJoints)
    }

    /// Whether joints are part of it.
    pub const fn joints(self) -> bool {
        matches!(self, Self::Joints | Self::PixelsAndJoints)
    }

    /// Numbers that the joints of a robot with `joints` of them add: a position and a velocity each, or nothing.
    pub const fn joint_numbers(self, joints: usize) -> usize {
        if self.joints() { 2 * joints } else { 0 }
    }
}

/// Mean and standard deviation of a joint's state in the logs that the model learned from. In their terms every joint's
/// numbers have about the same size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JointScale {
    /// Mean position.
    pub position_mean_rad: f32,
    /// Its standard deviation.
    pub position_std_rad: f32,
    /// Mean velocity.
    pub velocity_mean_rad_s: f32,
    /// Its standard deviation.
    pub velocity_std_rad_s: f32,
}

impl JointScale {
    /// Position and velocity in standard deviations from the mean.
    pub fn standardise(&self, position_rad: f32, velocity_rad_s: f32) -> [f32; 2] {
        [
            (position_rad - self.position_mean_rad) / self.position_std_rad,
            (velocity_rad_s - self.velocity_mean_rad_s) / self.velocity_std_rad_s,
        ]
    }

    /// Whether it can be divided by.
    pub fn is_sound(&self) -> bool {
        let numbers = [
            self.position_mean_rad,
            self.position_std_rad,
            self.velocity_mean_rad_s,
            self.velocity_std_rad_s,
        ];
        numbers.iter().all(|value| value.is_finite())
            && self.position_std_rad > 0.0
            && self.velocity_std_rad_s > 0.0
    }
}

/// Joins a picture's embedding and the joints to what the filter takes. Allocates nothing once it is made.
#[derive(Debug, Clone)]
pub struct Observer {
    /// One a joint, or none if the model does not see them.
    scales: Vec<JointScale>,
    /// The picture's part first.
    observed: Vec<f32>,
}

impl Observer {
    /// For embeddings of `image` numbers, and joints in these terms.
    pub fn new(image: usize, scales: &[JointScale]) -> Self {
        Self {
            scales: scales.to_vec(),
            observed: vec![0.0; image + 2 * scales.len()],
        }
    }

    /// `[embedding, q_0, q'_0, q_1, q'_1, ...]`; `None` if the joints of a model that sees them are not known, or one has
    /// no number: then nothing was observed.
    ///
    /// # Panics
    /// If `embedding` has another length than was said.
    pub fn observe<'a>(&'a mut self, embedding: &'a [f32], joints: Option<&JointState>) -> Option<&'a [f32]> {
        if self.scales.is_empty() {
            return Some(embedding);
        }
        let (image, rest) = self.observed.split_at_mut(embedding.len());
        assert_eq!(rest.len(), 2 * self.scales.len(), "embeddings keep their length");
        image.copy_from_slice(embedding);
        let joints = joints?;
        let (positions, velocities) = (&joints.position_rad, &joints.velocity_rad_s);
        let count = self.scales.len();
        let sound = positions.len() == count
            && velocities.len() == count
            && positions.iter().chain(velocities).all(|value| value.is_finite());
        if !sound {
            return None;
        }
        for (index, scale) in self.scales.iter().enumerate() {
            rest[2 * index..2 * index + 2]
                .copy_from_slice(&scale.standardise(positions[index], velocities[index]));
        }
        Some(&self.observed)
    }
}
