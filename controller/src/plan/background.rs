//! Planning on threads of its own, so that a planner that stalls costs its tick a plan and never its send.
//!
//! The tick hands over a question and waits until the answer is whole, or until its deadline, whichever comes first; then
//! it takes the newest iteration that was finished, or the tail of the last plan. While the planner is still at an old
//! question, ticks go on without it. Everything goes in boxes that circulate by exchange of pointers: nobody waits for a
//! lock, and nothing is allocated.
//!
//! Which iterations count is the tick's decision, and the log's: an iteration that was finished after the tick had given
//! up is taken back before the next plan, so that a replay, which knows the count only, searches from the same state.

use std::thread::JoinHandle;
use std::time::Duration;

use episode::{PlanRow, PlanSource};
use hand_over::inquiries::{Answerer, Asker, inquiries};
use robot::{Clock, Envelope, SetPoint, SystemClock};
use world_model::Belief;

use super::cem::{first_action, shift};
use super::{Limit, Plan, Planner, PlannerError};

/// What the tick asks.
#[derive(Debug)]
struct Question {
    number: u64,
    /// A new episode with this seed comes first.
    reset: Option<u64>,
    /// Periods since the last question, this one's included.
    periods: u32,
    /// Iterations of the last answer that the tick took.
    taken: u32,
    tick: u32,
    from: SetPoint,
    belief: Belief,
    bound: Bound,
}

/// A [`Limit`] that can be handed over.
#[derive(Debug, Clone, Copy)]
enum Bound {
    None,
    /// On the planner's clock.
    Deadline(u64),
    Iterations(u32),
}

/// What it gets, once after every iteration and once at the end.
#[derive(Debug, Default)]
struct Answer {
    number: u64,
    row: PlanRow,
    /// `[horizon][action]`.
    executed: Vec<f32>,
    whole: bool,
}

/// A [`Planner`] on a thread of its own, with its team.
#[derive(Debug)]
pub struct Background {
    asker: Asker<Question, Answer>,
    clock: SystemClock,
    thread: Option<JoinHandle<()>>,
    /// It did not finish a plan in all the time between two episodes.
    hung: bool,
    number: u64,
    reset: Option<u64>,
    periods: u32,
    taken: u32,
    width: usize,
    /// The plan in force.
    executed: Vec<f32>,
}

impl Background {
    /// Moves `planner` to a thread of its own. `envelope` is the robot's; `belief` has the size of its beliefs.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(planner: Planner, envelope: Envelope, belief: Belief) -> Result<Self, PlannerError> {
        let clock = SystemClock::default();
        let length = planner.cem().executed().len();
        let question = Question {
            number: 0,
            reset: None,
            periods: 0,
            taken: 0,
            tick: 0,
            from: envelope.home(),
            belief,
            bound: Bound::None,
        };
        let (mut asker, answerer) = inquiries(question, || Answer {
            executed: vec![0.0; length],
            ..Answer::default()
        });
        let width = envelope.joints().len();
        let its_clock = clock.clone();
        let thread = std::thread::Builder::new()
            .name("plan".to_owned())
            .spawn(move || answer(planner, answerer, &its_clock, &envelope))?;
        asker.wake(thread.thread().clone());
        Ok(Self {
            asker,
            clock,
            thread: Some(thread),
            hung: false,
            number: 0,
            reset: None,
            periods: 0,
            taken: 0,
            width,
            executed: vec![0.0; length],
        })
    }

    /// Whether its thread has ended, as it does only by a panic, or never came back.
    fn lost(&self) -> bool {
        self.hung || self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Puts the newest answer to this question in force, if there is one; `true` if no other will follow.
    fn look(&mut self, row: &mut PlanRow) -> bool {
        let (number, executed) = (self.number, &mut self.executed);
        self.asker
            .look(|answer| {
                let ours = answer.number == number;
                if ours {
                    row.clone_from(&answer.row);
                    executed.copy_from_slice(&answer.executed);
                }
                ours && answer.whole
            })
            .unwrap_or(false)
    }
}

impl Plan for Background {
    fn reset(&mut self, seed: u64) {
        self.reset = Some(seed);
        (self.periods, self.taken) = (0, 0);
        self.executed.fill(0.0);
        // Between episodes there is time for the planner to finish what it is at, but not for ever.
        let give_up_ns = self.clock.now_ns() + HUNG.as_nanos() as u64;
        while !self.asker.is_idle() && !self.lost() {
            if self.clock.now_ns() > give_up_ns {
                log::error!(
                    "the planner is still at a plan of the last episode after {} s; going on without it",
                    HUNG.as_secs()
                );
                self.hung = true;
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    fn skip(&mut self) {
        self.periods += 1;
        shift(&mut self.executed, self.width);
    }

    /// The deadline of `limit` is kept however long the planner takes. Without one it is waited for.
    fn plan(
        &mut self,
        tick: u32,
        from: &SetPoint,
        belief: &Belief,
        _envelope: &Envelope,
        limit: Limit<'_>,
    ) -> PlanRow {
        self.skip();
        let mut row = PlanRow {
            source: PlanSource::Tail,
            action: first_action(&self.executed, self.width),
            ..PlanRow::default()
        };
        if self.lost() {
            row.source = PlanSource::Lost;
            return row;
        }
        let now_ns = self.clock.now_ns();
        let bound = match limit {
            Limit::Deadline(clock, deadline_ns) => {
                Bound::Deadline(now_ns + deadline_ns.saturating_sub(clock.now_ns()))
            }
            Limit::Iterations(count) => Bound::Iterations(count),
            Limit::None => Bound::None,
        };
        let deadline_ns = match bound {
            Bound::Deadline(deadline_ns) => deadline_ns,
            Bound::Iterations(_) | Bound::None => u64::MAX,
        };
        // It may still be at the last one, or just coming back from it.
        while !self.asker.is_idle() {
            if self.lost() {
                row.source = PlanSource::Lost;
                return row;
            }
            let now_ns = self.clock.now_ns();
            if now_ns >= deadline_ns {
                return row;
            }
            std::thread::park_timeout(Duration::from_nanos(deadline_ns - now_ns).min(LOOK));
        }
        self.number += 1;
        let number = self.number;
        let reset = self.reset.take();
        let periods = std::mem::take(&mut self.periods);
        let taken = std::mem::take(&mut self.taken);
        self.asker.ask(|question| {
            question.number = number;
            question.reset = reset;
            question.periods = periods;
            question.taken = taken;
            question.tick = tick;
            question.from.clone_from(from);
            question.belief.copy_from(belief);
            question.bound = bound;
        });
        while !self.look(&mut row) {
            let now_ns = self.clock.now_ns();
            if now_ns >= deadline_ns {
                // What was finished just before.
                self.look(&mut row);
                break;
            }
            if self.lost() {
                row.source = PlanSource::Lost;
                break;
            }
            std::thread::park_timeout(Duration::from_nanos(deadline_ns - now_ns).min(LOOK));
        }
        self.taken = row.iterations;
        row
    }
}

/// Longest sleep between two looks at whether the planner still lives.
const LOOK: Duration = Duration::from_millis(50);

/// Longest wait for a plan that is no longer wanted.
const HUNG: Duration = Duration::from_secs(5);

impl Drop for Background {
    fn drop(&mut self) {
        self.asker.quit();
        let Some(thread) = self.thread.take() else { return };
        let give_up_ns = self.clock.now_ns() + HUNG.as_nanos() as u64;
        while !self.hung && !thread.is_finished() && self.clock.now_ns() < give_up_ns {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        if thread.is_finished() {
            // A planner that panicked has been reported as lost.
            let _ = thread.join();
        } else {
            log::error!("the planner does not end; left to itself");
        }
    }
}

/// The planner's thread.
fn answer(
    mut planner: Planner,
    mut answerer: Answerer<Question, Answer>,
    clock: &SystemClock,
    envelope: &Envelope,
) {
    let mut done = 0;
    while let Some(asked) = answerer.take_next() {
        let question = &asked.question;
        if let Some(seed) = question.reset {
            planner.reset(seed);
        } else if done > question.taken {
            // At most one: no iteration begins after the deadline at which the tick stopped looking.
            planner.undo();
        }
        for _ in 1..question.periods {
            planner.skip();
        }
        let mut publish = |row: &PlanRow, executed: &[f32], whole: bool| {
            answerer.answer(|answer| {
                answer.number = question.number;
                answer.row.clone_from(row);
                answer.executed.copy_from_slice(executed);
                answer.whole = whole;
            });
        };
        let limit = match question.bound {
            Bound::Deadline(deadline_ns) => Limit::Deadline(clock, deadline_ns),
            Bound::Iterations(count) => Limit::Iterations(count),
            Bound::None => Limit::None,
        };
        let mut finished = 0;
        let row = planner.refine(
            question.tick,
            &question.from,
            &question.belief,
            envelope,
            limit,
            &mut |row, cem| {
                finished = row.iterations;
                publish(row, cem.executed(), false);
            },
        );
        publish(&row, planner.cem().executed(), true);
        done = finished;
        answerer.done(asked);
    }
}
