//! How long a step, a state copy and a frame take: `speed`.

use std::hint::black_box;
use std::time::Instant;

use robot::Frame;
use simulator::{Simulator, Task};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (task, steps) in [(Task::ReachPlanar, 5_000_000_u32), (Task::Reach, 50_000)] {
        let mut simulator = Simulator::new(task)?;
        let origin = simulator.clone();
        let targets: Vec<[f32; 3]> = (0..64)
            .map(|i| {
                [
                    i as f32 * 0.01,
                    0.6 + (i % 7) as f32 * 0.02,
                    1.0 + (i % 5) as f32 * 0.03,
                ]
            })
            .collect();
        let set_point = |step: u32| &targets[step as usize / 5 % targets.len()][..simulator_joints(task)];

        let start = Instant::now();
        let mut total = 0.0;
        for step in 0..steps {
            simulator.step(black_box(set_point(step)), true, 0.02);
            if step % 5 == 4 {
                total += simulator.reward();
            }
        }
        let step_ns = start.elapsed().as_nanos() as f64 / f64::from(steps);
        black_box(total);

        let copies = steps / 10;
        let start = Instant::now();
        for _ in 0..copies {
            simulator.copy_state_from(black_box(&origin));
        }
        let copy_ns = start.elapsed().as_nanos() as f64 / f64::from(copies);

        let mut frame = Frame::default();
        let start = Instant::now();
        let frames = 500;
        for seed in 0..frames {
            simulator.reset(seed);
            simulator.render(&mut frame);
            black_box(&frame);
        }
        let frame_us = start.elapsed().as_micros() as f64 / frames as f64;
        println!(
            "{task}: step and a fifth of a reward {step_ns:.0} ns, state copy {copy_ns:.0} ns, frame {frame_us:.0} us"
        );
    }
    Ok(())
}

fn simulator_joints(task: Task) -> usize {
    simulator::joint_ranges_rad(task).len()
}
