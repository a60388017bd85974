//! Episodes to write, and a file that tests can look into while it is being written.

use std::cell::RefCell;
use std::io::{Error, Write};
use std::path::Path;
use std::rc::Rc;

use episode::{
    ActuateRow, ArmState, Attachment, CaptureRow, EncodeRow, Episode, EpisodeInfo, EpisodeWriter, FilterRow,
    GuardRow, PlanRow, PlanSource, Reason, RecordRow, StageTimes, TickRecord, read_episode_from,
};
use robot::device::{Motor, MotorTrouble, Motors, TroubleKind};
use robot::philox::Stream;
use robot::{Frame, JointVec};

pub(crate) const PERIOD_NS: u64 = 50_000_000;
pub(crate) const ATTACHMENTS: [Attachment<'static>; 2] = [
    ("robot.ron", "text/plain", b"(name: \"arm\")"),
    ("manifest.ron", "text/plain", b"(format: 1)"),
];

pub(crate) fn info() -> EpisodeInfo {
    EpisodeInfo {
        robot: "sim-arm".to_owned(),
        task: "reach".to_owned(),
        episode_seed: u64::MAX,
        policy: "planner".to_owned(),
        pipeline: "next_tick".to_owned(),
        planner_seed: 1 << 60,
        period_s: 0.05,
        joint_names: vec!["shoulder".to_owned(), "elbow \"two\"".to_owned()],
        reward_source: "simulator".to_owned(),
        config_sha256: robot::text_sha256(ATTACHMENTS[0].2),
        guard_rules: 2,
        bundle_sha256: Some("ab".repeat(32)),
        software: "armillary 0.1.0".to_owned(),
        ..EpisodeInfo::default()
    }
}

/// Motors of every tick but the first ones; with trouble in some.
fn motors(number: u32) -> Motors {
    if number < 3 {
        return Motors::default();
    }
    let motor = |joint: u32| Motor {
        missed: number % 4,
        voltage_v: Some(12.1 + joint as f32 / 3.0),
        temperature_c: number.is_multiple_of(2).then_some(41.0),
        load: Some(0.1),
        current_a: None,
    };
    Motors {
        exchange_us: 1_000 + number,
        joints: (0..2).map(motor).collect(),
        trouble: number.is_multiple_of(5).then_some(MotorTrouble {
            joint: 1,
            id: 2,
            kind: TroubleKind::OverTemperature,
            value: Some(71.0),
        }),
    }
}

/// A tick with every field set, different for each tick.
pub(crate) fn tick(number: u32) -> TickRecord {
    let mut stream = Stream::new(7, u64::from(number));
    let mut joints = || -> JointVec { (0..2).map(|_| stream.range(-1.0, 1.0)).collect() };
    let wide = |low: u64| (u64::from(number) << 40) | low;
    TickRecord {
        tick: number,
        edge_ns: u64::from(number) * PERIOD_NS,
        capture: CaptureRow {
            frame_seq: wide(3),
            frame_hash: frame(number).hash(),
            fresh: true,
            age_ns: wide(5),
            reward: Some(number as f32 / 3.0),
            arm: ArmState::Active,
            arm_refused: number == 30,
            arm_set_point_rad: joints(),
            motors: motors(number),
            position_rad: joints(),
            velocity_rad_s: joints(),
        },
        encode: EncodeRow {
            reused: number % 2 == 1,
        },
        filter: FilterRow {
            kl_nats: 0.1 + number as f32,
            prior_only: number % 3 == 1,
            reward_predicted: 0.7,
        },
        plan: PlanRow {
            source: PlanSource::Fresh,
            iterations: 10,
            best_return: 1.0 / 7.0,
            elite_mean_return: -1e-20,
            elite_std: 3e20,
            action: joints(),
        },
        guard: GuardRow {
            reason: Reason::PlanLate,
            hits: 0b1_0110,
            action: joints(),
            set_point_rad: joints(),
        },
        actuate: ActuateRow {
            command_seq: number + 1,
            action: joints(),
            set_point_rad: joints(),
            sent: true,
        },
        record: RecordRow {
            latency_ns: StageTimes {
                capture: 1,
                encode: 2,
                filter: 3,
                plan: 4,
                guard: 5,
                actuate: 6,
                record: wide(7),
            },
            lateness_ns: wide(8),
            deadline_missed: number.is_multiple_of(2),
            host_stall: number % 2 == 1,
            dropped: number,
        },
    }
}

/// A frame that compresses well and differs from tick to tick.
pub(crate) fn frame(number: u32) -> Frame {
    let mut frame = Frame::default();
    let rgb = frame.rgb_mut();
    let at = number as usize * 100 % rgb.len();
    rgb[at] = 200;
    frame
}

/// A file in memory that stays visible to the test, with an optional size at which its disk is full.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    bytes: Rc<RefCell<Vec<u8>>>,
    capacity: Option<usize>,
}

impl Disk {
    pub(crate) fn of(capacity: usize) -> Self {
        Self {
            capacity: Some(capacity),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.borrow().len()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.borrow().clone()
    }
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let room = self
            .capacity
            .map_or(data.len(), |capacity| capacity - self.len())
            .min(data.len());
        if room == 0 && !data.is_empty() {
            return Err(Error::from(std::io::ErrorKind::StorageFull));
        }
        self.bytes.borrow_mut().extend_from_slice(&data[..room]);
        Ok(room)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A whole log of `count` ticks with a chunk a tick, and its length after each of them.
pub(crate) fn log(count: u32) -> (Vec<u8>, Vec<usize>) {
    let disk = Disk::default();
    let mut writer =
        EpisodeWriter::from_writer(disk.clone(), Path::new("memory"), &info(), &ATTACHMENTS, 1).unwrap();
    let ends = (0..count)
        .map(|number| {
            let frame = frame(number);
            writer
                .write_tick(&tick(number), Some(&frame), u64::from(number) * PERIOD_NS)
                .unwrap();
            disk.len()
        })
        .collect();
    let summary = writer.finish().unwrap();
    assert_eq!(
        (summary.ticks, summary.bytes),
        (u64::from(count), disk.len() as u64)
    );
    (disk.bytes(), ends)
}

pub(crate) fn read(bytes: &[u8]) -> Result<Episode, episode::EpisodeError> {
    read_episode_from(bytes, Path::new("memory"))
}
