//! What an MJCF file looks like: shapes on moving bodies, a camera and a light.

use rapier3d::math::{Pose, Rotation, Vector};
use rapier3d_mjcf::mjcf_rs::body::{self, GeomType, Site};
use rapier3d_mjcf::mjcf_rs::{Model, Pose as WidePose};

use crate::camera::Camera;
use crate::shape::Shape;
use crate::{SimulatorError, Task, trig};

/// Everything that is drawn, in the frames of the bodies it is fixed to.
#[derive(Debug)]
pub(crate) struct Scene {
    bodies: Vec<Body>,
    pub(crate) geoms: Vec<Geom>,
    pub(crate) camera: Camera,
    /// Unit vector from any point towards the light.
    pub(crate) to_light: Vector,
}

/// A shape fixed to a body.
#[derive(Debug)]
pub(crate) struct Geom {
    pub(crate) body: usize,
    pub(crate) local: Pose,
    pub(crate) shape: Shape,
    pub(crate) colour: [f32; 3],
}

#[derive(Debug)]
struct Body {
    parent: Option<usize>,
    local: Pose,
    moved_by: Mover,
}

#[derive(Debug, Clone, Copy)]
enum Mover {
    Nothing,
    /// The arm's joint of this index, about this axis through the body's origin.
    Joint(usize, Vector),
    /// The body is put where the target is.
    Target,
}

impl Scene {
    /// Reads what can be drawn out of a parsed model.
    pub(crate) fn new(model: &Model) -> Result<Self, SimulatorError> {
        let mut joint_count = 0;
        let mut bodies = Vec::with_capacity(model.bodies.len());
        let mut geoms = Vec::new();
        // Parents precede children in the model, so joints come out base first.
        for (id, entry) in model.bodies.iter().enumerate() {
            let moved_by = if entry.body.name.as_deref() == Some("target") {
                Mover::Target
            } else if let Some(joint) = entry.body.joints.first() {
                joint_count += 1;
                Mover::Joint(joint_count - 1, wide(joint.axis).normalize_or_zero())
            } else {
                Mover::Nothing
            };
            bodies.push(Body {
                parent: entry.parent,
                local: narrow(entry.body.pose),
                moved_by,
            });
            for geom in &entry.body.geoms {
                geoms.push(convert(id, geom)?);
            }
        }
        let camera = site(model, "camera")?;
        let light = site(model, "light")?;
        let field_of_view_deg = camera.user.first().copied().unwrap_or(45.0) as f32;
        let camera = Camera::new(narrow(camera.pose), field_of_view_deg.to_radians());
        let to_light = narrow(light.pose).rotation * Vector::Z;
        Ok(Self {
            bodies,
            geoms,
            camera,
            to_light,
        })
    }

    /// How many bodies [`Self::poses`] writes.
    pub(crate) fn body_count(&self) -> usize {
        self.bodies.len()
    }

    /// Where each body is, for these joint angles and this target.
    pub(crate) fn poses(&self, position_rad: &[f32], target_m: [f32; 3], out: &mut [Pose]) {
        for (index, body) in self.bodies.iter().enumerate() {
            let parent = body.parent.map_or(Pose::IDENTITY, |parent| out[parent]);
            out[index] = match body.moved_by {
                Mover::Nothing => parent * body.local,
                Mover::Target => Pose::from_translation(Vector::from_array(target_m)),
                Mover::Joint(joint, axis) => {
                    let half_rad = 0.5 * position_rad.get(joint).copied().unwrap_or(0.0);
                    let (sine, cosine) = trig::sin_cos(half_rad);
                    let turn = Rotation::from_xyzw(axis.x * sine, axis.y * sine, axis.z * sine, cosine);
                    parent * body.local * Pose::from_rotation(turn)
                }
            };
        }
    }
}

/// Parses a task's embedded scene.
pub(crate) fn parse(task: Task) -> Result<Model, SimulatorError> {
    Model::from_str(task.scene_xml(), ".").map_err(|source| SimulatorError::Parse { task, source })
}

fn site<'a>(model: &'a Model, name: &'static str) -> Result<&'a Site, SimulatorError> {
    let (body, index) = model
        .site_by_name(name)
        .ok_or(SimulatorError::Missing { what: "a site", name })?;
    Ok(&model.bodies[body].body.sites[index])
}

fn convert(body: usize, geom: &body::Geom) -> Result<Geom, SimulatorError> {
    let size = geom.size.map(|length| length as f32);
    let (local, half_length) = match geom.fromto {
        Some([ax, ay, az, bx, by, bz]) => {
            let (from, to) = (wide([ax, ay, az]), wide([bx, by, bz]));
            let along = to - from;
            let turn = Rotation::from_rotation_arc(Vector::Z, along.normalize_or(Vector::Z));
            (Pose::from_parts((from + to) * 0.5, turn), 0.5 * along.length())
        }
        None => (narrow(geom.pose), size[1]),
    };
    let shape = match geom.type_ {
        GeomType::Plane => Shape::Plane,
        GeomType::Box => Shape::Box {
            half: Vector::from_array(size),
        },
        GeomType::Sphere => Shape::Sphere { radius: size[0] },
        GeomType::Capsule => Shape::Capsule {
            radius: size[0],
            half_length,
        },
        GeomType::Cylinder => Shape::Cylinder {
            radius: size[0],
            half_length,
        },
        _ => {
            return Err(SimulatorError::Shape {
                name: geom.name.clone().unwrap_or_default(),
            });
        }
    };
    let [red, green, blue, _] = geom
        .rgba
        .unwrap_or([0.5, 0.5, 0.5, 1.0])
        .map(|channel| channel as f32);
    Ok(Geom {
        body,
        local,
        shape,
        colour: [red, green, blue],
    })
}

fn wide(vector: [f64; 3]) -> Vector {
    Vector::from_array(vector.map(|length| length as f32))
}

fn narrow(pose: WidePose) -> Pose {
    let [x, y, z, w] = pose.rotation.to_array().map(|part| part as f32);
    Pose::from_parts(wide(pose.translation.to_array()), Rotation::from_xyzw(x, y, z, w))
}
