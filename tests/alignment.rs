//! `action[t]` caused `observation[t]`: shifting a log's actions by one must surprise the model.

use controller::session::PolicyChoice;
use robot::Frame;
use robot::config::Pipeline;
use world_model::{Belief, Bundle};

use crate::{bundle, record, session};

/// Mean innovation over a log when tick t is filtered with the action of row `t - shift`.
fn mean_kl(shift: isize) -> f32 {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (mut encoder, mut filter) = (
        bundle.encoder().expect("encoder"),
        bundle.filter().expect("filter"),
    );
    let mut embedding = vec![0.0; bundle.dimensions().embedding];
    let (mut total, mut count) = (0.0, 0);
    for seed in 0..6 {
        let log = record(
            &session(PolicyChoice::Random, Pipeline::NextTick),
            dir.path(),
            1000 + seed,
            40,
        );
        let stretches = episode::read_episode(&log)
            .expect("log")
            .training()
            .expect("usable");
        let [data] = stretches.as_slice() else {
            panic!("one unbroken stretch, got {}", stretches.len())
        };
        let mut belief = Belief::initial(&bundle.dimensions());
        for t in 0..data.length {
            let bytes = Frame::bytes(data.side);
            let frame = Frame::from_rgb(&data.frames[t * bytes..(t + 1) * bytes]).expect("a frame");
            encoder.encode(&frame, &mut embedding);
            let from = (t as isize + shift).clamp(0, data.length as isize - 1) as usize;
            let action = &data.actions[from * data.action_dim..(from + 1) * data.action_dim];
            let innovation = filter.posterior(&mut belief, action, &embedding);
            // The first frames tell where everything is, whatever the action.
            if t >= 5 {
                total += innovation.kl_nats;
                count += 1;
            }
        }
    }
    total / count as f32
}

#[test]
fn actions_shifted_by_one_surprise_the_model() {
    let aligned = mean_kl(0);
    for shift in [-1, 1] {
        let shifted = mean_kl(shift);
        assert!(
            shifted > 1.1 * aligned,
            "shift {shift}: innovation {shifted} nats, aligned {aligned}"
        );
    }
}

/// The controller's own filter pairs every frame with the action of the edge before it.
#[test]
fn the_controller_filters_as_the_log_says() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let (mut encoder, mut filter) = (
        bundle.encoder().expect("encoder"),
        bundle.filter().expect("filter"),
    );
    let mut embedding = vec![0.0; bundle.dimensions().embedding];
    for pipeline in [Pipeline::NextTick, Pipeline::Immediate] {
        let session = session(PolicyChoice::Planner { noise: 0.3 }, pipeline);
        let log = record(&session, &dir.path().join(format!("{pipeline:?}")), 1000, 12);
        let log = episode::read_episode(&log).expect("log");
        let mut belief = Belief::initial(&bundle.dimensions());
        let mut action = vec![0.0; bundle.dimensions().action];
        for (row, frame) in log.ticks.iter().zip(&log.frames) {
            let frame = frame.as_ref().expect("a frame every tick");
            encoder.encode(frame, &mut embedding);
            let innovation = filter.posterior(&mut belief, &action, &embedding);
            assert_eq!(
                innovation.kl_nats.to_bits(),
                row.filter.kl_nats.to_bits(),
                "{pipeline:?}, tick {}",
                row.tick
            );
            action.copy_from_slice(&row.actuate.action);
        }
    }
}
