//! Writes a short made-up episode, to look at in Foxglove or to check another reader against:
//! `cargo run -p armillary-episode --example write_sample -- sample.mcap`, then
//! `python episode/tests/read_log.py sample.mcap`.

use std::path::PathBuf;

use episode::{EpisodeInfo, EpisodeWriter, TickRecord};
use robot::{Frame, JointVec};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: write_sample LOG")?);
    let info = EpisodeInfo {
        robot: "sample".to_owned(),
        task: "none".to_owned(),
        policy: "random".to_owned(),
        period_s: 0.05,
        joint_names: vec!["shoulder".to_owned(), "elbow".to_owned()],
        ..EpisodeInfo::default()
    };
    let mut writer = EpisodeWriter::create(&path, &info, &[("note.txt", "text/plain", b"a sample")])?;
    for number in 0..100u32 {
        let mut frame = Frame::default();
        for (index, value) in frame.rgb_mut().iter_mut().enumerate() {
            *value = (index as u32 + 3 * number) as u8;
        }
        let angle = number as f32 * 0.05;
        let position: JointVec = [angle.sin(), angle.cos()].into_iter().collect();
        let mut tick = TickRecord {
            tick: number,
            edge_ns: u64::from(number) * 50_000_000,
            ..TickRecord::default()
        };
        tick.capture.frame_seq = u64::from(number);
        tick.capture.frame_hash = frame.hash();
        tick.capture.fresh = true;
        tick.capture.reward = Some(angle.sin().abs());
        tick.capture.velocity_rad_s = [angle.cos(), -angle.sin()].into_iter().collect();
        tick.capture.position_rad = position.clone();
        tick.actuate.set_point_rad = position.clone();
        tick.actuate.action = position;
        tick.actuate.sent = true;
        writer.write_tick(&tick, Some(&frame), tick.edge_ns)?;
    }
    let summary = writer.finish()?;
    println!(
        "{}: {} ticks, {} bytes",
        path.display(),
        summary.ticks,
        summary.bytes
    );
    Ok(())
}
