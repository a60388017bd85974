//! The simulator as its users see it: determinism, kinematics, reward, camera and servos of every task.

use robot::device::Joints;
use robot::{Chain, Frame};
use simulator::{Simulator, Task, chain, joint_ranges_rad};

const STEP_S: f32 = 0.02;
const STEPS_A_PERIOD: usize = 5;

fn new(task: Task, seed: u64) -> Simulator {
    let mut simulator = Simulator::new(task).unwrap();
    simulator.reset(seed);
    simulator
}

fn frame(simulator: &mut Simulator) -> Frame {
    frame_of_side(simulator, 64)
}

fn frame_of_side(simulator: &mut Simulator, side: usize) -> Frame {
    let mut frame = Frame::new(side);
    simulator.render(&mut frame);
    frame
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Everything that a step may change, as bits.
fn state(simulator: &Simulator) -> Vec<u32> {
    let joints = simulator.joints();
    let [tip, target] = [simulator.tip_m(), simulator.target_m()];
    [
        &joints.position_rad[..],
        &joints.velocity_rad_s[..],
        &tip,
        &target,
        &[simulator.reward()],
    ]
    .into_iter()
    .flat_map(bits)
    .collect()
}

/// A lively, reproducible set point for a step.
fn wiggle(task: Task, step: usize) -> Vec<f32> {
    let phase = step as f32 * 0.01;
    joint_ranges_rad(task)
        .into_iter()
        .enumerate()
        .map(|(joint, (low, high))| {
            let wave = ((phase * (1.0 + joint as f32 * 0.4)).fract() * 2.0 - 1.0).abs();
            low + (high - low) * (0.1 + 0.8 * wave)
        })
        .collect()
}

fn robot_chain(task: Task) -> Chain {
    let (links, tip_m) = chain(task);
    Chain::new(&links, tip_m).unwrap()
}

fn distance_m(a: [f32; 3], b: [f32; 3]) -> f32 {
    (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f32>().sqrt()
}

/// The pose within the joint ranges that brings the tip to a point, by pattern search from several starts, and how far
/// it falls short. Of several poses, the one that is reached soonest from `from_rad`.
fn pose_at(task: Task, point_m: [f32; 3], from_rad: &[f32]) -> (Vec<f32>, f32) {
    let (chain, ranges) = (robot_chain(task), joint_ranges_rad(task));
    let cost = |pose: &[f32]| distance_m(chain.tip_m(pose).into(), point_m);
    let mut best = (vec![0.0; ranges.len()], f32::INFINITY);
    for start in 0..3_usize.pow(ranges.len() as u32) {
        let mut pose: Vec<f32> = ranges
            .iter()
            .enumerate()
            .map(|(joint, (low, high))| {
                low + (high - low) * [0.2, 0.5, 0.8][start / 3_usize.pow(joint as u32) % 3]
            })
            .collect();
        let (mut now, mut stride) = (cost(&pose), 0.4);
        while stride > 2e-4 && now > 1e-3 {
            let before = now;
            for joint in 0..pose.len() {
                for change in [stride, -stride] {
                    let kept = pose[joint];
                    pose[joint] = (kept + change).clamp(ranges[joint].0, ranges[joint].1);
                    let tried = cost(&pose);
                    if tried < now {
                        now = tried;
                    } else {
                        pose[joint] = kept;
                    }
                }
            }
            if now >= before {
                stride *= 0.5;
            }
        }
        let travel = |pose: &[f32]| {
            pose.iter()
                .zip(from_rad)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max)
        };
        let sooner = now <= 1e-3 && travel(&pose) < travel(&best.0);
        if sooner || (now < best.1 && best.1 > 1e-3) {
            best = (pose, now);
        }
    }
    best
}

/// Leads the set points to a pose at a speed a robot file would allow, as the firmware does; returns rewards by period.
fn lead_to(simulator: &mut Simulator, pose_rad: &[f32], speed_rad_s: f32, periods: usize) -> Vec<f32> {
    let mut set_point = simulator.joints().position_rad.to_vec();
    let most = speed_rad_s * STEP_S;
    (0..periods)
        .map(|_| {
            for _ in 0..STEPS_A_PERIOD {
                for (wanted, pose) in set_point.iter_mut().zip(pose_rad) {
                    *wanted += (pose - *wanted).clamp(-most, most);
                }
                simulator.step(&set_point, true, STEP_S);
            }
            simulator.reward()
        })
        .collect()
}

#[test]
fn task_names() {
    for task in Task::ALL {
        assert_eq!(task.to_string().parse::<Task>().unwrap(), task);
        assert_eq!(new(task, 0).task(), task);
    }
    let error = "reach-plannar".parse::<Task>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown task `reach-plannar`; choose reach-planar, reach or so101"
    );
}

#[test]
fn same_seed_same_episode() {
    for task in Task::ALL {
        // One instance has a past; a reset must leave nothing of it.
        let mut a = new(task, 9);
        (0..77).for_each(|step| a.step(&wiggle(task, step), step % 20 != 0, STEP_S));
        a.reset(4);
        let mut b = new(task, 4);
        for step in 0..200 {
            assert_eq!(state(&a), state(&b), "{task}, step {step}");
            if step % 50 == 0 {
                assert_eq!(frame(&mut a), frame(&mut b), "{task}, step {step}");
            }
            a.step(&wiggle(task, step), true, STEP_S);
            b.step(&wiggle(task, step), true, STEP_S);
        }
        b.reset(5);
        assert_ne!(state(&a), state(&b));
    }
}

/// The same numbers in every build profile and on every machine. A change of task, arm or camera changes them: then put
/// the new ones here, and expect models trained before it to be of no use.
#[test]
fn episodes_are_the_recorded_ones() {
    for (task, expected) in [
        (Task::ReachPlanar, 0xb8fc_5feb_2f60_422d),
        (Task::Reach, 0x48b2_ab2e_c7f3_3fdc),
        (Task::So101, 0x22be_0441_66fd_7341),
    ] {
        let mut fingerprint = 0xcbf2_9ce4_8422_2325_u64;
        let mut take = |value: u64| fingerprint = (fingerprint ^ value).wrapping_mul(0x0000_0100_0000_01b3);
        for seed in 0..3 {
            let mut simulator = new(task, seed);
            for step in 0..200 {
                simulator.step(&wiggle(task, step), !(100..150).contains(&step), STEP_S);
                state(&simulator)
                    .into_iter()
                    .for_each(|word| take(u64::from(word)));
                if step % 40 == 0 {
                    take(frame(&mut simulator).hash());
                }
            }
        }
        assert_eq!(fingerprint, expected, "{task}: {fingerprint:#018x}");
    }
}

#[test]
fn copies_continue_identically() {
    // Torque goes off for long enough that the three-joint arm reaches the table.
    let torque_on = |step: usize| !(80..230).contains(&step);
    for task in Task::ALL {
        let mut original = new(task, 3);
        for step in 0..400 {
            if step % 50 == 10 {
                let mut copy = new(task, 1000 + step as u64);
                (0..step / 3).for_each(|past| copy.step(&wiggle(task, past * 7), past % 3 == 0, STEP_S));
                copy.copy_state_from(&original);
                let mut clone = original.clone();
                let mut again = original.clone();
                for ahead in step..step + 60 {
                    assert_eq!(
                        state(&copy),
                        state(&clone),
                        "{task}, copied at {step}, step {ahead}"
                    );
                    assert_eq!(
                        state(&again),
                        state(&clone),
                        "{task}, cloned at {step}, step {ahead}"
                    );
                    for simulator in [&mut copy, &mut clone, &mut again] {
                        simulator.step(&wiggle(task, ahead), torque_on(ahead), STEP_S);
                    }
                }
                assert_eq!(frame(&mut copy), frame(&mut clone));
                // Making and running copies must not have disturbed the original.
                let mut replay = original.clone();
                replay.step(&wiggle(task, step), torque_on(step), STEP_S);
                original.step(&wiggle(task, step), torque_on(step), STEP_S);
                assert_eq!(state(&original), state(&replay));
            } else {
                original.step(&wiggle(task, step), torque_on(step), STEP_S);
            }
        }
    }
}

#[test]
#[should_panic(expected = "state of reach copied into reach-planar")]
fn state_of_another_task_is_refused() {
    new(Task::ReachPlanar, 0).copy_state_from(&new(Task::Reach, 0));
}

#[test]
fn tip_agrees_with_the_robot_files_chain() {
    for task in Task::ALL {
        let chain = robot_chain(task);
        let mut simulator = new(task, 0);
        for step in 0..600 {
            simulator.step(&wiggle(task, step / 60 * 60), true, STEP_S);
            let tip = simulator.tip_m();
            let expected = chain.tip_m(&simulator.joints().position_rad).into();
            assert!(
                distance_m(tip, expected) < 1e-5,
                "{task}: {tip:?}, chain {expected:?}"
            );
        }
    }
}

#[test]
fn every_target_is_within_reach() {
    for (task, seeds) in [(Task::ReachPlanar, 1000), (Task::Reach, 100), (Task::So101, 100)] {
        let ranges = joint_ranges_rad(task);
        let mut simulator = Simulator::new(task).unwrap();
        for seed in 0..seeds {
            simulator.reset(seed);
            let inside = simulator
                .joints()
                .position_rad
                .iter()
                .zip(&ranges)
                .all(|(angle, (low, high))| (low + 0.1..high - 0.1).contains(angle));
            assert!(inside, "{task}, seed {seed}: starts near a stop");
            assert!(
                simulator.target_distance_m() > 0.09,
                "{task}, seed {seed}: starts at the target"
            );
            let (_, missing_m) = pose_at(task, simulator.target_m(), &simulator.joints().position_rad);
            assert!(missing_m < 5e-3, "{task}, seed {seed}: {missing_m} m short");
        }
    }
}

#[test]
fn reward_is_one_at_the_target_and_falls_with_distance() {
    for task in Task::ALL {
        let mut seen = Vec::new();
        for seed in 0..5 {
            let mut simulator = new(task, seed);
            let (pose, _) = pose_at(task, simulator.target_m(), &simulator.joints().position_rad);
            for _ in 0..100 {
                seen.push((simulator.target_distance_m(), simulator.reward()));
                lead_to(&mut simulator, &pose, 2.0, 1);
            }
            let reward = simulator.reward();
            assert!(reward > 0.95, "{task}, seed {seed}: {reward}");
        }
        seen.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(seen.windows(2).all(|pair| pair[0].1 >= pair[1].1), "{task}");
        assert!(seen.iter().all(|(_, reward)| (0.0..=1.0).contains(reward)));
    }
}

#[test]
fn a_slow_arm_still_earns_most_of_an_episode() {
    for task in Task::ALL {
        let mut total = 0.0;
        let seeds = 20;
        for seed in 0..seeds {
            let mut simulator = new(task, seed);
            let (pose, _) = pose_at(task, simulator.target_m(), &simulator.joints().position_rad);
            let rewards = lead_to(&mut simulator, &pose, 0.667, 100);
            total += rewards.iter().sum::<f32>();
            assert!(rewards[99] > 0.9, "{task}, seed {seed}: ends at {}", rewards[99]);
        }
        let mean = total / seeds as f32;
        assert!(mean > 75.0, "{task}: {mean}");
    }
}

#[test]
fn servos_track_slow_set_points() {
    let cases = [
        (
            Task::ReachPlanar,
            [0.8, 1.2, 0.0, 0.0, 0.0, 0.0],
            [-0.8, -0.4, 0.0, 0.0, 0.0, 0.0],
        ),
        (
            Task::Reach,
            [0.8, 0.9, 1.0, 0.0, 0.0, 0.0],
            [-0.6, 0.7, 1.5, 0.0, 0.0, 0.0],
        ),
        (
            Task::So101,
            [0.8, -0.5, 0.6, 0.9, -0.4, 0.3],
            [-0.6, 0.3, 0.0, 0.4, 0.5, 1.0],
        ),
    ];
    for (task, from, to) in cases {
        let count = joint_ranges_rad(task).len();
        let mut simulator = new(task, 0);
        lead_to(&mut simulator, &from[..count], 1.0, 80);
        for pose in [&to[..count], &from[..count]] {
            let mut set_point = simulator.joints().position_rad.to_vec();
            let mut worst = 0.0_f32;
            for _ in 0..600 {
                for (wanted, goal) in set_point.iter_mut().zip(pose) {
                    *wanted += (goal - *wanted).clamp(-0.4 * STEP_S, 0.4 * STEP_S);
                }
                simulator.step(&set_point, true, STEP_S);
                let position = simulator.joints().position_rad;
                worst = position
                    .iter()
                    .zip(&set_point)
                    .map(|(q, s)| (q - s).abs())
                    .fold(worst, f32::max);
            }
            let rest = simulator.joints();
            let error = rest
                .position_rad
                .iter()
                .zip(pose)
                .map(|(q, s)| (q - s).abs())
                .fold(0.0, f32::max);
            assert!(worst < 0.05, "{task}: lags by {worst} rad");
            assert!(error < 0.03, "{task}: rests {error} rad away");
            assert!(
                rest.velocity_rad_s.iter().all(|v| v.abs() < 1e-2),
                "{task}: {rest:?}"
            );
        }
    }
}

#[test]
fn stays_within_joint_ranges_and_finite() {
    for task in Task::ALL {
        let ranges = joint_ranges_rad(task);
        let wild = [
            vec![9.0; ranges.len()],
            vec![-9.0; ranges.len()],
            vec![f32::NAN; ranges.len()],
            vec![],
        ];
        let mut simulator = new(task, 2);
        for step in 0..600 {
            let dt_s = [STEP_S, 0.1, 1e-3, 0.0, -1.0, f32::NAN][step % 6];
            simulator.step(&wild[step / 60 % wild.len()], step % 50 != 0, dt_s);
            let position_rad = simulator.joints().position_rad;
            let inside = position_rad
                .iter()
                .zip(&ranges)
                .all(|(q, (low, high))| (low - 0.1..high + 0.1).contains(q));
            assert!(inside, "{task}, step {step}: {position_rad:?}");
            assert!(simulator.reward().is_finite());
        }
    }
}

#[test]
fn without_torque_the_flat_arm_stays() {
    let mut simulator = new(Task::ReachPlanar, 8);
    (0..20).for_each(|step| simulator.step(&wiggle(Task::ReachPlanar, step), true, STEP_S));
    let before = simulator.joints().position_rad;
    (0..50).for_each(|_| simulator.step(&[0.0; 2], false, STEP_S));
    let after = simulator.joints();
    assert_eq!(bits(&before), bits(&after.position_rad));
    assert!(after.velocity_rad_s.iter().all(|v| *v == 0.0));
}

#[test]
fn without_torque_the_standing_arm_sinks_and_rests_on_the_table() {
    for seed in 0..5 {
        let mut simulator = new(Task::Reach, seed);
        let height_m = simulator.tip_m()[2];
        let held = simulator.joints().position_rad.to_vec();
        (0..400).for_each(|_| simulator.step(&held, false, STEP_S));
        let (rest, tip) = (simulator.joints(), simulator.tip_m());
        assert!(tip[2] < height_m - 0.02, "seed {seed}: {height_m} to {}", tip[2]);
        assert!(tip[2] > 0.05, "seed {seed}: in the table, {tip:?}");
        assert!(
            rest.velocity_rad_s.iter().all(|v| v.abs() < 0.02),
            "seed {seed}: {rest:?}"
        );
        // Torque comes back: the arm rises again.
        lead_to(&mut simulator, &held, 0.8, 60);
        assert!((simulator.tip_m()[2] - height_m).abs() < 0.03, "seed {seed}");
    }
}

fn pixel(frame: &Frame, [x, y]: [f32; 2]) -> [i32; 3] {
    let at = (y as usize * frame.side() + x as usize) * 3;
    [0, 1, 2].map(|channel| i32::from(frame.rgb()[at + channel]))
}

#[test]
fn target_and_tip_show_where_they_are() {
    const SEEDS: usize = 60;
    for (task, side) in Task::ALL
        .into_iter()
        .flat_map(|task| [32, 64, 96].map(|side| (task, side)))
    {
        let (mut tips, mut targets) = (0, 0);
        let mut simulator = Simulator::new(task).unwrap();
        for seed in 0..SEEDS as u64 {
            simulator.reset(seed);
            let frame = frame_of_side(&mut simulator, side);
            let inside = 0.0..side as f32;
            let [tip_px, target_px] = [simulator.tip_m(), simulator.target_m()]
                .map(|point| simulator.pixel_of(point, side).unwrap());
            for [x, y] in [tip_px, target_px] {
                assert!(
                    inside.contains(&x) && inside.contains(&y),
                    "{task} at {side}, seed {seed}: ({x}, {y})"
                );
            }
            // The arm may stand before either.
            let [red, green, blue] = pixel(&frame, tip_px);
            tips += usize::from(green > 2 * red && green > blue);
            let [red, green, blue] = pixel(&frame, target_px);
            targets += usize::from(red > 2 * green && red > 2 * blue);
        }
        assert!(
            tips.min(targets) > SEEDS * 8 / 10,
            "{task} at {side}: {tips} tips, {targets} targets of {SEEDS} visible"
        );
    }
}

#[test]
fn a_late_camera_shows_what_was() {
    for task in Task::ALL {
        let mut prompt = new(task, 3);
        let mut late = Simulator::new(task).unwrap().with_camera_delay(0.08);
        late.reset(3);
        let joints = prompt.joints().position_rad.len();
        let mut shown = vec![frame(&mut prompt)];
        for step in 1..=20_usize {
            let set_point = vec![0.03 * step as f32; joints];
            for simulator in [&mut prompt, &mut late] {
                simulator.step(&set_point, true, STEP_S);
            }
            // Joints and reward are of now; the picture is of four steps ago, or of the start.
            assert_eq!(state(&prompt), state(&late), "{task}, step {step}");
            shown.push(frame(&mut prompt));
            let expected = &shown[step.saturating_sub(4)];
            assert!(frame(&mut late) == *expected, "{task}, step {step}");
        }
        assert!(shown[4] != shown[8], "{task}: it moved");
        late.reset(3);
        assert!(frame(&mut late) == shown[0], "{task}: a new episode has no past");
    }
}

#[test]
fn frames_follow_what_happens() {
    for task in Task::ALL {
        let frames: Vec<_> = (0..8).map(|seed| frame(&mut new(task, seed)).hash()).collect();
        let different: std::collections::BTreeSet<_> = frames.iter().collect();
        assert_eq!(different.len(), frames.len(), "{task}: seeds look alike");
        let mut simulator = new(task, 1);
        let still = frame(&mut simulator);
        assert_eq!(still, frame(&mut simulator));
        // A hundredth of a radian is a fifth of a pixel at the tip.
        for joint in 0..simulator.joint_count() {
            let mut moved = simulator.clone();
            let mut set_point = moved.joints().position_rad.to_vec();
            let start = set_point[joint];
            set_point[joint] += 0.05;
            (0..200)
                .find(|_| {
                    moved.step(&set_point, true, 2e-3);
                    moved.joints().position_rad[joint] - start > 0.01
                })
                .unwrap();
            assert_ne!(still, frame(&mut moved), "{task}, joint {joint}");
        }
    }
}

#[test]
fn an_arm_that_is_placed_looks_like_one_that_went_there() {
    for task in Task::ALL {
        let mut went = new(task, 6);
        (0..50).for_each(|step| went.step(&wiggle(task, step), true, STEP_S));
        let mut placed = new(task, 6);
        assert_ne!(frame(&mut placed), frame(&mut went), "{task}");
        placed.place(&went.joints().position_rad);
        assert_eq!(
            bits(&placed.joints().position_rad),
            bits(&went.joints().position_rad)
        );
        assert_eq!(frame(&mut placed), frame(&mut went), "{task}");
        assert_eq!(placed.reward().to_bits(), went.reward().to_bits(), "{task}");
        assert!(
            placed.joints().velocity_rad_s.iter().all(|speed| *speed == 0.0),
            "{task}"
        );
    }
}
