use hand_over::inquiries::inquiries;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use crate::{Thing, bounded};

/// The planner's thread and a tick that waits for the whole answer: it is woken, the newest answer to its question is the last one,
/// the question comes back, and the thread ends when it is told to.
#[test]
fn whoever_asks_gets_the_last_answer_and_the_question_back() {
    bounded(
        "whoever asks gets the last answer and the question back",
        Some(6),
        || {
            let (mut asker, mut answerer) = inquiries(Thing::new(), Thing::new);
            let answering = thread::spawn(move || {
                while let Some(asked) = answerer.take_next() {
                    let number = asked.question.get();
                    for better in 1..=2 {
                        answerer.answer(|answer| answer.set(10 * number + better));
                    }
                    answerer.done(asked);
                }
            });
            asker.wake(answering.thread().clone());
            for number in 1..=2 {
                assert!(asker.ask(|question| question.set(number)));
                let mut last = 0;
                while last != 10 * number + 2 {
                    match asker.look(Thing::get) {
                        Some(answer) => {
                            assert!(answer > last && answer / 10 == number);
                            last = answer;
                        }
                        None => thread::park(),
                    }
                }
                while !asker.is_idle() {
                    thread::park();
                }
            }
            drop(asker);
            answering.join().unwrap();
        },
    );
}

/// A tick that gives up, and asks again later: what it sees then never goes back, and an answer that comes late has the number of its
/// own question.
#[test]
fn an_answer_that_comes_late_is_told_from_others() {
    bounded("an answer that comes late is told from others", Some(6), || {
        let (mut asker, mut answerer) = inquiries(Thing::new(), Thing::new);
        let ended = Arc::new(AtomicBool::new(false));
        let its = Arc::clone(&ended);
        let answering = thread::spawn(move || {
            while let Some(asked) = answerer.take_next() {
                answerer.answer(|answer| answer.set(asked.question.get()));
                answerer.done(asked);
            }
            its.store(true, Ordering::Release);
        });
        asker.wake(answering.thread().clone());
        let (mut asked, mut last) = (0, 0);
        for number in 1..=2 {
            if asker.ask(|question| question.set(number)) {
                asked = number;
            }
            if let Some(answer) = asker.look(Thing::get) {
                assert!(answer > last && answer <= asked);
                last = answer;
            }
        }
        asker.quit();
        // loom takes a thread that is woken while it joins another for one whose join is over.
        while !ended.load(Ordering::Acquire) {
            thread::yield_now();
        }
        answering.join().unwrap();
        // Quitting loses no question that was asked before.
        if last != asked {
            assert_eq!(asker.look(Thing::get), Some(asked));
        }
    });
}
