//! What goes in comes out, to the last bit.

use episode::{
    EpisodeInfo, EpisodeWriter, PlanSource, Reason, StageTimes, TickRecord, decision_stream, read_episode,
};
use robot::{Frame, JointVec, MAX_JOINTS};

use crate::sample::{ATTACHMENTS, PERIOD_NS, frame, info, tick};

/// Writes the ticks to a file, reads it, and checks that nothing changed.
fn check(ticks: &[TickRecord], frames: &[Option<Frame>]) {
    check_of(&info(), ticks, frames);
}

/// The same for another robot.
fn check_of(info: &EpisodeInfo, ticks: &[TickRecord], frames: &[Option<Frame>]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run").join("episode.mcap");
    let mut writer = EpisodeWriter::create(&path, info, &ATTACHMENTS).unwrap();
    for (tick, frame) in ticks.iter().zip(frames) {
        writer.write_tick(tick, frame.as_ref(), tick.edge_ns).unwrap();
    }
    let summary = writer.finish().unwrap();
    assert_eq!(summary.ticks, ticks.len() as u64);
    assert_eq!(summary.frames, frames.iter().flatten().count() as u64);
    assert_eq!(summary.bytes, std::fs::metadata(&path).unwrap().len());

    let episode = read_episode(&path).unwrap();
    assert_eq!(episode.problem, None);
    assert!(episode.complete);
    assert_eq!(episode.path, path);
    assert_eq!(episode.info, *info);
    let attachments: Vec<_> = episode
        .attachments
        .iter()
        .map(|(name, data)| (name.as_str(), &data[..]))
        .collect();
    assert_eq!(attachments, ATTACHMENTS.map(|(name, _, data)| (name, data)));
    assert_eq!(episode.frames, frames);
    // Formatted, because NaN is not equal to itself and -0 is equal to 0.
    assert_eq!(format!("{:?}", episode.ticks), format!("{ticks:?}"));
}

#[test]
fn every_field_and_every_frame() {
    let ticks: Vec<_> = (0..40).map(tick).collect();
    let frames: Vec<_> = (0..40)
        .map(|number| (number % 5 != 2).then(|| frame(number)))
        .collect();
    check(&ticks, &frames);
}

#[test]
fn an_empty_episode() {
    check(&[], &[]);
}

#[test]
fn every_source_and_reason() {
    use PlanSource::{Fresh, Hold, None, Oracle, Random, Stop, Tail, Teleop, TorqueOff};
    use Reason::{
        ArmStopped, CameraLost, EStop, EpisodeEnd, FrameGap, FrozenFrame, LinkLost, LogFailed, NoFreshFrame,
        NonFinite, Ok, Operator, PlanLate, PlannerLost, Surprise,
    };
    let reasons = [
        Ok,
        PlanLate,
        NoFreshFrame,
        FrameGap,
        FrozenFrame,
        Surprise,
        NonFinite,
        LinkLost,
        CameraLost,
        PlannerLost,
        ArmStopped,
        LogFailed,
        EStop,
        EpisodeEnd,
        Operator,
    ];
    let sources = [None, Fresh, Tail, Hold, Stop, TorqueOff, Random, Teleop, Oracle];
    let ticks: Vec<_> = (0u32..)
        .zip(reasons.iter().zip(sources.iter().cycle()))
        .map(|(number, (reason, source))| {
            let mut tick = tick(number);
            tick.guard.reason = *reason;
            tick.plan.source = *source;
            tick
        })
        .collect();
    check(&ticks, &vec![Option::None; ticks.len()]);
}

#[test]
fn floats_at_the_edges_keep_their_bits() {
    let special = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        0.0,
        -0.0,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        -f32::from_bits(0x007f_ffff),
        f32::MAX,
        f32::MIN,
        f32::EPSILON,
        16_777_216.0,
        0.1,
    ];
    // Decimals that come out wrong if rounded to double precision first, and a spread over the whole range.
    let spread = (0..4_000u32).map(|index| f32::from_bits(index.wrapping_mul(0x9E37_79B9)));
    let floats: Vec<f32> = special
        .into_iter()
        .chain([7.038_531e-26, 1.174_944_3e-38])
        .chain(spread)
        .collect();
    let ticks: Vec<_> = (0u32..)
        .zip(floats.chunks(MAX_JOINTS))
        .map(|(number, floats)| {
            let mut joints = JointVec::from_slice(floats).unwrap();
            joints.resize(MAX_JOINTS, 0.0).unwrap();
            let mut tick = tick_of(number, MAX_JOINTS);
            tick.capture.reward = Some(floats[0]);
            tick.filter.kl_nats = floats[floats.len() - 1];
            tick.plan.action = joints.clone();
            tick.actuate.action = joints.clone();
            // What is sent is from -1 to 1.
            tick.actuate.sent = false;
            tick.guard.set_point_rad = joints.clone();
            tick.capture.position_rad = joints;
            tick
        })
        .collect();
    let info = info_of(MAX_JOINTS);
    check_of(&info, &ticks, &vec![None; ticks.len()]);

    // `{:?}` above tells -0 from 0 and is injective on finite numbers; here the bits themselves, for good measure.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bits.mcap");
    let mut writer = EpisodeWriter::create(&path, &info, &[]).unwrap();
    ticks
        .iter()
        .for_each(|tick| writer.write_tick(tick, None, 0).unwrap());
    writer.finish().unwrap();
    let read = read_episode(&path).unwrap().ticks;
    for (before, after) in ticks.iter().zip(&read) {
        for (a, b) in before.actuate.action.iter().zip(&after.actuate.action) {
            assert!(
                a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()),
                "{a:?} became {b:?}"
            );
        }
    }
}

/// A robot of so many joints.
fn info_of(joints: usize) -> EpisodeInfo {
    EpisodeInfo {
        joint_names: (0..joints).map(|joint| format!("joint {joint}")).collect(),
        ..info()
    }
}

/// A tick of such a robot.
fn tick_of(number: u32, joints: usize) -> TickRecord {
    let mut tick = tick(number);
    for vector in [
        &mut tick.capture.arm_set_point_rad,
        &mut tick.capture.position_rad,
        &mut tick.capture.velocity_rad_s,
        &mut tick.plan.action,
        &mut tick.guard.action,
        &mut tick.guard.set_point_rad,
        &mut tick.actuate.action,
        &mut tick.actuate.set_point_rad,
    ] {
        vector.resize(joints, 0.25).unwrap();
    }
    tick
}

#[test]
fn robots_of_any_number_of_joints() {
    for joints in 1..=MAX_JOINTS {
        let mut silent = tick_of(1, joints);
        // What was not measured or not decided is empty.
        for vector in [
            &mut silent.capture.position_rad,
            &mut silent.capture.velocity_rad_s,
            &mut silent.capture.arm_set_point_rad,
            &mut silent.plan.action,
            &mut silent.guard.action,
            &mut silent.guard.set_point_rad,
        ] {
            vector.clear();
        }
        check_of(&info_of(joints), &[tick_of(0, joints), silent], &[None, None]);
    }
}

#[test]
fn the_decision_stream_holds_no_clock() {
    let dir = tempfile::tempdir().unwrap();
    let stream = |name: &str, change: &dyn Fn(&mut TickRecord)| {
        let path = dir.path().join(name);
        let mut writer = EpisodeWriter::create(&path, &info(), &[]).unwrap();
        for number in 0..8 {
            let mut tick = tick(number);
            change(&mut tick);
            writer
                .write_tick(&tick, Some(&frame(number)), tick.edge_ns)
                .unwrap();
        }
        writer.finish().unwrap();
        decision_stream(&path).unwrap()
    };
    let one = stream("one.mcap", &|_| {});
    let late = stream("late.mcap", &|tick| {
        tick.edge_ns += 12_345;
        tick.capture.age_ns += 1;
        tick.record.latency_ns = StageTimes {
            capture: 9,
            encode: 9,
            filter: 9,
            plan: 9,
            guard: 9,
            actuate: 9,
            record: 9,
        };
        tick.record.lateness_ns += PERIOD_NS;
        tick.record.deadline_missed ^= true;
        tick.record.host_stall ^= true;
        tick.record.dropped += 1;
    });
    assert_eq!(one, late);
    let lines: Vec<_> = one.split(|byte| *byte == b'\n').collect();
    assert_eq!(lines.len(), 4 * 8 + 1);
    assert!(
        lines[0].starts_with(b"/filter {\"tick\":0,"),
        "{}",
        String::from_utf8_lossy(lines[0])
    );

    let changes: [&dyn Fn(&mut TickRecord); 4] = [
        &|tick| tick.filter.kl_nats = f32::from_bits(tick.filter.kl_nats.to_bits() + 1),
        &|tick| tick.plan.iterations += 1,
        &|tick| tick.guard.reason = Reason::EStop,
        &|tick| tick.actuate.action[0] = -tick.actuate.action[0],
    ];
    for (index, change) in changes.into_iter().enumerate() {
        assert_ne!(
            one,
            stream(&format!("other-{index}.mcap"), change),
            "change {index} went unseen"
        );
    }
}
