//! Stage 1, capture: what the tick sees of the world, and the thread that keeps the newest frame ready.
//!
//! The thread polls the camera, encodes each new frame and offers it in a place that it overwrites; the tick
//! takes what is there and never waits. Frames circulate through a fixed pool: nothing is allocated in the tick.

mod imager;
mod judge;
mod kept;
mod motion;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use episode::ArmState;
use hand_over::{Newest, alarm};
use realtime::Raised;
use robot::config::Realtime;
use robot::device::{DeviceError, FrameSource, FrameStamp, Motors, Picture, Task};
use robot::{Clock, Config, Frame, JointState, JointVec};
use world_model::{Bundle, Encoder};

pub use imager::Imager;
pub use judge::{DARK_LEVEL, Judge, Refused, Verdict};
pub use kept::{KeptPicture, KeptPictures};
pub(crate) use motion::Motion;

use crate::encode::embed;

/// One observation: a frame, its embedding, and the joints as last reported.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The image.
    pub frame: Frame,
    /// The camera's own picture that it was made of, where the log keeps those.
    pub picture: KeptPicture,
    /// Its embedding; empty where no model takes part.
    pub embedding: Vec<f32>,
    /// The camera's number for the frame.
    pub frame_seq: u64,
    /// When it was captured, on the control loop's clock.
    pub captured_ns: u64,
    /// Reward of the state it shows, where the source knows one.
    pub reward: Option<f32>,
    /// Whether the world has ended the episode by itself, with this as the last that is to be seen of it.
    pub ended: bool,
    /// Measured joints.
    pub joints: JointState,
    /// What the arm says of itself, new with every tick.
    pub arm: ArmState,
    /// Whether it refused the newest command that had reached it.
    pub arm_refused: bool,
    /// Where its firmware is leading it.
    pub arm_set_point_rad: JointVec,
    /// What its motors say of themselves.
    pub motors: Motors,
    /// Time encoding took.
    pub encode_ns: u64,
}

impl Captured {
    /// One of nothing yet, with room for an image of `side` x `side` pixels and an embedding of `embedding` numbers.
    pub fn sized(side: usize, embedding: usize) -> Self {
        Self {
            frame: Frame::new(side),
            picture: KeptPicture::default(),
            embedding: vec![0.0; embedding],
            frame_seq: 0,
            captured_ns: 0,
            reward: None,
            ended: false,
            joints: JointState::default(),
            arm: ArmState::default(),
            arm_refused: false,
            arm_set_point_rad: JointVec::new(),
            motors: Motors::default(),
            encode_ns: 0,
        }
    }
}

/// The thread that takes frames in has panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the thread that reads and encodes the camera's frames failed: its message is printed above, and the arm was stopped; that is a fault of \
     this program or of the bundle's encoder, start again, and report it with that message if it comes back"
)]
pub struct CapturePanicked;

/// Tells the tick at once if the thread ends by a panic.
struct Failing(Arc<Shared>);

impl Drop for Failing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
        }
    }
}

/// How often an idle camera is polled.
const POLL: Duration = Duration::from_micros(500);

#[derive(Debug)]
struct Shared {
    newest: Newest<Captured>,
    stop: AtomicBool,
    failed: AtomicBool,
}

/// What an episode is seen by. It goes to the capture thread and comes back.
pub struct Sight {
    /// The camera.
    pub camera: Box<dyn FrameSource>,
    /// What begins an episode and gives rewards, where something does.
    pub task: Option<Box<dyn Task>>,
    /// Makes the model's images of its pictures.
    pub imager: Imager,
    /// Tells pictures that show the scene from those that do not.
    pub judge: Judge,
    /// What is kept of the camera's own pictures, where the robot file says that they are kept.
    pub kept: Option<KeptPictures>,
    /// The model's encoder, where one takes part.
    pub encoder: Option<Encoder>,
    /// SHA-256 of the table that the model's images were made by when it learned, where that is known.
    pub learned_by: Option<String>,
}

impl Sight {
    /// A camera, with a task if one goes with it, seen as the robot file says and by the model of `bundle`, where one takes part.
    ///
    /// # Errors
    /// [`DeviceError`] for a `capture.view` or `capture.lens` of the robot file that cannot be read.
    pub fn new(
        config: &Config,
        camera: Box<dyn FrameSource>,
        task: Option<Box<dyn Task>>,
        encoder: Option<Encoder>,
        bundle: Option<&Bundle>,
    ) -> Result<Self, DeviceError> {
        Ok(Self {
            camera,
            task,
            imager: Imager::new(config)?,
            judge: Judge::new(config),
            kept: KeptPictures::of(config),
            encoder,
            learned_by: bundle.and_then(|bundle| bundle.manifest().picture_sha256.clone()),
        })
    }

    /// What the camera says of its pictures, and what became of them here, for a report: a name and a value each.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = self.camera.facts();
        if self.imager.damaged() > 0 {
            facts.push(("pictures that do not decode", self.imager.damaged().to_string()));
        }
        facts.extend(self.judge.refused().facts());
        facts
    }

    /// Bytes to reserve for each of the camera's own pictures; 0 where none are kept.
    ///
    /// # Errors
    /// [`DeviceError`] for a camera that is known to send something other than JPEG, where its pictures are to be kept.
    pub(crate) fn room(&self) -> Result<usize, DeviceError> {
        self.kept
            .as_ref()
            .map_or(Ok(0), |kept| kept.room(self.camera.as_ref()))
    }

    /// Names the table that the images of this episode are made by, if the size of the pictures is known before they come.
    ///
    /// # Errors
    /// [`DeviceError`] for a view that does not fit, and for a model that learned with another table.
    pub(crate) fn table(&mut self) -> Result<Option<String>, DeviceError> {
        if let Some((width_px, height_px)) = self.camera.size() {
            self.imager.prepare(width_px, height_px)?;
        }
        let here = self.imager.sha256();
        match (&self.learned_by, here) {
            (Some(learned), Some(here)) if learned != here => Err(DeviceError::new(format!(
                "field `picture_sha256` of the bundle is {learned}, and the images of this camera are made by the table {here}: the \
                 model learned with another size, view or lens; use the camera settings and the `capture` of the robot file that it was \
                 recorded with, or record and train anew"
            ))),
            _ => Ok(here.map(str::to_owned)),
        }
    }
}

/// Whether a picture with this stamp shows the scene as it is now. One that does not is counted.
fn is_of_now(judge: &mut Judge, picture: &Frame, stamp: FrameStamp, now_ns: u64) -> bool {
    if stamp.age_ns == FrameStamp::IN_THE_FUTURE {
        judge.count_future();
        return false;
    }
    judge.judge(picture, now_ns) == Verdict::Good
}

/// A place for an observation, with all the memory that it will need.
fn captured(side: usize, embedding: usize, room: usize) -> Captured {
    let mut captured = Captured::sized(side, embedding);
    captured.picture.reserve(room);
    captured
}

/// The newest frame, kept ready by a thread of its own.
pub struct CaptureThread {
    shared: Arc<Shared>,
    thread: JoinHandle<(Sight, Option<DeviceError>)>,
}

impl CaptureThread {
    /// Starts polling the camera, whose pictures become images of `side` x `side` pixels with `embedding` numbers each. For the camera's
    /// own pictures `room` bytes each are reserved.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(
        mut sight: Sight,
        side: usize,
        embedding: usize,
        room: usize,
        clock: Arc<dyn Clock>,
        realtime: Realtime,
    ) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            newest: Newest::new(|| captured(side, embedding, room)),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let its = Arc::clone(&shared);
        let another = move || Box::new(captured(side, embedding, room));
        let thread = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                let _raised = Raised::new(
                    ("realtime.capture_priority", realtime.capture_priority),
                    ("realtime.tick_cpu", &[]),
                );
                let _failing = Failing(Arc::clone(&its));
                let mut error = None;
                let mut picture = Picture::default();
                let mut slot = its.newest.free().unwrap_or_else(another);
                sight.judge.begin();
                while !its.stop.load(Ordering::Relaxed) {
                    let polled = sight.camera.poll(&mut picture).and_then(|stamp| {
                        let Some(stamp) = stamp else { return Ok(None) };
                        if let Some(kept) = &sight.kept {
                            kept.check(picture.format)?;
                        }
                        let made = sight.imager.make(&picture, &mut slot.frame)?
                            && is_of_now(&mut sight.judge, &slot.frame, stamp, clock.now_ns());
                        if made && sight.kept.is_some() {
                            slot.picture.take(&picture.bytes);
                        }
                        Ok(made.then_some(stamp))
                    });
                    match polled {
                        Ok(Some(stamp)) => {
                            slot.frame_seq = stamp.seq;
                            slot.captured_ns = clock.now_ns().saturating_sub(stamp.age_ns);
                            let task = sight.task.as_deref();
                            slot.reward = task.and_then(Task::reward).filter(|reward| reward.is_finite());
                            slot.ended = task.is_some_and(Task::ended);
                            slot.encode_ns =
                                embed(sight.encoder.as_mut(), &slot.frame, &mut slot.embedding, &*clock);
                            slot = its.newest.offer(slot).unwrap_or_else(another);
                            // The tick's own place comes here in exchange, whoever made it.
                            slot.embedding.resize(embedding, 0.0);
                            slot.picture.reserve(room);
                        }
                        Ok(None) => std::thread::park_timeout(POLL),
                        Err(problem) => {
                            error = Some(problem);
                            its.failed.store(true, Ordering::SeqCst);
                            break;
                        }
                    }
                }
                (sight, error)
            })?;
        Ok(Self { shared, thread })
    }

    /// The newest frame, if there is one that was not taken yet. Never waits. It goes back by [`CaptureThread::use_newest`].
    pub fn take_newest(&self) -> Option<Box<Captured>> {
        self.shared.newest.take()
    }

    /// Gives back a frame that is not used. Never waits.
    pub fn give_back(&self, newest: Box<Captured>) {
        self.shared.newest.give_back(newest);
    }

    /// Puts `newest` in the place of `held`, which keeps what it knows of the arm. Never waits.
    pub fn use_newest(&self, newest: Box<Captured>, held: &mut Box<Captured>) {
        let old = std::mem::replace(held, newest);
        held.joints.clone_from(&old.joints);
        // The arm speaks for itself, and has already been heard in this tick.
        (held.arm, held.arm_refused) = (old.arm, old.arm_refused);
        held.arm_set_point_rad.clone_from(&old.arm_set_point_rad);
        held.motors.clone_from(&old.motors);
        self.shared.newest.give_back(old);
    }

    /// Whether the camera is gone, or the thread that reads it.
    pub fn failed(&self) -> bool {
        self.shared.failed.load(Ordering::SeqCst)
    }

    /// Ends the thread and gives back what it was started with, and the error that ended it, if one did.
    ///
    /// # Errors
    /// [`CapturePanicked`]: camera, task and encoder are lost with the thread.
    pub fn stop(self) -> Result<(Sight, Option<DeviceError>), CapturePanicked> {
        alarm::call(&self.shared.stop, self.thread.thread());
        self.thread.join().map_err(|_| CapturePanicked)
    }
}
