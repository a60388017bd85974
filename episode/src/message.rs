//! Payloads: rows to bytes and back.

use foxglove::messages::{CompressedImage, JointState, JointStates, RawImage, Timestamp};
use foxglove::{Decode, Encode};
use robot::{Frame, JointVec};
use serde::{Deserialize, Serialize};

use crate::row::{RecordRow, StageTimes, TickRecord};

/// A JSON object of `row`'s fields with `tick` in front.
pub(crate) fn json(buffer: &mut Vec<u8>, tick: u32, row: &impl Serialize) -> std::io::Result<()> {
    buffer.clear();
    buffer.extend_from_slice(format!("{{\"tick\":{tick},").as_bytes());
    let brace = buffer.len();
    // Spliced and not `#[serde(flatten)]`: that buffers numbers as `f64`, and reading them back would round twice.
    serde_json::to_writer(&mut *buffer, row)?;
    buffer.remove(brace);
    Ok(())
}

/// The payload of `/record`: the record row, and the times of other stages, which are kept out of their channels so
/// that the decision stream holds no clock.
#[derive(Serialize, Deserialize)]
pub(crate) struct RecordMessage {
    edge_ns: u64,
    age_ns: u64,
    latency_ns: StageTimes,
    lateness_ns: u64,
    deadline_missed: bool,
    host_stall: bool,
    dropped: u32,
}

impl RecordMessage {
    pub(crate) fn of(tick: &TickRecord) -> Self {
        Self {
            edge_ns: tick.edge_ns,
            age_ns: tick.capture.age_ns,
            latency_ns: tick.record.latency_ns,
            lateness_ns: tick.record.lateness_ns,
            deadline_missed: tick.record.deadline_missed,
            host_stall: tick.record.host_stall,
            dropped: tick.record.dropped,
        }
    }

    pub(crate) fn fill(self, tick: &mut TickRecord) {
        tick.edge_ns = self.edge_ns;
        tick.capture.age_ns = self.age_ns;
        tick.record = RecordRow {
            latency_ns: self.latency_ns,
            lateness_ns: self.lateness_ns,
            deadline_missed: self.deadline_missed,
            host_stall: self.host_stall,
            dropped: self.dropped,
        };
    }
}

/// A time of day for a protobuf message; past the year 2106 it stays at the last representable second.
fn timestamp(time_ns: u64) -> Timestamp {
    let sec = u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX);
    Timestamp::new(sec, (time_ns % 1_000_000_000) as u32)
}

fn protobuf(buffer: &mut Vec<u8>, message: &impl Encode) -> std::io::Result<()> {
    buffer.clear();
    message
        .encode(buffer)
        .map_err(|error| std::io::Error::other(error.to_string()))
}

/// `foxglove.RawImage` of a frame.
pub(crate) fn image(buffer: &mut Vec<u8>, frame: &Frame, time_ns: u64) -> std::io::Result<()> {
    let side = frame.side() as u32;
    let message = RawImage {
        timestamp: Some(timestamp(time_ns)),
        frame_id: "camera".to_owned(),
        width: side,
        height: side,
        encoding: "rgb8".to_owned(),
        step: 3 * side,
        data: frame.rgb().to_vec().into(),
    };
    protobuf(buffer, &message)
}

/// What [`CompressedImage`] calls the only format that is kept.
const JPEG: &str = "jpeg";

/// `foxglove.CompressedImage` of a camera's own picture.
pub(crate) fn camera(buffer: &mut Vec<u8>, jpeg: &[u8], time_ns: u64) -> std::io::Result<()> {
    let message = CompressedImage {
        timestamp: Some(timestamp(time_ns)),
        frame_id: "camera".to_owned(),
        data: jpeg.to_vec().into(),
        format: JPEG.to_owned(),
    };
    protobuf(buffer, &message)
}

/// The JPEG in a `foxglove.CompressedImage`, or what is wrong with it.
pub(crate) fn read_camera(payload: &[u8]) -> Result<Vec<u8>, String> {
    let message = <CompressedImage as Decode>::decode(payload).map_err(|error| error.to_string())?;
    if message.format != JPEG {
        return Err(format!("its format is `{}` and not `{JPEG}`", message.format));
    }
    Ok(message.data.to_vec())
}

/// What is wrong with a message.
pub(crate) enum BadMessage {
    /// It cannot be read.
    Damaged(String),
    /// A picture of another size or kind.
    OtherImage(OtherImage),
}

/// A picture that a log may not have.
pub(crate) struct OtherImage {
    /// What it is.
    pub(crate) found: String,
    /// What it may be.
    pub(crate) expected: String,
}

impl OtherImage {
    /// A picture of another side than those before it in its log.
    pub(crate) fn of_side(side: usize, before: usize) -> Self {
        Self {
            found: format!("{side}x{side} rgb8"),
            expected: format!("the pictures before it are {before}x{before} rgb8"),
        }
    }
}

/// The frame in a `foxglove.RawImage`, or what is wrong with it.
pub(crate) fn read_image(payload: &[u8]) -> Result<Frame, BadMessage> {
    let message =
        <RawImage as Decode>::decode(payload).map_err(|error| BadMessage::Damaged(error.to_string()))?;
    let side = message.width;
    let shape = (message.height, message.step, message.encoding.as_str());
    if !Frame::allows(side as usize) || shape != (side, 3 * side, "rgb8") {
        return Err(BadMessage::OtherImage(OtherImage {
            found: format!("{}x{} {}", message.width, message.height, message.encoding),
            expected: format!("a model sees a square in rgb8 whose side is {}", Frame::SIDES),
        }));
    }
    Frame::from_rgb(&message.data)
        .filter(|frame| frame.side() == side as usize)
        .ok_or_else(|| BadMessage::Damaged(format!("a frame of {} bytes", message.data.len())))
}

/// `foxglove.JointStates`; joints beyond `names` are numbered. Single to double precision is exact.
pub(crate) fn joints(
    buffer: &mut Vec<u8>,
    names: &[String],
    position_rad: &[f32],
    velocity_rad_s: &[f32],
    time_ns: u64,
) -> std::io::Result<()> {
    let joints = (0..position_rad.len().max(velocity_rad_s.len()))
        .map(|index| JointState {
            name: names
                .get(index)
                .cloned()
                .unwrap_or_else(|| format!("joint_{index}")),
            position: position_rad.get(index).copied().map(f64::from),
            velocity: velocity_rad_s.get(index).copied().map(f64::from),
            acceleration: None,
            effort: None,
        })
        .collect();
    protobuf(
        buffer,
        &JointStates {
            timestamp: Some(timestamp(time_ns)),
            joints,
        },
    )
}

/// Positions and velocities in a `foxglove.JointStates`, or what is wrong with it.
pub(crate) fn read_joints(payload: &[u8]) -> Result<(JointVec, JointVec), String> {
    let message = <JointStates as Decode>::decode(payload).map_err(|error| error.to_string())?;
    let (mut position_rad, mut velocity_rad_s) = (JointVec::new(), JointVec::new());
    for joint in &message.joints {
        for (value, values) in [
            (joint.position, &mut position_rad),
            (joint.velocity, &mut velocity_rad_s),
        ] {
            let Some(value) = value else { continue };
            values
                .push(value as f32)
                .map_err(|_| format!("more than {} joints", robot::MAX_JOINTS))?;
        }
    }
    Ok((position_rad, velocity_rad_s))
}
