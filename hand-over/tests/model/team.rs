use hand_over::Team;

use crate::{Thing, bounded};

/// A planning team: each member works once on each piece, the caller sees what all of them did, nobody works on a piece that is over, and
/// the team ends.
#[test]
fn every_member_works_once_on_every_piece() {
    for (members, preemptions) in [(2, None), (3, Some(3))] {
        bounded(
            &format!("every one of {members} members works once on every piece"),
            preemptions,
            move || {
                let mut team = Team::start(members).expect("the model has threads");
                let done: Vec<Thing> = (0..members).map(|_| Thing::new()).collect();
                for piece in 1..=2 {
                    // What the work borrows is gone after the call.
                    let borrowed = Thing::new();
                    borrowed.set(piece);
                    team.run(&|member: usize| {
                        assert_eq!(borrowed.get(), piece);
                        done[member].set(done[member].get() + 1);
                    });
                    borrowed.set(0);
                    for thing in &done {
                        assert_eq!(thing.get(), piece);
                    }
                }
            },
        );
    }
}
