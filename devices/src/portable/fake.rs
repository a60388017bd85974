//! A camera library that does whatever a test asks for, on the threads that the fence starts: it waits for ever, fails, panics, and hands
//! over any picture. Nothing happens by itself, and no time passes.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use robot::device::Picture;

use super::{Agreed, GrabError, Grabber, Opener};

/// Longest wait for a thread to do what it was told. Only a fault of the fence lasts so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What happens to a grabber that waits.
#[derive(Debug, Clone)]
pub enum Event {
    /// A picture, with the library's time stamp.
    Picture(Picture, Option<Duration>),
    /// The library says that the camera failed.
    Fail(String),
    /// The library panics.
    Panic,
}

/// What happens when the camera is opened.
#[derive(Debug, Clone, PartialEq)]
pub enum Opening {
    /// It works.
    Works,
    /// The library refuses.
    Fails(String),
    /// The library never comes back.
    Hangs,
}

/// The library. Clones are the same.
#[derive(Debug, Clone)]
pub struct Fake {
    world: Arc<World>,
    agreed: Agreed,
}

#[derive(Debug, Default)]
struct World {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    openings: VecDeque<Opening>,
    /// How often the camera was to be opened.
    attempts: usize,
    /// Whether the last attempt hangs.
    hanging: bool,
    grabbers: Vec<Waiting>,
}

/// A grabber that was opened.
#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<Event>,
    /// How often it was asked for a picture.
    asked: usize,
    dropped: bool,
}

impl Fake {
    /// A camera that agrees to `agreed`.
    pub fn new(agreed: Agreed) -> Self {
        Self {
            world: Arc::default(),
            agreed,
        }
    }

    /// What the fence opens.
    pub fn opener(&self) -> Arc<dyn Opener> {
        Arc::new(self.clone())
    }

    /// What happens at the next openings, one after the other. All others work.
    pub fn opening(&self, openings: &[Opening]) {
        self.lock().openings.extend(openings.iter().cloned());
    }

    /// How often the camera was to be opened.
    pub fn attempts(&self) -> usize {
        self.lock().attempts
    }

    /// Whether the opening that was asked for last hangs.
    pub fn is_hanging(&self) -> bool {
        self.lock().hanging
    }

    /// Waits until grabber `number` has been opened and waits for its first picture. The first is 0.
    pub fn wait_for(&self, number: usize) {
        self.until("no grabber was opened", |state| {
            state
                .grabbers
                .get(number)
                .is_some_and(|grabber| grabber.asked > 0)
        });
    }

    /// Lets something happen to grabber `number`, and waits until it waits again or is gone.
    pub fn give(&self, number: usize, event: Event) {
        let before = {
            let mut state = self.lock();
            let grabber = &mut state.grabbers[number];
            grabber.events.push_back(event);
            self.world.changed.notify_all();
            grabber.asked
        };
        self.until("the grabber did not come back", |state| {
            let grabber = &state.grabbers[number];
            grabber.dropped || grabber.asked > before
        });
    }

    /// Whether grabber `number` was closed.
    pub fn is_closed(&self, number: usize) -> bool {
        self.lock().grabbers[number].dropped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.world.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self, failure: &str, done: impl Fn(&State) -> bool) {
        let state = self.lock();
        let (_state, waited) = self
            .world
            .changed
            .wait_timeout_while(state, PATIENCE, |state| !done(state))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "{failure}");
    }
}

impl Opener for Fake {
    fn open(&self) -> Result<Box<dyn Grabber>, GrabError> {
        let mut state = self.lock();
        let opening = state.openings.pop_front().unwrap_or(Opening::Works);
        state.attempts += 1;
        state.hanging = opening == Opening::Hangs;
        match opening {
            Opening::Works => {}
            Opening::Fails(text) => return Err(GrabError(text)),
            Opening::Hangs => {
                drop(state);
                loop {
                    std::thread::park();
                }
            }
        }
        state.grabbers.push(Waiting::default());
        Ok(Box::new(FakeGrabber {
            number: state.grabbers.len() - 1,
            fake: self.clone(),
        }))
    }
}

/// A grabber that waits for ever, unless something happens to it.
struct FakeGrabber {
    number: usize,
    fake: Fake,
}

impl Grabber for FakeGrabber {
    fn agreed(&self) -> Agreed {
        self.fake.agreed.clone()
    }

    fn grab(&mut self, into: &mut Picture) -> Result<Option<Duration>, GrabError> {
        let mut state = self.fake.lock();
        state.grabbers[self.number].asked += 1;
        self.fake.world.changed.notify_all();
        let event = loop {
            if let Some(event) = state.grabbers[self.number].events.pop_front() {
                break event;
            }
            state = self
                .fake
                .world
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        match event {
            Event::Picture(picture, stamp) => {
                into.copy_from(&picture);
                Ok(stamp)
            }
            Event::Fail(text) => Err(GrabError(text)),
            Event::Panic => panic!("the fake library was told to panic"),
        }
    }
}

impl Drop for FakeGrabber {
    fn drop(&mut self) {
        self.fake.lock().grabbers[self.number].dropped = true;
        self.fake.world.changed.notify_all();
    }
}
