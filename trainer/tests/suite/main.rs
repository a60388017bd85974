//! The trainer through its public interface, on small synthetic logs: a square that actions push about.

mod audit;
mod data;
mod export;
mod keep;
mod observe;
mod resume;
mod run;
mod sides;

use std::path::Path;

use episode::{Episode, EpisodeInfo, EpisodeWriter, TickRecord, read_episode};
use robot::Frame;
use robot::philox::Stream;
use trainer::preset::Preset;

/// A preset small enough for tests.
const SMALL: &str = include_str!("../small.ron");

fn small() -> Preset {
    ron::from_str(SMALL).expect("the test preset is valid")
}

/// Writes an episode in which a square moves by the action that was sent the tick before.
fn write_log(dir: &Path, seed: u64, ticks: u32, edit: impl Fn(&mut EpisodeInfo)) {
    write_log_of_side(64, dir, seed, ticks, edit);
}

/// The same with pictures of `side` x `side` pixels.
fn write_log_of_side(side: usize, dir: &Path, seed: u64, ticks: u32, edit: impl Fn(&mut EpisodeInfo)) {
    let mut info = EpisodeInfo {
        robot: "square".to_owned(),
        task: "push".to_owned(),
        episode_seed: seed,
        policy: if seed.is_multiple_of(2) {
            "random"
        } else {
            "planner"
        }
        .to_owned(),
        period_s: 0.1,
        joint_names: vec!["x".to_owned(), "y".to_owned()],
        ..EpisodeInfo::default()
    };
    edit(&mut info);
    let path = dir.join(format!("episode-{seed:03}.mcap"));
    let mut writer = EpisodeWriter::create(&path, &info, &[]).expect("log");
    let mut stream = Stream::new(seed, 0);
    let mut position = [stream.range(10.0, 50.0), stream.range(10.0, 50.0)];
    for tick in 0..ticks {
        let mut row = TickRecord {
            tick,
            ..TickRecord::default()
        };
        let mut frame = Frame::new(side);
        for (index, pixel) in frame.rgb_mut().chunks_exact_mut(3).enumerate() {
            // The same scene at every side.
            let place = |pixels: usize| pixels as f32 * 64.0 / side as f32;
            let (x, y) = (place(index % side), place(index / side));
            let inside = (x - position[0]).abs() < 5.0 && (y - position[1]).abs() < 5.0;
            pixel.copy_from_slice(if inside { &[230, 80, 40] } else { &[30, 30, 40] });
        }
        row.capture.fresh = true;
        row.capture.frame_seq = u64::from(tick);
        row.capture.frame_hash = frame.hash();
        row.capture.reward = Some(position[0] / 64.0);
        let velocity = if info.task == "lost" { f32::NAN } else { 0.5 };
        let action = [stream.range(-1.0, 1.0), stream.range(-1.0, 1.0)];
        let joints = info.joint_names.len();
        for joint in 0..joints {
            let _ = row.actuate.action.push(action[joint % 2]);
            let _ = row.capture.position_rad.push(if info.task == "echo" {
                0.0
            } else {
                position[joint % 2] / 64.0
            });
            let _ = row.capture.velocity_rad_s.push(velocity);
            let _ = row.actuate.set_point_rad.push(0.0);
            let _ = row.plan.action.push(0.0);
            let _ = row.guard.action.push(0.0);
            let _ = row.guard.set_point_rad.push(0.0);
        }
        row.actuate.sent = true;
        writer
            .write_tick(&row, Some(&frame), u64::from(tick) * 100_000_000)
            .expect("writes");
        for axis in 0..2 {
            position[axis] = (position[axis] + 3.0 * action[axis]).clamp(5.0, 58.0);
        }
    }
    writer.finish().expect("finishes");
}

fn logs(count: u64, ticks: u32) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("temporary folder");
    for seed in 0..count {
        write_log(dir.path(), seed, ticks, |_| {});
    }
    dir
}

/// Writes every log of `dir` again as `edit` leaves it.
fn rewritten(dir: &Path, edit: impl Fn(&mut Episode)) -> tempfile::TempDir {
    let out = tempfile::tempdir().expect("temporary folder");
    for path in episode::list_runs(dir).expect("logs") {
        let mut log = read_episode(&path).expect("whole");
        edit(&mut log);
        // As whoever records does.
        for (tick, frame) in log.ticks.iter_mut().zip(&log.frames) {
            tick.capture.frame_hash = frame.as_ref().map_or(0, Frame::hash);
        }
        if let Some((_, robot)) = log.attachments.iter().find(|(name, _)| name == "robot.ron") {
            log.info.config_sha256 = robot::text_sha256(robot);
        }
        let path = out.path().join(path.file_name().expect("a name"));
        let attachments: Vec<_> = log
            .attachments
            .iter()
            .map(|(name, bytes)| (name.as_str(), "text/plain", bytes.as_slice()))
            .collect();
        let mut writer = EpisodeWriter::create(&path, &log.info, &attachments).expect("log");
        for (row, frame) in log.ticks.iter().zip(&log.frames) {
            writer
                .write_tick(row, frame.as_ref(), u64::from(row.tick) * 100_000_000)
                .expect("writes");
        }
        writer.finish().expect("finishes");
    }
    out
}
