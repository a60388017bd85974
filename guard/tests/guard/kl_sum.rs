//! The innovation of the last pictures together.

use guard::KlSum;

/// The picture, counted from 1, at which the sum is exceeded first.
fn first(above_nats: Option<f32>, nats: impl IntoIterator<Item = f32>) -> Option<usize> {
    let mut sum = KlSum::new(above_nats);
    let at = nats.into_iter().position(|nats| sum.exceeds(nats));
    at.map(|index| index + 1)
}

#[test]
fn several_pictures_exceed_it_and_one_alone_does_not() {
    let fours = [4.0; 20];
    assert_eq!(first(Some(19.9), fours), Some(8), "three settle, five are summed");
    assert_eq!(first(Some(20.0), fours), None);
    let with = |at: usize, more: &[f32]| {
        let mut nats = vec![0.5; 30];
        nats[at..at + more.len()].copy_from_slice(more);
        nats
    };
    assert_eq!(first(Some(20.0), with(10, &[1e9])), None, "one alone");
    assert_eq!(first(Some(20.0), with(10, &[1e9, 9.0])), Some(12));
    assert_eq!(first(Some(20.0), with(10, &[9.0, 7.0, 4.0])), Some(13));
    assert_eq!(
        first(Some(20.0), with(0, &[1e9, 1e9, 1e9])),
        None,
        "the belief settles"
    );
    assert_eq!(first(Some(20.0), with(10, &[f32::NAN, f32::NAN])), Some(12));
    assert_eq!(first(None, [f32::NAN; 30]), None);
}

#[test]
fn a_new_episode_knows_nothing_of_the_pictures_before() {
    let mut sum = KlSum::new(Some(20.0));
    // As in an episode that ends in a surprise.
    assert!((0..10).any(|_| sum.exceeds(9.0)));
    sum.reset();
    let fours = [4.1; 20];
    assert_eq!(fours.into_iter().position(|nats| sum.exceeds(nats)), Some(7));
}
