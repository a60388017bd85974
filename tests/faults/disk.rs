//! The disk that a log is written to: full, hung, read-only, broken; a log that is taken away. In real time, with a short period.

use std::io::{Error, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use controller::capture::Sight;
use controller::live;
use controller::lockstep::{EpisodeRunError, Labels};
use controller::record::Recorder;
use controller::session::{PolicyChoice, Session};
use devices::fake::FakeBus;
use episode::{EpisodeError, EpisodeWriter, Reason, read_episode, read_episode_from};
use robot::config::Pipeline;
use robot::device::{
    ArmState, DeviceError, FrameSource, FrameStamp, JointBus as _, LinkError, Picture, PixelFormat, Signals,
};
use robot::philox::Stream;

use crate::row::{Outcome, Scale};
use crate::side_by_side::side_by_side;
use crate::tapped::{Tap, Tapped};

/// Control period, in seconds.
const PERIOD_S: f32 = 0.01;

/// Periods of an episode that nothing stops: many more than any fault needs.
const TICKS: u32 = 1_000;

/// Rows that wait for the disk at most, one a command: the next one is lost, and the arm is stopped by it.
const LANE: u64 = 64;

/// Periods within which it is noticed that a log was taken away, while the thread that writes it gets a CPU.
const LOOK: u64 = 25;

/// A command that left before its row was handed over, one that left before the stop, and what is counted in between.
const SLACK: u64 = 4;

/// Trials at a time. They wait most of the time.
const AT_A_TIME: usize = 12;

/// How long a disk that hangs is waited for at the end.
const PATIENCE: Duration = Duration::from_millis(200);

/// What a disk does from some byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Full,
    ReadOnly,
    Broken,
    Hung,
}

/// A disk in memory.
#[derive(Clone)]
struct Disk(Arc<Inner>);

struct Inner {
    trouble: Trouble,
    /// Bytes that it takes before its trouble begins.
    room: usize,
    bytes: Mutex<Vec<u8>>,
    released: Mutex<bool>,
    release: Condvar,
    /// Commands that had left when the trouble began; `u64::MAX` before.
    began_at: AtomicU64,
    sent: Arc<AtomicU64>,
}

impl Disk {
    fn new(trouble: Trouble, room: usize, sent: &Arc<AtomicU64>) -> Self {
        Self(Arc::new(Inner {
            trouble,
            room,
            bytes: Mutex::default(),
            released: Mutex::default(),
            release: Condvar::new(),
            began_at: AtomicU64::new(u64::MAX),
            sent: Arc::clone(sent),
        }))
    }

    fn bytes(&self) -> Vec<u8> {
        self.0
            .bytes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Lets a thread go that waits for a hung disk.
    fn release(&self) {
        *self.0.released.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.release.notify_all();
    }
}

impl Write for Disk {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        let inner = &*self.0;
        let mut bytes = inner.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let free = inner.room - bytes.len();
        if free > 0 || data.is_empty() {
            let count = free.min(data.len());
            bytes.extend_from_slice(&data[..count]);
            return Ok(count);
        }
        drop(bytes);
        let now = inner.sent.load(Ordering::SeqCst);
        let _ = inner
            .began_at
            .compare_exchange(u64::MAX, now, Ordering::SeqCst, Ordering::SeqCst);
        match inner.trouble {
            Trouble::Full => Err(ErrorKind::StorageFull.into()),
            Trouble::ReadOnly => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Trouble::Broken => Err(Error::from_raw_os_error(nix::errno::Errno::EIO as i32)),
            Trouble::Hung => {
                let mut released = inner.released.lock().unwrap_or_else(PoisonError::into_inner);
                while !*released {
                    released = inner
                        .release
                        .wait(released)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                Err(ErrorKind::Other.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Disk {
    fn seek(&mut self, _to: SeekFrom) -> std::io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }
}

/// Counts commands.
struct Count {
    sent: Arc<AtomicU64>,
    stopped: bool,
    /// Commands after a stop.
    after: u64,
}

impl Tap<FakeBus> for Count {
    fn before_set_point(&mut self, _: &mut FakeBus) -> Result<(), LinkError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        self.after += u64::from(self.stopped);
        Ok(())
    }

    fn before_stop(&mut self) {
        self.stopped = true;
    }
}

/// A camera with a new picture of noise whenever a command has left. Noise does not compress, so that the log grows.
struct Noise {
    sent: Arc<AtomicU64>,
    shown: Option<u64>,
}

impl FrameSource for Noise {
    fn poll(&mut self, into: &mut Picture) -> Result<Option<FrameStamp>, DeviceError> {
        let now = self.sent.load(Ordering::SeqCst);
        if self.shown == Some(now) {
            return Ok(None);
        }
        self.shown = Some(now);
        let mut random = Stream::new(now, 0xCA3E);
        let bytes: Vec<u8> = (0..64 * 64 * 3 / 4)
            .flat_map(|_| random.next_u32().to_le_bytes())
            .collect();
        into.fill(64, 64, PixelFormat::Rgb8, &bytes);
        Ok(Some(FrameStamp {
            seq: now + 1,
            age_ns: 0,
        }))
    }
}

/// The shipped planar arm with a short period, random actions, and nothing that a busy machine could stop it by.
fn session(dir: &Path) -> Session {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text =
        std::fs::read_to_string(root.join("configs/sim-planar.ron")).expect("the shipped robot file");
    for (from, to) in [
        ("period_s: 0.1", format!("period_s: {PERIOD_S}").as_str()),
        ("max_age_s: 0.08, gap_ticks: 5", "max_age_s: 10.0, gap_ticks: 900"),
        ("watchdog_periods: 2.5", "watchdog_periods: 100.0"),
    ] {
        assert!(text.contains(from), "the shipped robot file has `{from}`");
        text = text.replacen(from, to, 1);
    }
    let robot = dir.join("robot.ron");
    std::fs::write(&robot, text).expect("writes");
    armillary::simulation::session(&robot, None, PolicyChoice::Random, Some(Pipeline::NextTick))
        .expect("a sound robot file")
}

/// How an episode ended.
struct Driven {
    result: Result<Option<Reason>, EpisodeRunError>,
    /// What the arm does at the end.
    state: Option<ArmState>,
    /// Commands after a stop.
    after: u64,
    /// Commands.
    sent: u64,
}

/// Drives an arm whose log `record` begins, at `log`.
fn drive(
    session: &Session,
    log: &Path,
    sent: &Arc<AtomicU64>,
    record: impl FnOnce(&episode::EpisodeInfo) -> Result<Recorder, EpisodeRunError>,
) -> Driven {
    let (mut controller, encoder) = session.live_controller().expect("a controller");
    let home: Vec<f32> = session.config.envelope.home().position_rad.to_vec();
    let mut bus = Tapped {
        bus: FakeBus::new(&home),
        tap: Count {
            sent: Arc::clone(sent),
            stopped: false,
            after: 0,
        },
    };
    let camera = Box::new(Noise {
        sent: Arc::clone(sent),
        shown: None,
    });
    let sight = Sight::new(&session.config, camera, None, encoder, None).expect("a view");
    let attachments = session.attachments();
    let labels = Labels {
        log,
        info: session.info(&controller, 5, 1),
        attachments: &attachments,
    };
    let result = live::run_recorded(
        &live::Time::default(),
        &session.config,
        &mut controller,
        &mut bus,
        sight,
        session.embedding(),
        TICKS,
        &labels,
        &Signals::default(),
        |info, _room| record(info),
    );
    Driven {
        result: result.map(|(outcome, _)| outcome.stopped),
        state: bus.bus.poll().ok().flatten().map(|report| report.state),
        after: bus.tap.after,
        sent: sent.load(Ordering::SeqCst),
    }
}

impl Driven {
    /// How many commands left after the fault had begun, when `began_at` had left: `most` may, however busy the machine is.
    fn after_fault(&self, began_at: u64, most: u64) -> Result<u64, String> {
        match self.sent.checked_sub(began_at) {
            None => Err("the fault never began".to_owned()),
            Some(commands) if commands > most => Err(format!(
                "{commands} commands left after the fault had begun, {most} may"
            )),
            Some(commands) => Ok(commands),
        }
    }

    /// The arm was stopped and stays so, and the run has failed by the error that is expected.
    fn is_safe(&self, expected: fn(&EpisodeError) -> bool) -> Result<(), String> {
        match &self.result {
            Err(EpisodeRunError::Log(error)) if expected(error) => {}
            Err(error) => return Err(format!("another error: {error}")),
            Ok(stopped) => return Err(format!("the run succeeds, stopped: {stopped:?}")),
        }
        if self.state == Some(ArmState::Held) && self.after == 0 {
            Ok(())
        } else {
            Err(format!(
                "{:?}, {} commands after the stop",
                self.state, self.after
            ))
        }
    }
}

/// One episode on a disk in memory. Returns how many commands left after the trouble had begun.
fn troubled(session: &Session, trouble: Trouble, seed: u64) -> Result<u64, String> {
    let mut random = Stream::new(seed, 0xD15C);
    // Up to several chunks.
    let room = head_bytes(session) + random.below(200_000);
    let sent = Arc::<AtomicU64>::default();
    let disk = Disk::new(trouble, room, &sent);
    let path = Path::new("disk.mcap");
    let attachments = session.attachments();
    let driven = drive(session, path, &sent, |info| {
        let writer =
            EpisodeWriter::from_writer(disk.clone(), path, info, &attachments, episode::CHUNK_BYTES)?;
        let recorder = Recorder::start(writer, session.config.frame_side, 0)?;
        Ok(recorder.with_patience(PATIENCE))
    });
    disk.release();
    driven.is_safe(match trouble {
        Trouble::Hung => |error| matches!(error, EpisodeError::Hung { .. }),
        _ => |error| matches!(error, EpisodeError::Write { .. }),
    })?;
    kept(session, read_episode_from(disk.bytes().as_slice(), path), room)?;
    let began_at = disk.0.began_at.load(Ordering::SeqCst);
    driven.after_fault(began_at, LANE + SLACK)
}

/// Bytes of a log before its first row.
fn head_bytes(session: &Session) -> usize {
    let (controller, _) = session.live_controller().expect("a controller");
    let info = session.info(&controller, 5, 1);
    let disk = Disk::new(Trouble::Full, usize::MAX, &Arc::default());
    let path = Path::new("disk.mcap");
    let writer = EpisodeWriter::from_writer(
        disk.clone(),
        path,
        &info,
        &session.attachments(),
        episode::CHUNK_BYTES,
    );
    drop(writer.expect("a log begins"));
    disk.bytes().len()
}

/// What had reached the disk can be read: all but a chunk, and is said to be cut off.
fn kept(session: &Session, log: Result<episode::Episode, EpisodeError>, bytes: usize) -> Result<(), String> {
    let log = log.map_err(|error| error.to_string())?;
    // Noise does not compress: a row has 12 kB of picture, and less than 2 kB of all else.
    const ROW_BYTES: usize = 14_500;
    let least = bytes.saturating_sub(head_bytes(session) + episode::CHUNK_BYTES + ROW_BYTES) / ROW_BYTES;
    if log.complete || log.problem.is_none() || log.ticks.len() < least {
        return Err(format!(
            "{} rows of a log of {bytes} bytes, complete: {}",
            log.ticks.len(),
            log.complete
        ));
    }
    Ok(())
}

/// Something that is done to the file of a log, or its folder.
type Mishap = fn(&Path) -> std::io::Result<()>;

const MISHAPS: [(&str, Mishap); 5] = [
    ("folder removed", |log| {
        std::fs::remove_dir_all(log.parent().unwrap_or(log))
    }),
    ("folder moved", |log| {
        let folder = log.parent().unwrap_or(log);
        std::fs::rename(folder, folder.with_extension("moved"))
    }),
    ("file removed", |log| std::fs::remove_file(log)),
    ("file replaced", |log| {
        let bytes = std::fs::read(log)?;
        std::fs::remove_file(log)?;
        std::fs::write(log, bytes)
    }),
    ("file emptied", |log| {
        std::fs::OpenOptions::new().write(true).open(log)?.set_len(0)
    }),
];

/// One episode whose log meets with a mishap. Returns how many commands left after it.
fn mishap(session: &Session, mishap: Mishap, seed: u64) -> Result<u64, String> {
    let mut random = Stream::new(seed, 0x90E);
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let log: PathBuf = dir.path().join("run/episode.mcap");
    let sent = Arc::<AtomicU64>::default();
    let at = 1 + random.below(30) as u64;
    let attachments = session.attachments();
    let (driven, done) = std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            while sent.load(Ordering::SeqCst) < at {
                std::thread::park_timeout(Duration::from_millis(1));
            }
            mishap(&log).map(|()| sent.load(Ordering::SeqCst))
        });
        let driven = drive(session, &log, &sent, |info| {
            let writer = EpisodeWriter::create(&log, info, &attachments)?.durable()?;
            Ok(Recorder::start(writer, session.config.frame_side, 0)?)
        });
        // It ends, too, where no command ever left.
        sent.fetch_max(at, Ordering::SeqCst);
        (driven, waits.join())
    });
    let began_at = match done {
        Ok(Ok(began_at)) => began_at,
        other => return Err(format!("the mishap did not happen: {other:?}")),
    };
    driven.is_safe(|error| matches!(error, EpisodeError::Gone { .. }))?;
    if let Ok(read) = read_episode(&log)
        && read.complete
    {
        return Err("a log that was changed passes for a whole one".to_owned());
    }
    driven.after_fault(began_at, LANE + LOOK + SLACK)
}

/// What a row has of many trials at a time: commands after the fault began. In the middle of all trials `middle_most` may leave.
fn outcome(results: Vec<Result<u64, String>>, middle_most: u64) -> Outcome {
    let mut outcome = Outcome::default();
    let mut all = Vec::new();
    for result in results {
        outcome.tried(result.map(|commands| all.push(commands)));
    }
    all.sort_unstable();
    let worst = all.last().copied().unwrap_or(0);
    // Where each trial has failed there is none.
    let middle = all.get(all.len() / 2).copied().unwrap_or(0);
    if middle > middle_most {
        outcome.tried(Err(format!(
            "{middle} commands left after the fault had begun in the middle of all trials, {middle_most} may"
        )));
    }
    outcome.worst = format!(
        "{middle} commands after it began in the middle, {worst} at most, {:.2} s at {:.0} Hz",
        worst as f32 * PERIOD_S,
        1.0 / PERIOD_S
    );
    outcome
}

fn on_a_disk(scale: Scale, troubles: &[Trouble], middle_most: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let session = session(dir.path());
    let each = scale.trials(100, 4);
    let trials = each * troubles.len() as u64;
    let results = side_by_side(AT_A_TIME, trials, |trial| {
        let trouble = troubles[trial as usize % troubles.len()];
        troubled(&session, trouble, trial).map_err(|problem| format!("{trouble:?}, trial {trial}: {problem}"))
    });
    outcome(results, middle_most)
}

/// The disk is full, read-only, or broken.
pub(crate) fn refuses(scale: Scale) -> Outcome {
    // The thread that writes ends at once.
    on_a_disk(scale, &[Trouble::Full, Trouble::ReadOnly, Trouble::Broken], LOOK)
}

/// The disk does not answer.
pub(crate) fn hangs(scale: Scale) -> Outcome {
    on_a_disk(scale, &[Trouble::Hung], LANE + SLACK)
}

/// Somebody takes the log away, or changes it.
pub(crate) fn taken_away(scale: Scale) -> Outcome {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let session = session(dir.path());
    let each = scale.trials(100, 2);
    let results = side_by_side(AT_A_TIME, each * MISHAPS.len() as u64, |trial| {
        let (name, done) = MISHAPS[trial as usize % MISHAPS.len()];
        mishap(&session, done, trial).map_err(|problem| format!("{name}, trial {trial}: {problem}"))
    });
    outcome(results, LOOK + SLACK)
}
