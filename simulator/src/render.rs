//! The camera: an analytic ray-caster with hard shadows. No graphics library, no meshes, the same pixels everywhere.
//!
//! Only additions, multiplications, divisions and square roots, which IEEE 754 defines to the last bit. Four samples a
//! pixel in a rotated grid: each has a row and a column of its own, so that an edge moving by a quarter of a pixel in
//! either direction changes the picture.

use rapier3d::math::{Mat3, Pose, Vector};
use robot::Frame;

use crate::camera::Projection;
use crate::scene::Scene;
use crate::shape::{Ray, Shape};

/// Light that reaches even shadows; the rest comes from the lamp.
const AMBIENT: f32 = 0.5;

/// What a ray that meets nothing sees.
const BACKGROUND: [f32; 3] = [0.1, 0.1, 0.12];

/// Keeps a shadow ray from meeting the surface that it starts on.
const SHADOW_BIAS_M: f32 = 1e-3;

/// Sample positions within a pixel, as (column, row).
const SAMPLES: [(f32, f32); 4] = [(0.375, 0.125), (0.875, 0.375), (0.125, 0.625), (0.625, 0.875)];

/// A shape placed in the world, with what culling needs.
#[derive(Debug, Clone)]
struct Placed {
    shape: Shape,
    /// World from local.
    rotation: Mat3,
    centre: Vector,
    colour: [f32; 3],
    /// Square of the bounding sphere's radius; infinite for a plane.
    bound_square: f32,
    /// Pixels that the bounding sphere can touch: first and last-plus-one column, then row.
    columns: (u16, u16),
    rows: (u16, u16),
}

/// The renderer's buffers, so that a frame allocates nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Renderer {
    poses: Vec<Pose>,
    placed: Vec<Placed>,
    /// Shapes that reach into the row being drawn.
    row: Vec<usize>,
}

impl Renderer {
    /// Draws the scene for these joint angles and this target.
    pub(crate) fn render(
        &mut self,
        scene: &Scene,
        position_rad: &[f32],
        target_m: [f32; 3],
        frame: &mut Frame,
    ) {
        let side = frame.side();
        let camera = scene.camera.of_side(side);
        self.place(scene, &camera, position_rad, target_m);
        for (y, line) in frame.rgb_mut().chunks_exact_mut(side * 3).enumerate() {
            self.row.clear();
            let placed = self.placed.iter().enumerate();
            self.row.extend(
                placed
                    .filter(|(_, p)| (p.rows.0..p.rows.1).contains(&(y as u16)))
                    .map(|(index, _)| index),
            );
            for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
                let mut sum = [0.0_f32; 3];
                for (dx, dy) in SAMPLES {
                    let direction = camera.direction(x as f32 + dx, y as f32 + dy);
                    let colour = self.sample(scene, x as u16, camera.eye(), direction);
                    for (total, channel) in sum.iter_mut().zip(colour) {
                        *total += channel;
                    }
                }
                for (byte, total) in pixel.iter_mut().zip(sum) {
                    *byte = (total * (255.0 / SAMPLES.len() as f32) + 0.5).clamp(0.0, 255.0) as u8;
                }
            }
        }
    }

    fn place(&mut self, scene: &Scene, camera: &Projection<'_>, position_rad: &[f32], target_m: [f32; 3]) {
        self.poses.resize(scene.body_count(), Pose::IDENTITY);
        scene.poses(position_rad, target_m, &mut self.poses);
        self.placed.clear();
        for geom in &scene.geoms {
            let pose = self.poses[geom.body] * geom.local;
            let radius = geom.shape.bounding_radius_m();
            let (columns, rows) = camera.bounds(pose.translation, radius);
            self.placed.push(Placed {
                shape: geom.shape,
                rotation: Mat3::from_quat(pose.rotation),
                centre: pose.translation,
                colour: geom.colour,
                bound_square: radius * radius,
                columns,
                rows,
            });
        }
    }

    /// The colour that one ray sees.
    fn sample(&self, scene: &Scene, column: u16, eye: Vector, direction: Vector) -> [f32; 3] {
        let mut nearest = f32::INFINITY;
        let mut seen = None;
        for &index in &self.row {
            let placed = &self.placed[index];
            if column < placed.columns.0 || column >= placed.columns.1 {
                continue;
            }
            if let Some(hit) = placed.shape.hit(&placed.local_ray(eye, direction))
                && hit.distance < nearest
            {
                nearest = hit.distance;
                seen = Some((placed, hit.normal));
            }
        }
        let Some((placed, normal)) = seen else {
            return BACKGROUND;
        };
        let facing = (placed.rotation * normal).dot(scene.to_light);
        let lit = if facing > 0.0 && !self.shadowed(scene, eye + direction * nearest) {
            facing
        } else {
            0.0
        };
        let light = AMBIENT + (1.0 - AMBIENT) * lit;
        placed.colour.map(|channel| channel * light)
    }

    fn shadowed(&self, scene: &Scene, point: Vector) -> bool {
        let start = point + scene.to_light * SHADOW_BIAS_M;
        self.placed.iter().any(|placed| {
            let to_centre = placed.centre - start;
            let along = to_centre.dot(scene.to_light);
            let aside_square = to_centre.length_squared() - along * along;
            // Every light shines from above and a plane is the ground: it can hide nothing.
            let may_hide = aside_square < placed.bound_square && placed.bound_square.is_finite();
            may_hide
                && placed
                    .shape
                    .hit(&placed.local_ray(start, scene.to_light))
                    .is_some()
        })
    }
}

impl Placed {
    fn local_ray(&self, origin: Vector, direction: Vector) -> Ray {
        Ray {
            origin: self.rotation.mul_transpose_vec3(origin - self.centre),
            direction: self.rotation.mul_transpose_vec3(direction),
        }
    }
}
