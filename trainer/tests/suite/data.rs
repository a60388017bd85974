//! Data: what is refused, and that memory and order do not change what is learned from.

use sha2::Digest;
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use trainer::dataset::{Dataset, DatasetError, Loader};
use trainer::preset::{Optimiser, Preset};
use trainer::side::Side;
use world_model::Observation;

use super::{logs, small, write_log, write_log_of_side};

fn same(a: &trainer::loss::Batch, b: &trainer::loss::Batch) -> bool {
    a.frames.equal(&b.frames)
        && a.action.equal(&b.action)
        && a.joints.equal(&b.joints)
        && a.reward.equal(&b.reward)
}

fn open(dir: &Path, optimiser: &Optimiser) -> Result<Dataset, DatasetError> {
    let mut preset = small();
    preset.optimiser = optimiser.clone();
    open_all(&[dir], &preset)
}

fn open_all(dirs: &[&Path], preset: &Preset) -> Result<Dataset, DatasetError> {
    let cache = tempfile::tempdir().expect("temporary folder");
    let dirs: Vec<_> = dirs.iter().map(|dir| dir.to_path_buf()).collect();
    // Files that are open stay readable when their folder is gone.
    Dataset::open(&dirs, cache.path(), preset, &|_, _| {})
}

/// A folder with a log for each of `sides`.
fn logs_of_sides(sides: &[usize], robot: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (seed, &side) in sides.iter().enumerate() {
        write_log_of_side(side, dir.path(), seed as u64, 40, |info| {
            info.robot = robot.to_owned();
        });
    }
    dir
}

#[test]
fn pictures_of_every_side_become_batches() {
    let mut fingerprints = HashSet::new();
    for side in Side::ALL {
        let pixels = side.pixels();
        let dir = logs_of_sides(&[pixels; 2], "square");
        let dataset = open_all(&[dir.path()], &small()).expect("opens");
        assert_eq!(dataset.side(), side);
        assert!(fingerprints.insert(dataset.fingerprint().to_owned()), "{side:?}");
        let batch = dataset.batch(3, 1, &small().optimiser).expect("a batch");
        let size = pixels as i64;
        assert_eq!(batch.frames.size(), [6, 4, 3, size, size]);
        // What is in it is of the logs, to the last byte.
        let frames: HashSet<Vec<u8>> = (0..2)
            .flat_map(|seed| {
                let path = dir.path().join(format!("episode-{seed:03}.mcap"));
                let log = episode::read_episode(&path).expect("whole");
                log.frames.into_iter().flatten().map(|frame| frame.rgb().to_vec())
            })
            .collect();
        let rows = batch.frames.flatten(0, 1).permute([0, 2, 3, 1]).contiguous();
        for row in 0..24 {
            let found: Vec<u8> = Vec::try_from(rows.get(row).view([-1])).expect("bytes");
            assert!(frames.contains(&found), "{side:?}, {row}");
        }
    }
}

#[test]
fn logs_of_two_sides_are_refused_and_both_are_named() {
    let mixed = logs_of_sides(&[64, 96], "square");
    let [first, second] = [(96, "square"), (128, "cube")].map(|(side, robot)| logs_of_sides(&[side], robot));
    let preset = small();
    for (dirs, parts) in [
        // One folder; and two of one agent.
        (
            vec![mixed.path()],
            ["episode-001.mcap", "96x96", "episode-000.mcap are 64x64"],
        ),
        (
            vec![first.path(), second.path()],
            ["episode-000.mcap: its", "128x128", "episode-000.mcap are 96x96"],
        ),
    ] {
        let error = open_all(&dirs, &preset).expect_err("two sides").to_string();
        for part in parts.into_iter().chain(["`capture.side`"]) {
            assert!(error.contains(part), "no {part} in {error}");
        }
        let mut preset = preset.clone();
        preset.model.observation = Observation::Joints;
        let dataset = open_all(&dirs, &preset).expect("joints are seen at any side");
        assert_eq!(dataset.side(), Side::default());
    }
}

#[test]
fn a_side_that_no_model_is_trained_on_is_refused_with_those_that_are() {
    for side in [32, 80, 256] {
        let dir = logs_of_sides(&[side], "square");
        let error = open_all(&[dir.path()], &small())
            .expect_err("no kernels fit")
            .to_string();
        let pixels = format!("{side}x{side}");
        for part in ["episode-000.mcap", &pixels, "64, 96 or 128", "`capture.side`"] {
            assert!(error.contains(part), "no {part} in {error}");
        }
    }
}

#[test]
fn batches_depend_on_seed_and_number_alone() {
    let dir = logs(6, 40);
    let optimiser = small().optimiser;
    let [one, other] = [(); 2].map(|()| open(dir.path(), &optimiser).expect("opens"));
    for update in [1, 2, 17] {
        let batch = |dataset: &Dataset, seed| dataset.batch(seed, update, &optimiser).expect("batch");
        let a = batch(&one, 3);
        assert!(same(&a, &batch(&other, 3)), "update {update}");
        assert!(!same(&a, &batch(&one, 4)), "another seed draws otherwise");
        assert_eq!(a.frames.size(), [6, 4, 3, 64, 64]);
    }
}

#[test]
fn chunks_are_drawn_alike_unless_a_share_is_set_aside() {
    // Of seeds 0 to 5 the odd ones are planned; two more random ones tip the balance.
    let dir = logs(6, 26);
    for seed in [6, 8, 10] {
        write_log(dir.path(), seed, 26, |_| {});
    }
    let mut optimiser = small().optimiser;
    (optimiser.batch, optimiser.length) = (300, 6);
    let dataset = open(dir.path(), &optimiser).expect("opens");
    // A planned chunk is told by its first frame, which is in no random log.
    let planned: HashSet<Vec<u8>> = [1, 3, 5]
        .iter()
        .flat_map(|seed| {
            let path = dir.path().join(format!("episode-{seed:03}.mcap"));
            let log = episode::read_episode(&path).expect("whole");
            log.frames.into_iter().flatten().map(|frame| frame.rgb().to_vec())
        })
        .collect();
    let share = |fraction: Option<f64>| {
        let optimiser = Optimiser {
            planned_fraction: fraction,
            ..optimiser.clone()
        };
        let batch = dataset.batch(1, 1, &optimiser).expect("batch");
        let first = batch
            .frames
            .get(0)
            .permute([0, 2, 3, 1])
            .contiguous()
            .view([300, -1]);
        let bytes: Vec<Vec<u8>> = (0..300)
            .map(|row| Vec::try_from(&first.get(row)).expect("bytes"))
            .collect();
        bytes.iter().filter(|bytes| planned.contains(*bytes)).count()
    };
    assert_eq!(share(Some(0.5)), 150);
    assert_eq!(share(Some(0.0)), 0);
    // 3 of 9 logs, all of one length: 100 of 300, within four standard deviations.
    let drawn = share(None);
    assert!(
        (67..=133).contains(&drawn),
        "{drawn} of 300 where 100 are to be expected"
    );
}

#[test]
fn loaders_give_the_same_batches_in_order_with_any_number_of_threads() {
    let dir = logs(6, 40);
    let optimiser = small().optimiser;
    let dataset = Arc::new(open(dir.path(), &optimiser).expect("opens"));
    for threads in [1, 2, 3] {
        let mut loader = Loader::start(&dataset, 5, 11, &optimiser, threads).expect("threads");
        for update in 11..19 {
            let expected = dataset.batch(5, update, &optimiser).expect("batch");
            let found = loader.batch().expect("batch");
            assert!(same(&expected, &found), "update {update} on {threads} threads");
        }
    }
}

/// Every frame of every chunk, against the logs.
#[test]
fn frames_come_out_of_the_cache_as_they_are_in_the_logs() {
    let dir = logs(1, 21);
    let mut optimiser = small().optimiser;
    // Of every alignment with the groups that are compressed together.
    (optimiser.batch, optimiser.length) = (40, 11);
    let dataset = open(dir.path(), &optimiser).expect("opens");
    let path = episode::list_runs(dir.path()).expect("a log").swap_remove(0);
    let log = episode::read_episode(&path)
        .expect("whole")
        .training()
        .expect("data")
        .swap_remove(0);
    let batch = dataset.batch(1, 1, &optimiser).expect("batch");
    let mut starts = std::collections::BTreeSet::new();
    for row in 0..40 {
        let reward = |t: i64| batch.reward.double_value(&[t, row]) as f32;
        let start = (0..=10)
            .find(|start| (0..11).all(|t| log.rewards[start + t] == Some(reward(t as i64))))
            .expect("a chunk of the log");
        starts.insert(start);
        for t in 0..11 {
            let bytes = robot::Frame::bytes(log.side);
            let frame = &log.frames[(start + t) * bytes..(start + t + 1) * bytes];
            let expected = tch::Tensor::from_data_size(frame, &[64, 64, 3], tch::Kind::Uint8);
            let found = batch.frames.get(t as i64).get(row);
            assert!(found.equal(&expected.permute([2, 0, 1])), "row {row}, step {t}");
        }
    }
    assert!(starts.len() > 8, "{starts:?}");
}

#[test]
fn a_cache_is_added_to_and_built_again_when_it_is_damaged() {
    let dir = logs(3, 20);
    let cache = tempfile::tempdir().expect("temporary folder");
    let preset = small();
    let optimiser = preset.optimiser.clone();
    let dirs = [dir.path().to_owned()];
    let opened = || {
        let read = std::cell::Cell::new(None);
        let first = |known, _| read.set(read.get().or(Some(known)));
        let dataset = Dataset::open(&dirs, cache.path(), &preset, &first).expect("opens");
        (read.get(), dataset)
    };
    let batch = |dataset: &Dataset| dataset.batch(1, 1, &optimiser).expect("batch");
    let (known, before) = opened();
    assert_eq!(known, Some(0));
    let expected = batch(&before);
    assert!(
        matches!(
            Dataset::open(&dirs, cache.path(), &preset, &|_, _| {}),
            Err(DatasetError::CacheInUse { .. })
        ),
        "two trainers in one folder"
    );
    drop(before);
    let (known, again) = opened();
    assert_eq!(known, Some(3));
    assert!(same(&expected, &batch(&again)));
    drop(again);
    write_log(dir.path(), 8, 20, |_| {});
    let (known, more) = opened();
    assert_eq!((known, more.logs()), (Some(3), 4));
    drop(more);
    // A log that was written anew is read anew.
    std::fs::remove_file(dir.path().join("episode-008.mcap")).expect("removes");
    write_log(dir.path(), 8, 24, |_| {});
    let (known, _) = opened();
    assert_eq!(known, Some(3));

    let frames = cache.path().join("frames.cache");
    let bytes = std::fs::read(&frames).expect("reads");
    std::fs::write(&frames, &bytes[..bytes.len() / 2]).expect("writes");
    let (known, _) = opened();
    assert_eq!(known, Some(0), "cut off: all of it again");
    let index = cache.path().join("frames.index");
    let mut bytes = std::fs::read(&index).expect("reads");
    // The sign of an action, which would be none the worse to look at.
    let action: f32 = expected.action.get(1).get(0).double_value(&[0]) as f32;
    let found = bytes.windows(4).position(|window| window == action.to_le_bytes());
    bytes[found.expect("an action of the index") + 3] ^= 0x80;
    std::fs::write(&index, &bytes).expect("writes");
    let (known, _) = opened();
    assert_eq!(known, Some(0), "another action or reward: all of it again");
    assert_eq!(opened().0, Some(4));
    // Damage in the middle is seen when it is read.
    let mut bytes = std::fs::read(&frames).expect("reads");
    // Behind what it is known by.
    for byte in &mut bytes[16..] {
        *byte ^= 0x55;
    }
    std::fs::write(&frames, &bytes).expect("writes");
    let (_, damaged) = opened();
    let problem = damaged
        .batch(1, 1, &optimiser)
        .expect_err("is damaged")
        .to_string();
    assert!(
        problem.contains("frames.cache") && problem.contains("remove it"),
        "{problem}"
    );
    drop(damaged);
    // One of an earlier version is known by its checksum alone, and built again.
    let mut older = vec![4, 0, 0];
    older.extend_from_slice(&sha2::Sha256::digest(&older));
    std::fs::write(&index, &older).expect("writes");
    std::fs::write(&frames, "frames of then").expect("writes");
    let (known, again) = opened();
    assert_eq!((known, again.logs()), (Some(0), 4));
}

#[test]
fn frames_without_a_reward_are_in_batches_and_marked() {
    let dir = logs(4, 30);
    let optimiser = small().optimiser;
    let whole = open(dir.path(), &optimiser).expect("opens");
    assert_eq!(whole.without_reward(), 0);
    let before = whole.batch(1, 1, &optimiser).expect("batch");
    assert!(before.rewarded.is_none(), "all have one: the loss is what it was");

    // About half of the batch's frames have none.
    let middle = before.reward.mean(tch::Kind::Float).double_value(&[]) as f32;
    let kept = |reward: &f32| *reward > middle;
    let partly = super::rewritten(dir.path(), |log| {
        for tick in &mut log.ticks {
            tick.capture.reward = tick.capture.reward.filter(kept);
        }
    });
    let dataset = open(partly.path(), &optimiser).expect("opens");
    let after = dataset.batch(1, 1, &optimiser).expect("batch");
    assert!(after.frames.equal(&before.frames) && after.action.equal(&before.action));
    let mask = after.rewarded.expect("some have none");
    let expected = before.reward.gt(f64::from(middle)).to_kind(tch::Kind::Float);
    assert!(mask.equal(&expected));
    assert!(after.reward.equal(&(&before.reward * &mask)));
    assert!(dataset.without_reward() > 0);
    assert_ne!(dataset.fingerprint(), whole.fingerprint());
    let audited = trainer::audit::audit(partly.path(), &|_, _| {}).expect("audits");
    assert_eq!(audited.without_reward, dataset.without_reward());
    assert!(audited.findings.is_empty(), "{:?}", audited.findings);
}

#[test]
fn an_action_in_a_batch_caused_the_frame_beside_it() {
    let dir = logs(4, 30);
    let optimiser = small().optimiser;
    let dataset = open(dir.path(), &optimiser).expect("opens");
    let batch = dataset.batch(1, 1, &optimiser).expect("batch");
    // The reward is x / 64 and moves by 3/64 of the action, where no wall is in the way.
    let (mut aligned, mut shifted) = (0.0, 0.0);
    for row in 0..4 {
        for t in 1..5 {
            let reward = |t: i64| batch.reward.double_value(&[t, row]);
            let action = |t: i64| batch.action.double_value(&[t, row, 0]) * 3.0 / 64.0;
            aligned += (reward(t) - reward(t - 1) - action(t)).abs();
            shifted += (reward(t) - reward(t - 1) - action(t + 1)).abs();
        }
    }
    assert!(aligned < 0.3 * shifted, "aligned {aligned}, shifted {shifted}");
}

#[test]
fn a_log_that_was_never_begun_does_not_keep_the_others_from_training() {
    let dir = logs(4, 30);
    let optimiser = small().optimiser;
    let before = open(dir.path(), &optimiser)
        .expect("opens")
        .fingerprint()
        .to_owned();
    std::fs::write(dir.path().join("episode-000099.mcap"), b"").expect("writes");
    let after = open(dir.path(), &optimiser).expect("opens");
    assert_eq!((after.fingerprint(), after.logs()), (&before[..], 4));
}

#[test]
fn runs_that_cannot_be_trained_on_are_named() {
    let optimiser = small().optimiser;
    let empty = tempfile::tempdir().expect("temporary folder");
    assert!(matches!(
        open(empty.path(), &optimiser),
        Err(DatasetError::Episode(_))
    ));

    let short = logs(3, 4);
    let error = open(short.path(), &optimiser).expect_err("too short");
    assert!(
        matches!(
            error,
            DatasetError::TooShort {
                logs: 3,
                length: 6,
                ..
            }
        ),
        "{error}"
    );

    for (field, edit) in [
        (
            "robot",
            (|info| info.robot = "other".to_owned()) as fn(&mut episode::EpisodeInfo),
        ),
        ("joint_names", |info| info.joint_names.push("z".to_owned())),
        ("period_s", |info| info.period_s = 0.05),
    ] {
        let mixed = logs(2, 20);
        write_log(mixed.path(), 7, 20, edit);
        match open(mixed.path(), &optimiser) {
            Err(DatasetError::Mixed {
                field: found, path, ..
            }) => {
                assert_eq!(found, field);
                assert!(path.ends_with("episode-007.mcap"));
            }
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn rewards_of_two_sources_are_not_mixed() {
    let optimiser = small().optimiser;
    let source =
        |name: &'static str| move |info: &mut episode::EpisodeInfo| info.reward_source = name.to_owned();
    let tip = "tip_goal(goal_m: (0.1, 0.2, 0.3), scale_m: 0.1, weight: 1.0)";
    for (first, second, goes) in [
        ("simulator", "simulator", true),
        // A camera's server says what the simulated task behind it says.
        ("simulator", "camera", true),
        (episode::NO_REWARD, tip, true),
        (tip, tip, true),
        ("simulator", tip, false),
        (
            tip,
            "tip_goal(goal_m: (0.1, 0.2, 0.4), scale_m: 0.1, weight: 1.0)",
            false,
        ),
    ] {
        let dir = tempfile::tempdir().expect("temporary folder");
        write_log(dir.path(), 0, 20, source(first));
        write_log(dir.path(), 1, 20, source(second));
        match open(dir.path(), &optimiser) {
            Ok(_) => assert!(goes, "{first}, {second}"),
            Err(DatasetError::Mixed { field, path, .. }) => {
                assert!(!goes && field == "reward_source" && path.ends_with("episode-001.mcap"));
            }
            Err(error) => panic!("{first}, {second}: {error}"),
        }
    }
}

#[test]
fn presets_are_refused_with_line_or_field() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("preset.ron");
    for (from, to, part) in [
        ("depth: 2", "dept: 2", ":3:"),
        ("depth: 2", "depth: \"two\"", ":3:"),
        ("belief: 12", "belief: 0", "model.belief"),
        (
            "overshooting_distance: 2",
            "overshooting_distance: 6",
            "loss.overshooting_distance",
        ),
        (
            "learning_rate: 1.0e-3",
            "learning_rate: -1.0",
            "optimiser.learning_rate",
        ),
        ("decay_from: 4", "decay_from: 40", "optimiser.decay_from"),
        (
            "free_nats",
            "overshooting_beta_1: -1.0, free_nats",
            "loss.overshooting_beta_1",
        ),
        (
            "free_nats",
            "gradient_heads: [joints], free_nats",
            "loss.gradient_heads",
        ),
        (
            "free_nats",
            "overshooting_joints_scale: 1.0, free_nats",
            "loss.overshooting_joints_scale",
        ),
    ] {
        std::fs::write(&path, super::SMALL.replacen(from, to, 1)).expect("writes");
        let message = Preset::load(&path).expect_err("refused").to_string();
        assert!(
            message.contains(part) && message.contains("preset.ron"),
            "{message}"
        );
    }
}

#[test]
fn an_episode_that_was_cut_off_and_recorded_again_counts_once() {
    let dir = logs(4, 12);
    let open = || open(dir.path(), &small().optimiser).expect("logs");
    let before = open();
    let whole = dir.path().join("episode-002.mcap");
    let bytes = std::fs::read(&whole).expect("log");
    std::fs::write(dir.path().join("episode-002-2.mcap"), &bytes).expect("writes");
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).expect("cuts");
    std::fs::write(dir.path().join("episode-002-3.mcap"), &bytes[..bytes.len() / 3]).expect("cuts");
    std::fs::write(dir.path().join("episode-002-4.mcap"), b"").expect("was never begun");
    let after = open();
    assert_eq!(
        (after.logs(), after.steps()),
        (before.logs(), before.steps()),
        "the whole attempt stands for all four"
    );
    // Names that only look like attempts are logs of their own.
    for name in [
        "episode-2026-01-01.mcap",
        "episode-left-1.mcap",
        "episode-left-2.mcap",
    ] {
        std::fs::write(dir.path().join(name), &bytes).expect("writes");
    }
    assert_eq!(open().logs(), before.logs() + 3);
}

#[test]
fn joints_come_in_their_standard_deviations() {
    let dir = logs(5, 30);
    let mut preset = small();
    assert_eq!(
        open_all(&[dir.path()], &preset)
            .expect("opens")
            .batch(1, 1, &preset.optimiser)
            .expect("batch")
            .joints
            .size(),
        [6, 4, 0],
        "a model that does not see them is not given any"
    );
    preset.model.observation = Observation::Joints;
    (preset.optimiser.batch, preset.optimiser.length) = (200, 20);
    let dataset = open_all(&[dir.path()], &preset).expect("opens");
    let tasks = dataset.tasks();
    let x = tasks[0].joint_scales[0];
    let batch = dataset.batch(1, 1, &preset.optimiser).expect("batch");
    assert_eq!(batch.joints.size(), [20, 200, 4]);
    for (row, t) in (0..200).flat_map(|row| (0..20).map(move |t| (row, t))) {
        // The first joint is at x / 64, which is the reward, too; both move at 0.5 rad/s all the time.
        let position =
            batch.joints.double_value(&[t, row, 0]) as f32 * x.position_std_rad + x.position_mean_rad;
        let reward = batch.reward.double_value(&[t, row]) as f32;
        assert!((position - reward).abs() < 1e-5, "{position} {reward}");
        assert!(
            batch.joints.double_value(&[t, row, 1]).abs() < 1e-4,
            "no spread is not made large"
        );
    }
    let all: Vec<f32> = (0..5)
        .flat_map(|seed| {
            let path = dir.path().join(format!("episode-{seed:03}.mcap"));
            let log = episode::read_episode(&path).expect("whole");
            log.training().expect("data").swap_remove(0).rewards
        })
        .flatten()
        .collect();
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let variance = all.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / all.len() as f32;
    assert!((x.position_mean_rad - mean).abs() < 1e-4 && (x.position_std_rad - variance.sqrt()).abs() < 1e-4);

    // More logs do not change the terms in which a model has learned to see.
    write_log(dir.path(), 9, 30, |_| {});
    let more = open_all(&[dir.path()], &preset).expect("opens");
    assert_ne!(more.tasks(), tasks);
    assert_eq!(more.in_terms_of(&tasks).tasks(), tasks);
}

#[test]
fn a_joint_without_a_number_matters_to_a_model_that_sees_it() {
    let dir = tempfile::tempdir().expect("temporary folder");
    write_log(dir.path(), 1, 20, |info| info.task = "lost".to_owned());
    let mut preset = small();
    open_all(&[dir.path()], &preset).expect("pictures are whole");
    preset.model.observation = Observation::PixelsAndJoints;
    let problem = open_all(&[dir.path()], &preset)
        .expect_err("is refused")
        .to_string();
    assert!(
        problem.contains("episode-001.mcap") && problem.contains("joints at step 0"),
        "{problem}"
    );
}

/// Of two robots at a task each, one with a joint less, batches hold about as much, whatever there is of them.
#[test]
fn one_agent_with_several_tasks_draws_them_alike_and_pads() {
    let (two, three) = (logs(2, 30), tempfile::tempdir().expect("temporary folder"));
    for seed in 0..9 {
        write_log(three.path(), seed, 30, |info| {
            (info.robot, info.task) = ("cube".to_owned(), "lift".to_owned());
            info.joint_names.push("z".to_owned());
        });
    }
    let mut preset = small();
    preset.model.observation = Observation::PixelsAndJoints;
    (preset.optimiser.batch, preset.optimiser.planned_fraction) = (300, None);
    let dirs = [two.path(), three.path()];
    let dataset = open_all(&dirs, &preset).expect("opens");
    assert_eq!(dataset.action(), 3);
    assert_eq!(dataset.logs(), 11);
    let names: Vec<String> = dataset.tasks().into_iter().map(|task| task.robot.name).collect();
    assert_eq!(names, ["square", "cube"]);
    let batch = dataset.batch(1, 1, &preset.optimiser).expect("batch");
    assert_eq!(
        (batch.action.size(), batch.joints.size()),
        (vec![6, 300, 3], vec![6, 300, 6])
    );
    let mut padded = 0;
    for row in 0..300 {
        let zero = |tensor: &tch::Tensor, from: i64| {
            let tail = tensor.select(1, row).slice(1, from, None, 1);
            tail.abs().sum(tch::Kind::Float).double_value(&[]) == 0.0
        };
        assert!(!zero(&batch.action, 0), "row {row} moves");
        assert_eq!(zero(&batch.action, 2), zero(&batch.joints, 4));
        padded += usize::from(zero(&batch.action, 2));
    }
    // Half of 300, within four standard deviations.
    assert!((115..=185).contains(&padded), "{padded}");

    match open_all(&[two.path(), two.path()], &preset) {
        Err(DatasetError::SameTask { robot, task, .. }) => {
            assert_eq!((robot.as_str(), task.as_str()), ("square", "push"));
        }
        other => panic!("{other:?}"),
    }
}

/// Actuators that report what they were told, as those of a rig do, have nothing to show a model.
#[test]
fn joints_that_nobody_measured_are_refused() {
    let dir = tempfile::tempdir().expect("temporary folder");
    write_log(dir.path(), 1, 20, |info| info.task = "echo".to_owned());
    let mut preset = small();
    open_all(&[dir.path()], &preset).expect("pictures are there");
    preset.model.observation = Observation::PixelsAndJoints;
    let problem = open_all(&[dir.path()], &preset)
        .expect_err("is refused")
        .to_string();
    assert!(
        problem.contains("model.observation") && problem.contains("pixels"),
        "{problem}"
    );
}
