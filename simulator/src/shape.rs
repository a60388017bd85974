//! Where a ray meets a primitive, in the primitive's own frame. Rays start outside; unit directions.

use rapier3d::math::Vector;

/// A primitive centred on its origin; capsules and cylinders lie along z, a plane is z = 0 seen from above.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Plane,
    Box { half: Vector },
    Sphere { radius: f32 },
    Capsule { radius: f32, half_length: f32 },
    Cylinder { radius: f32, half_length: f32 },
}

/// A ray in a primitive's frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ray {
    pub(crate) origin: Vector,
    pub(crate) direction: Vector,
}

/// The first point of a ray on a surface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) distance: f32,
    pub(crate) normal: Vector,
}

impl Ray {
    fn at(&self, distance: f32) -> Vector {
        self.origin + self.direction * distance
    }
}

impl Shape {
    /// Radius of the smallest sphere around the origin that contains the shape.
    pub(crate) fn bounding_radius_m(&self) -> f32 {
        match *self {
            Self::Plane => f32::INFINITY,
            Self::Box { half } => half.length(),
            Self::Sphere { radius } => radius,
            Self::Capsule { radius, half_length } => radius + half_length,
            Self::Cylinder { radius, half_length } => (radius * radius + half_length * half_length).sqrt(),
        }
    }

    /// The nearest meeting in front of the ray's origin.
    pub(crate) fn hit(&self, ray: &Ray) -> Option<Hit> {
        match *self {
            Self::Plane => disc(ray, 0.0, f32::INFINITY, 1.0),
            Self::Box { half } => cuboid(ray, half),
            Self::Sphere { radius } => ball(ray, 0.0, radius),
            Self::Capsule { radius, half_length } => {
                let middle = tube(ray, radius, half_length);
                // A ray that meets the tube from outside meets it before either cap.
                middle.or_else(|| nearer(ball(ray, half_length, radius), ball(ray, -half_length, radius)))
            }
            Self::Cylinder { radius, half_length } => {
                let lid = if ray.direction.z < 0.0 {
                    half_length
                } else {
                    -half_length
                };
                tube(ray, radius, half_length).or_else(|| disc(ray, lid, radius, lid.signum()))
            }
        }
    }
}

fn nearer(a: Option<Hit>, b: Option<Hit>) -> Option<Hit> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.distance <= b.distance { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// A sphere whose centre is at `z`.
fn ball(ray: &Ray, z: f32, radius: f32) -> Option<Hit> {
    let centre = Vector::new(0.0, 0.0, z);
    let from_centre = ray.origin - centre;
    let half_b = from_centre.dot(ray.direction);
    // The ray's nearest point rather than |o|^2 - r^2: a distant camera would cancel away most of the digits.
    let nearest = from_centre - ray.direction * half_b;
    let square = radius * radius - nearest.length_squared();
    if square < 0.0 {
        return None;
    }
    let distance = -half_b - square.sqrt();
    (distance > 0.0).then(|| Hit {
        distance,
        normal: (ray.at(distance) - centre) * (1.0 / radius),
    })
}

/// The open side of a cylinder, from outside.
fn tube(ray: &Ray, radius: f32, half_length: f32) -> Option<Hit> {
    let (o, d) = (ray.origin, ray.direction);
    let a = d.x * d.x + d.y * d.y;
    if a < 1e-12 {
        return None;
    }
    let half_b = (o.x * d.x + o.y * d.y) / a;
    let (nx, ny) = (o.x - d.x * half_b, o.y - d.y * half_b);
    let square = (radius * radius - nx * nx - ny * ny) / a;
    if square < 0.0 {
        return None;
    }
    let distance = -half_b - square.sqrt();
    let point = ray.at(distance);
    (distance > 0.0 && point.z.abs() <= half_length).then(|| Hit {
        distance,
        normal: Vector::new(point.x, point.y, 0.0) * (1.0 / radius),
    })
}

/// A disc across z that faces `side`.
fn disc(ray: &Ray, z: f32, radius: f32, side: f32) -> Option<Hit> {
    if ray.direction.z * side >= 0.0 {
        return None;
    }
    let distance = (z - ray.origin.z) / ray.direction.z;
    let point = ray.at(distance);
    (distance > 0.0 && point.x * point.x + point.y * point.y <= radius * radius).then(|| Hit {
        distance,
        normal: Vector::new(0.0, 0.0, side),
    })
}

fn cuboid(ray: &Ray, half: Vector) -> Option<Hit> {
    let mut enter = f32::NEG_INFINITY;
    let mut leave = f32::INFINITY;
    let mut normal = Vector::ZERO;
    for axis in 0..3 {
        let (o, d, h) = (ray.origin[axis], ray.direction[axis], half[axis]);
        if d == 0.0 {
            if o.abs() > h {
                return None;
            }
            continue;
        }
        let side = if d > 0.0 { -1.0 } else { 1.0 };
        let (near, far) = ((side * h - o) / d, (-side * h - o) / d);
        if near > enter {
            enter = near;
            normal = Vector::ZERO;
            normal[axis] = side;
        }
        leave = leave.min(far);
    }
    (enter > 0.0 && enter <= leave).then_some(Hit {
        distance: enter,
        normal,
    })
}
