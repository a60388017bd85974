//! Pictures of an arm with two joints, drawn fast, by a camera with noise or without.

use robot::philox::Stream;

/// Pixels a side.
pub(crate) const SIDE: usize = 64;

/// Bytes of a picture.
pub(crate) const BYTES: usize = 3 * SIDE * SIDE;

/// Length of the arm's two links, and half of their width, in pixels.
const LINKS: [f32; 2] = [16.0, 14.0];
const HALF_WIDTH: f32 = 1.8;

/// A scene. Light and noise are a function of the seed and of how many pictures were drawn.
pub(crate) struct Scene {
    stream: Stream,
    /// Noise from which each picture takes its own part.
    noise: Vec<i8>,
    background: Vec<u8>,
    walk: f32,
}

impl Scene {
    pub(crate) fn new(seed: u64) -> Self {
        let mut stream = Stream::new(seed, 0x5CE2E);
        // Sums of four numbers from -2 to 2: a standard deviation of 2.8 levels.
        let one = |stream: &mut Stream| -> i8 {
            let bytes = stream.next_u32().to_le_bytes();
            bytes.iter().map(|byte| (byte % 5) as i8 - 2).sum()
        };
        let noise = (0..4 * BYTES).map(|_| one(&mut stream)).collect();
        let level =
            |index: usize| (90 + 60 * (index / 3 % SIDE) / SIDE + 30 * (index / 3 / SIDE) / SIDE) as u8;
        Self {
            stream,
            noise,
            background: (0..BYTES).map(level).collect(),
            walk: 0.0,
        }
    }

    /// A number from 0 to 1.
    pub(crate) fn uniform(&mut self) -> f32 {
        self.stream.uniform()
    }

    /// Light of picture `number`, as a share: it drifts by a fifth, wanders, and flickers with the mains.
    pub(crate) fn light(&mut self, number: u64) -> f32 {
        self.walk = (self.walk + 0.004 * (self.uniform() - 0.5)).clamp(-0.3, 0.3);
        let flicker = 0.04 * (self.uniform() - 0.5);
        1.0 + 0.2 * (number as f32 / 300.0).sin() + self.walk + flicker
    }

    /// An arm with these joints under that much light, with the camera's noise or without.
    pub(crate) fn draw(&mut self, position_rad: &[f32], light: f32, noisy: bool) -> Vec<u8> {
        let mut rgb = self.background.clone();
        let (mut x, mut y, mut bearing) = (SIDE as f32 / 2.0, SIDE as f32 / 2.0, 0.0);
        for (length, angle) in LINKS.iter().zip(position_rad) {
            bearing += angle;
            let (dx, dy): (f32, f32) = (f32::cos(bearing), -f32::sin(bearing));
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let (right, down) = (column as f32 - x, row as f32 - y);
                    let (along, aside) = (right * dx + down * dy, right * dy - down * dx);
                    if (0.0..=*length).contains(&along) && aside.abs() <= HALF_WIDTH {
                        rgb[3 * (row * SIDE + column)..][..3].fill(40);
                    }
                }
            }
            (x, y) = (x + length * dx, y + length * dy);
        }
        let from = self.stream.below(self.noise.len() - BYTES);
        for (level, noise) in rgb.iter_mut().zip(&self.noise[from..]) {
            let noise = if noisy { f32::from(*noise) } else { 0.0 };
            *level = (f32::from(*level) * light + noise) as u8;
        }
        rgb
    }
}
