//! A question at a time, from one thread to another that answers it better and better.
//!
//! There is one box for the question. Whoever asks has it back when the other thread is done with it, and can then ask again. Of answers that
//! were not looked at, the newest is seen.

use crate::sync::{Arc, AtomicBool, Ordering, Thread, current, park};
use crate::{Newest, Slot};

/// A question, and who asks it.
#[derive(Debug)]
pub struct Asked<Q> {
    /// The question.
    pub question: Q,
    by: Thread,
}

#[derive(Debug)]
struct Shared<Q, A> {
    asked: Slot<Asked<Q>>,
    /// A question that is done with.
    returned: Slot<Asked<Q>>,
    answers: Newest<A>,
    quit: AtomicBool,
}

/// The end that asks. Dropping it ends the other.
#[derive(Debug)]
pub struct Asker<Q, A> {
    shared: Arc<Shared<Q, A>>,
    /// The question, once it came back.
    idle: Option<Box<Asked<Q>>>,
    wakes: Option<Thread>,
}

/// The end that answers.
#[derive(Debug)]
pub struct Answerer<Q, A> {
    shared: Arc<Shared<Q, A>>,
    /// A box to fill.
    spare: Option<Box<A>>,
}

/// The two ends, with one box of `question`, and boxes of what `answer` makes.
pub fn inquiries<Q, A>(question: Q, answer: impl Fn() -> A) -> (Asker<Q, A>, Answerer<Q, A>) {
    let shared = Arc::new(Shared {
        asked: Slot::default(),
        returned: Slot::default(),
        answers: Newest::new(answer),
        quit: AtomicBool::new(false),
    });
    let asker = Asker {
        shared: Arc::clone(&shared),
        idle: Some(Box::new(Asked {
            question,
            by: current(),
        })),
        wakes: None,
    };
    let spare = shared.answers.free();
    (asker, Answerer { shared, spare })
}

impl<Q, A> Asker<Q, A> {
    /// Wakes `answering` from now on, when it sleeps in [`Answerer::take_next`].
    pub fn wake(&mut self, answering: Thread) {
        self.wakes = Some(answering);
    }

    /// Whether the other end is done with the last question. Then [`Asker::ask`] can ask another.
    pub fn is_idle(&mut self) -> bool {
        self.idle = self.idle.take().or_else(|| self.shared.returned.take());
        self.idle.is_some()
    }

    /// Asks what `fill` makes of the last question. Returns `false`, and asks nothing, if the other end is not done with that one. The
    /// thread that calls is woken when the other is done.
    pub fn ask(&mut self, fill: impl FnOnce(&mut Q)) -> bool {
        if !self.is_idle() {
            return false;
        }
        let Some(mut asked) = self.idle.take() else {
            return false;
        };
        fill(&mut asked.question);
        asked.by = current();
        // Empty: there is one question.
        self.shared.asked.put(asked);
        self.ring();
        true
    }

    /// Shows the newest answer that was not looked at yet, if there is one.
    pub fn look<R>(&mut self, see: impl FnOnce(&A) -> R) -> Option<R> {
        let answer = self.shared.answers.take()?;
        let seen = see(&answer);
        self.shared.answers.give_back(answer);
        Some(seen)
    }

    /// Tells the other end to end, after what it is at.
    pub fn quit(&self) {
        self.shared.quit.store(true, Ordering::Release);
        self.ring();
    }

    fn ring(&self) {
        if let Some(thread) = &self.wakes {
            thread.unpark();
        }
    }
}

impl<Q, A> Drop for Asker<Q, A> {
    fn drop(&mut self) {
        self.quit();
    }
}

impl<Q, A> Answerer<Q, A> {
    /// Sleeps until something is asked; `None` if nothing more will be. The question goes back by [`Answerer::done`].
    pub fn take_next(&mut self) -> Option<Box<Asked<Q>>> {
        loop {
            // Read before the question: one that was asked before the end is still answered.
            let quit = self.shared.quit.load(Ordering::Acquire);
            if let Some(asked) = self.shared.asked.take() {
                return Some(asked);
            }
            if quit {
                return None;
            }
            park();
        }
    }

    /// Gives an answer in the place of the one before.
    pub fn answer(&mut self, fill: impl FnOnce(&mut A)) {
        // There always is one: the other end holds one at most.
        let Some(mut answer) = self.spare.take().or_else(|| self.shared.answers.free()) else {
            return;
        };
        fill(&mut answer);
        self.spare = self.shared.answers.offer(answer);
    }

    /// Gives the question back, and wakes whoever asked.
    pub fn done(&mut self, asked: Box<Asked<Q>>) {
        let by = asked.by.clone();
        // Empty: there is one question.
        self.shared.returned.put(asked);
        by.unpark();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::inquiries;

    #[test]
    fn one_question_at_a_time_and_the_newest_answer_is_seen() {
        let (mut asker, mut answerer) = inquiries(0, || 0);
        assert_eq!(asker.look(|answer| *answer), None);
        for number in 1..=10 {
            assert!(asker.ask(|question| *question = number));
            assert!(!asker.ask(|_| unreachable!("the other end is not done")));
            let asked = answerer.take_next().expect("one was asked");
            assert_eq!(asked.question, number);
            for better in 0..5 {
                answerer.answer(|answer| *answer = 100 * number + better);
            }
            assert!(!asker.is_idle());
            answerer.done(asked);
            assert!(asker.is_idle());
            assert_eq!(asker.look(|answer| *answer), Some(100 * number + 4));
            assert_eq!(asker.look(|answer| *answer), None);
        }
        drop(asker);
        assert!(answerer.take_next().is_none());
    }
}
