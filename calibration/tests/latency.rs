//! Delays of pictures that are made up: noise, light that flickers, a camera that sees little, and joints that are read badly.

use calibration::Verdict;
use calibration::latency::{self, Track, Wiggle};

/// Numbers that look random, between -1 and 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

const PERIOD_S: f64 = 0.1;
const PIXELS: usize = 400;

/// What a camera sees, and how well.
struct Scene {
    delay_s: f64,
    edges: usize,
    /// Pixels over which a bright bar moves for each radian.
    pixels_per_rad: f64,
    noise: f64,
    flicker: f64,
    /// Greatest error of a joint's reading.
    reading_rad: f64,
}

const PLAIN: Scene = Scene {
    delay_s: 0.08,
    edges: 200,
    pixels_per_rad: 200.0,
    noise: 0.0,
    flicker: 0.0,
    reading_rad: 0.0,
};

fn measure(scene: &Scene, seed: u64) -> latency::Delay {
    let mut noise = Noise(seed);
    let wiggle = Wiggle::of(0.0, (-1.0, 1.0), 1.0, PERIOD_S as f32);
    let angle = |time_s: f64| wiggle.at(time_s.max(0.0));
    let mut positions = Vec::new();
    let mut pictures: Vec<(f64, Vec<u8>)> = Vec::new();
    for edge in 0..scene.edges {
        let time_s = edge as f64 * PERIOD_S;
        positions.push((time_s, angle(time_s) + scene.reading_rad * noise.next()));
        let bar = 100.0 + scene.pixels_per_rad * angle(time_s - scene.delay_s);
        let light = 1.0 + scene.flicker * noise.next();
        let levels = (0..PIXELS).map(|pixel| {
            let bright = 30.0 + 180.0 / (1.0 + ((pixel as f64 - bar) / 6.0).powi(2));
            (light * bright + scene.noise * noise.next()).clamp(0.0, 255.0) as u8
        });
        pictures.push((time_s, levels.collect()));
    }
    let pictures: Vec<(f64, &[u8])> = pictures
        .iter()
        .map(|(time_s, levels)| (*time_s, levels.as_slice()))
        .collect();
    latency::pictures(&Track::smooth(&positions), &pictures)
}

#[test]
fn delays_are_found_through_noise_and_flicker() {
    for seed in 0..20 {
        let mut noise = Noise(seed);
        let scene = Scene {
            delay_s: 0.15 + 0.15 * noise.next(),
            noise: 12.0,
            flicker: 0.1,
            reading_rad: 0.002,
            ..PLAIN
        };
        let found = measure(&scene, seed);
        let error_s = (found.delay_s - scene.delay_s).abs();
        assert!(
            error_s < 0.005,
            "seed {seed}: {} of {}",
            found.delay_s,
            scene.delay_s
        );
        // The interval is no wish: the truth is within twice of it.
        assert!(
            error_s < 2.0 * found.interval_s + 1e-3,
            "seed {seed}: {error_s} beside {}",
            found.interval_s
        );
        assert!(found.verdict.is_accepted(), "seed {seed}: {}", found.verdict);
    }
}

#[test]
fn what_cannot_be_measured_is_to_be_done_again_with_a_reason() {
    for (what, scene, words) in [
        ("short", Scene { edges: 30, ..PLAIN }, "let it run longer"),
        (
            "unseen",
            Scene {
                pixels_per_rad: 0.0,
                ..PLAIN
            },
            "all pictures are the same",
        ),
        (
            "unseen, with noise",
            Scene {
                pixels_per_rad: 0.0,
                noise: 12.0,
                ..PLAIN
            },
            "",
        ),
        (
            "too late",
            Scene {
                delay_s: 1.4,
                ..PLAIN
            },
            "",
        ),
    ] {
        let found = measure(&scene, 1);
        let said = found.verdict.to_string();
        assert!(
            !found.verdict.is_accepted() && said.starts_with("do it again") && said.contains(words),
            "{what}: {said}"
        );
    }
    let still = Track::smooth(&(0..100).map(|edge| (f64::from(edge), 0.5)).collect::<Vec<_>>());
    let picture = [0_u8; 4];
    let pictures: Vec<(f64, &[u8])> = (0..100).map(|edge| (f64::from(edge), &picture[..])).collect();
    let said = latency::pictures(&still, &pictures).verdict.to_string();
    assert!(said.contains("0.000 rad"), "{said}");
}

#[test]
fn a_command_is_followed_after_its_delay() {
    let wiggle = Wiggle::of(0.0, (-1.0, 1.0), 1.0, PERIOD_S as f32);
    let command: Vec<(f64, f64)> = (0..200)
        .map(|edge| f64::from(edge) * PERIOD_S)
        .map(|time_s| (time_s, wiggle.at(time_s)))
        .collect();
    for delay_s in [0.0, 0.03, 0.11, 0.3] {
        let joint: Vec<(f64, f64)> = command
            .iter()
            .map(|(time_s, _)| (*time_s, 0.1 + wiggle.at((time_s - delay_s).max(0.0))))
            .collect();
        let found = latency::follows(&Track::smooth(&joint), &Track::straight(&command));
        assert!((found.delay_s - delay_s).abs() < 0.005, "{delay_s}: {found:?}");
        assert_eq!(found.verdict, Verdict::Good);
    }
}

#[test]
fn a_wiggle_keeps_range_and_speed() {
    for (from_rad, range, speed_rad_s) in [
        (0.0, (-1.0, 1.0), 0.6),
        (0.95, (-1.0, 1.0), 0.6),
        (-1.0, (-1.0, 1.0), 3.0),
        (0.0, (-0.05, 0.1), 3.0),
        (0.0, (-2.0, 2.0), 0.05),
    ] {
        let wiggle = Wiggle::of(from_rad, range, speed_rad_s, 0.1);
        let mut before = wiggle.at(0.0);
        assert_eq!(before, 0.0);
        for step in 1..3000 {
            let moved = wiggle.at(f64::from(step) * 0.01);
            let at = f64::from(from_rad) + moved;
            assert!(
                at >= f64::from(range.0) - 1e-6 && at <= f64::from(range.1) + 1e-6,
                "{at} of {range:?}"
            );
            assert!((moved - before).abs() / 0.01 <= f64::from(speed_rad_s) * 0.61);
            before = moved;
        }
    }
}
