//! Forward kinematics of a serial chain.

use nalgebra::{Isometry3, Point3, Quaternion, Translation3, Unit, UnitQuaternion, Vector3};
use serde::{Deserialize, Serialize};

use crate::trig::sin_cos;

/// A fixed offset from the parent frame followed by a rotation about `axis` by the joint's angle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Joint origin in the parent's frame.
    pub origin_m: [f32; 3],
    /// Rotation axis in the parent's frame; need not be of unit length.
    pub axis: [f32; 3],
}

/// A chain of revolute joints ending in a tip. The default has no links, and its tip at the origin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chain {
    links: Vec<(Isometry3<f32>, Unit<Vector3<f32>>)>,
    tip: Point3<f32>,
}

impl Chain {
    /// Builds the chain; `None` if an axis has no direction.
    pub fn new(links: &[Link], tip_m: [f32; 3]) -> Option<Self> {
        let links = links
            .iter()
            .map(|link| {
                let offset = Isometry3::from_parts(
                    Translation3::from(Vector3::from(link.origin_m)),
                    UnitQuaternion::identity(),
                );
                Some((offset, Unit::try_new(Vector3::from(link.axis), 1e-6)?))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self {
            links,
            tip: Point3::from(tip_m),
        })
    }

    /// Tip position in the base frame, in metres, for joint angles in radians. Missing joints count as zero.
    pub fn tip_m(&self, position_rad: &[f32]) -> Point3<f32> {
        self.last_link(position_rad) * self.tip
    }

    /// Pose of the last link, which the tip is fixed to, in the base frame, likewise: metres.
    pub fn last_link(&self, position_rad: &[f32]) -> Isometry3<f32> {
        let mut pose = Isometry3::identity();
        for (index, (offset, axis)) in self.links.iter().enumerate() {
            let angle = position_rad.get(index).copied().unwrap_or(0.0);
            pose = pose * offset * rotation(axis, angle);
        }
        pose
    }
}

/// A turn by `angle` about `axis`, with our own sine and cosine.
fn rotation(axis: &Unit<Vector3<f32>>, angle: f32) -> UnitQuaternion<f32> {
    let (sin, cos) = sin_cos(0.5 * angle);
    UnitQuaternion::new_unchecked(Quaternion::from_parts(cos, axis.into_inner() * sin))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_link_planar_arm() {
        let z = [0.0, 0.0, 1.0];
        let chain = Chain::new(
            &[
                Link {
                    origin_m: [0.0; 3],
                    axis: z,
                },
                Link {
                    origin_m: [0.5, 0.0, 0.0],
                    axis: z,
                },
            ],
            [0.45, 0.0, 0.0],
        )
        .unwrap();
        let quarter = std::f32::consts::FRAC_PI_2;
        for (angles, expected) in [
            ([0.0, 0.0], [0.95, 0.0]),
            ([quarter, 0.0], [0.0, 0.95]),
            ([0.0, quarter], [0.5, 0.45]),
            ([quarter, -quarter], [0.45, 0.5]),
        ] {
            let tip = chain.tip_m(&angles);
            assert!(
                (tip.x - expected[0]).abs() < 1e-5 && (tip.y - expected[1]).abs() < 1e-5,
                "{angles:?}: {tip}"
            );
        }
        assert!(
            Chain::new(
                &[Link {
                    origin_m: [0.0; 3],
                    axis: [0.0; 3]
                }],
                [0.0; 3]
            )
            .is_none()
        );
    }
}
