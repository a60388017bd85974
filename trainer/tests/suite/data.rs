//! Data: what is refused, and that memory and order do not change what is learned from.

use trainer::dataset::{Dataset, DatasetError};

use super::{logs, small, write_log};

fn same(a: &trainer::loss::Batch, b: &trainer::loss::Batch) -> bool {
    a.frames.equal(&b.frames) && a.action.equal(&b.action) && a.reward.equal(&b.reward)
}

#[test]
fn batches_depend_on_seed_and_number_alone_not_on_memory() {
    let dir = logs(6, 40);
    let mut optimiser = small().optimiser;
    let mut roomy = Dataset::open(dir.path(), &optimiser).expect("opens");
    // A budget below one episode: every draw reads its log again.
    optimiser.memory_mib = 0;
    let mut tight = Dataset::open(dir.path(), &optimiser).expect("opens");
    for update in [1, 2, 17] {
        let a = roomy.batch(3, update, &optimiser).expect("batch");
        assert!(
            same(&a, &tight.batch(3, update, &optimiser).expect("batch")),
            "update {update}"
        );
        assert!(
            !same(&a, &roomy.batch(4, update, &optimiser).expect("batch")),
            "another seed draws otherwise"
        );
        assert_eq!(a.frames.size(), [6, 4, 3, 64, 64]);
    }
}

#[test]
fn an_action_in_a_batch_caused_the_frame_beside_it() {
    let dir = logs(4, 30);
    let optimiser = small().optimiser;
    let mut dataset = Dataset::open(dir.path(), &optimiser).expect("opens");
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
fn runs_that_cannot_be_trained_on_are_named() {
    let optimiser = small().optimiser;
    let empty = tempfile::tempdir().expect("temporary folder");
    assert!(matches!(
        Dataset::open(empty.path(), &optimiser),
        Err(DatasetError::Episode(_))
    ));

    let short = logs(3, 4);
    let error = Dataset::open(short.path(), &optimiser).expect_err("too short");
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
        match Dataset::open(mixed.path(), &optimiser) {
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
fn presets_are_refused_with_line_or_field() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("preset.ron");
    for (from, to, part) in [
        ("depth: 2", "dept: 2", ":2:"),
        ("depth: 2", "depth: \"two\"", ":2:"),
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
    ] {
        std::fs::write(&path, super::SMALL.replacen(from, to, 1)).expect("writes");
        let message = trainer::preset::Preset::load(&path)
            .expect_err("refused")
            .to_string();
        assert!(
            message.contains(part) && message.contains("preset.ron"),
            "{message}"
        );
    }
}

#[test]
fn an_episode_that_was_cut_off_and_recorded_again_counts_once() {
    let dir = logs(4, 12);
    let open = || Dataset::open(dir.path(), &small().optimiser).expect("logs");
    let before = open();
    let whole = dir.path().join("episode-002.mcap");
    let bytes = std::fs::read(&whole).expect("log");
    std::fs::write(dir.path().join("episode-002-2.mcap"), &bytes).expect("writes");
    std::fs::write(&whole, &bytes[..bytes.len() / 2]).expect("cuts");
    std::fs::write(dir.path().join("episode-002-3.mcap"), &bytes[..bytes.len() / 3]).expect("cuts");
    let after = open();
    assert_eq!(
        (after.logs(), after.steps()),
        (before.logs(), before.steps()),
        "the whole attempt stands for all three"
    );
}
