//! A fixed set of threads that do one piece of work together, started before the loop and never during it.
//!
//! Between pieces they spin for a bounded time, then park: a planner that is called every few milliseconds finds them
//! awake, an idle one costs nothing.

use crate::sync::{
    Arc, AtomicBool, AtomicU32, AtomicUsize, Builder, JoinHandle, Ordering, UnsafeCell, park, spin, yield_now,
};

/// Looks at a flag before a thread parks: some tens of microseconds. In the model each look would be one more order to try.
const SPINS: u32 = if cfg!(loom) { 0 } else { 20_000 };

/// A piece of work, shared by all members for as long as [`Team::run`] lasts.
type Work = *const (dyn Fn(usize) + Sync);

struct Shared {
    /// Counts pieces of work; a new number tells the helpers to begin.
    piece: AtomicU32,
    work: UnsafeCell<Option<Work>>,
    /// Helpers that have not finished it.
    busy: AtomicUsize,
    panicked: AtomicBool,
    quit: AtomicBool,
}

// SAFETY: `work` is written only by `run`, while no helper is busy, and read by helpers only between the increment of
// `piece` (release, acquire) that follows the write and the decrement of `busy` that `run` waits for. What it points to
// is `Sync`.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

/// The calling thread and its helpers.
#[derive(Debug)]
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared(piece {})", self.piece.load(Ordering::Relaxed))
    }
}

impl Team {
    /// Starts `members` - 1 helpers; the thread that calls [`Self::run`] is the first member.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(members: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            piece: AtomicU32::new(0),
            work: UnsafeCell::new(None),
            busy: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            quit: AtomicBool::new(false),
        });
        let mut team = Self {
            shared: Arc::clone(&shared),
            helpers: Vec::with_capacity(members.saturating_sub(1)),
        };
        for member in 1..members {
            let shared = Arc::clone(&shared);
            let thread = Builder::new().name(format!("plan {member}"));
            team.helpers.push(thread.spawn(move || help(&shared, member))?);
        }
        Ok(team)
    }

    /// Members, the caller included.
    pub fn members(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Has every member call `work` with its number, and returns when all have. Allocates nothing.
    ///
    /// # Panics
    /// If a member does.
    pub fn run(&mut self, work: &(dyn Fn(usize) + Sync)) {
        let work: *const (dyn Fn(usize) + Sync + '_) = work;
        // SAFETY: only the lifetime changes, and `Finished` keeps this call from returning or unwinding before every
        // helper has dropped its copy.
        let work: Work = unsafe { std::mem::transmute(work) };
        // SAFETY: no helper is busy: `&mut self`, and every `run` waits for them.
        self.shared.work.with_mut(|place| unsafe { *place = Some(work) });
        self.shared.busy.store(self.helpers.len(), Ordering::Relaxed);
        self.shared.piece.fetch_add(1, Ordering::Release);
        for helper in &self.helpers {
            helper.thread().unpark();
        }
        let finished = Finished(&self.shared);
        // SAFETY: it points to the caller's reference.
        unsafe { (*work)(0) };
        drop(finished);
        assert!(
            !self.shared.panicked.load(Ordering::Relaxed),
            "a planning thread panicked"
        );
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.quit.store(true, Ordering::Release);
        self.shared.piece.fetch_add(1, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper's panic was passed on by `run`.
            let _ = helper.join();
        }
    }
}

/// Waits for the helpers when dropped, in a panic, too.
struct Finished<'a>(&'a Shared);

impl Drop for Finished<'_> {
    fn drop(&mut self) {
        let mut spins = 0;
        while self.0.busy.load(Ordering::Acquire) != 0 {
            spins = u32::saturating_add(spins, 1);
            // The helpers have pieces as long as ours and began before us: the wait is short unless one lost its CPU,
            // and then it needs ours.
            if spins < SPINS {
                spin();
            } else {
                yield_now();
            }
        }
    }
}

fn help(shared: &Shared, member: usize) {
    let mut seen = 0;
    loop {
        let mut spins = 0;
        while shared.piece.load(Ordering::Acquire) == seen {
            spins = u32::saturating_add(spins, 1);
            if spins < SPINS {
                spin();
            } else {
                park();
            }
        }
        seen = seen.wrapping_add(1);
        if shared.quit.load(Ordering::Acquire) {
            return;
        }
        // SAFETY: see `Shared`.
        if let Some(work) = shared.work.with(|place| unsafe { *place }) {
            // SAFETY: `run` has not returned, so that what it was given still lives.
            let work = unsafe { &*work };
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(member))).is_err() {
                shared.panicked.store(true, Ordering::Relaxed);
            }
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::Team;

    #[test]
    fn every_member_works_once_on_every_piece() {
        for members in [1, 2, 5] {
            let mut team = Team::start(members).unwrap();
            let counts: Vec<AtomicUsize> = (0..members).map(|_| AtomicUsize::new(0)).collect();
            for piece in 1..=300 {
                team.run(&|member| {
                    counts[member].fetch_add(1, Ordering::Relaxed);
                });
                let found: Vec<usize> = counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
                assert_eq!(found, vec![piece; members]);
            }
        }
    }

    #[test]
    fn a_panic_of_any_member_is_passed_on_after_all_have_finished() {
        for culprit in [0, 1] {
            let mut team = Team::start(3).unwrap();
            let finished = AtomicUsize::new(0);
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                team.run(&|member| {
                    assert_ne!(member, culprit, "as planned");
                    finished.fetch_add(1, Ordering::Relaxed);
                });
            }));
            assert!(outcome.is_err());
            assert_eq!(finished.load(Ordering::Relaxed), 2);
        }
    }
}
