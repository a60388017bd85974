//! Whether a picture shows the scene as it is now. Pictures that do not are passed over, from whatever camera they come.
//!
//! Each picture is compared with the one before it. After a time without any picture the next one is compared with nothing.
//!
//! | what is seen | verdict |
//! |---|---|
//! | hardly a level above [`BLACK_LEVEL`] | black |
//! | an eighth of the rows or more at the bottom became one single colour at once, which was not most of them before: rows that were not filled | torn |
//! | an eighth of the rows or more at one end repeat the picture before, although they changed in the last pictures and the rest changed now | torn |
//! | the mean brightness changed by more than `trust.light_change_max` since the last good picture: a light went off or on | light |
//!
//! A picture that is stamped in the future has no age, and is passed over, too.

use robot::device::BLACK_LEVEL;
use robot::{ActionMode, Config, Frame};

/// One in so many levels may be bright in a black picture: pixels that are stuck.
const BRIGHT_ONE_IN: usize = 500;

/// A tear concerns one part in so many of the rows at least.
const TEAR_ONE_IN: usize = 8;

/// Levels that lie as near to each other are of one colour to a camera with noise.
const NEAR_LEVELS: u8 = 12;

/// Pictures in which a row of pixels must have changed, more than it has not, so that it not changing tells of a tear.
const LIVE_PICTURES: u8 = 8;

/// A row that has changed in many pictures is live for as many pictures in which it does not: a camera that tears each picture is told for
/// as long as it does so.
const LIVE_MAX: u8 = 16;

/// One part in so many of the levels that are not torn must have changed.
const CHANGED_ONE_IN: usize = 4;

/// A picture darker than this is compared as if it had this mean level: noise is a large part of less.
pub const DARK_LEVEL: f32 = 16.0;

/// Without a picture for so many control periods, the next one is compared with nothing.
const FORGET_PERIODS: f64 = 2.0;

/// What a picture is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It can be used.
    Good,
    /// Nothing is to be seen.
    Black,
    /// A part of it is missing, or of another picture.
    Torn,
    /// The light has changed at once.
    Light,
}

/// How many pictures were passed over, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Black ones.
    pub black: u64,
    /// Torn ones.
    pub torn: u64,
    /// Those after the light had changed at once.
    pub light: u64,
    /// Those that are stamped in the future.
    pub future: u64,
    /// Those that repeat one although the arm has moved.
    pub repeated: u64,
}

impl Refused {
    /// A name and a value each, for a report, of what there was.
    pub fn facts(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("pictures that are black", self.black),
            ("pictures that are torn", self.torn),
            ("pictures after a change of the light", self.light),
            ("pictures that are stamped in the future", self.future),
            ("pictures that repeat one while the arm moves", self.repeated),
        ];
        all.into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| (name, count.to_string()))
    }
}

/// Judges the pictures of a camera, one after the other.
#[derive(Debug)]
pub struct Judge {
    /// What an actuator's plant draws may be of any light and colour.
    judging: bool,
    light_change_max: f32,
    forget_ns: u64,
    /// The picture before, good or not, and when it came.
    before: Option<u64>,
    picture: Frame,
    /// For each row, in how many more pictures it has changed than it has not, from 0 to [`LIVE_MAX`].
    changing: Vec<u8>,
    /// Of the last good picture: its mean level, and how many of its rows from the bottom are of one colour.
    good: Option<(f32, usize)>,
    /// That picture.
    good_picture: Frame,
    refused: Refused,
}

impl Judge {
    /// For the camera of `config`.
    pub fn new(config: &Config) -> Self {
        let side = config.frame_side;
        Self {
            judging: config.envelope.mode() == ActionMode::Velocity,
            light_change_max: config.trust.light_change_max,
            forget_ns: (f64::from(config.period_s) * FORGET_PERIODS * 1e9) as u64,
            before: None,
            picture: Frame::new(side),
            changing: vec![0; side],
            good: None,
            good_picture: Frame::new(side),
            refused: Refused::default(),
        }
    }

    /// A new episode: the scene may be another.
    pub fn begin(&mut self) {
        (self.before, self.good) = (None, None);
    }

    /// What was passed over so far.
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// Counts a picture that is stamped in the future.
    pub(super) fn count_future(&mut self) {
        self.refused.future += 1;
    }

    /// Counts pictures that were told to repeat one.
    pub(crate) fn count_repeated(&mut self, pictures: u64) {
        self.refused.repeated += pictures;
    }

    /// Judges the next picture, which came at `now_ns`. Allocates nothing for pictures of the side that `config` says.
    pub fn judge(&mut self, picture: &Frame, now_ns: u64) -> Verdict {
        if !self.judging {
            return Verdict::Good;
        }
        let known = self
            .before
            .is_some_and(|before| now_ns.saturating_sub(before) <= self.forget_ns);
        if !known {
            self.good = None;
            self.changing.fill(0);
        }
        let seen = Seen::of(picture);
        let torn = self.compare(picture, known) || self.lost_rows(&seen, picture);
        self.before = Some(now_ns);
        if seen.is_black() {
            self.refused.black += 1;
            return Verdict::Black;
        }
        if torn {
            self.refused.torn += 1;
            return Verdict::Torn;
        }
        if self.is_another_light(&seen) {
            self.refused.light += 1;
            return Verdict::Light;
        }
        self.good = Some((seen.mean, seen.flat_rows));
        if self.good_picture.side() != picture.side() {
            self.good_picture = Frame::new(picture.side());
        }
        self.good_picture.copy_from(picture);
        Verdict::Good
    }

    /// Whether the light has changed since the last good picture.
    fn is_another_light(&self, seen: &Seen) -> bool {
        self.good
            .is_some_and(|(mean, _)| (seen.mean - mean).abs() > self.light_change_max * mean.max(DARK_LEVEL))
    }

    /// Whether rows at the bottom became one single colour at once, and not because something moved away from a floor of that colour.
    fn lost_rows(&self, seen: &Seen, picture: &Frame) -> bool {
        let least = seen.side / TEAR_ONE_IN;
        self.good.is_some_and(|(_, flat)| {
            seen.flat_rows >= flat + least
                && !self.was_there(picture, seen.side - seen.flat_rows, seen.side - flat)
        })
    }

    /// Whether three quarters of these rows had their present colour in the last good picture.
    fn was_there(&self, picture: &Frame, from_row: usize, to_row: usize) -> bool {
        let row = 3 * picture.side();
        let colour = &picture.rgb()[picture.rgb().len() - 3..];
        let before = self.good_picture.rgb();
        if before.len() != picture.rgb().len() {
            return false;
        }
        let pixels = before[from_row * row..to_row * row].chunks_exact(3);
        let all = pixels.len();
        let near = |pixel: &&[u8]| {
            let mut pairs = pixel.iter().zip(colour);
            pairs.all(|(a, b)| a.abs_diff(*b) <= NEAR_LEVELS)
        };
        4 * pixels.filter(near).count() >= 3 * all
    }

    /// Takes the picture in the place of the one before. Whether a part of it is still that of the one before.
    fn compare(&mut self, picture: &Frame, known: bool) -> bool {
        let side = picture.side();
        if self.picture.side() != side {
            self.picture = Frame::new(side);
            self.changing.resize(side, 0);
        }
        let (mut changed, mut stuck_above, mut stuck_below) = (0, 0, 0);
        let rows = self.picture.rgb_mut().chunks_exact_mut(3 * side);
        for (index, ((old, new), changing)) in rows
            .zip(picture.rgb().chunks_exact(3 * side))
            .zip(&mut self.changing)
            .enumerate()
        {
            let differs = old.iter().zip(new).filter(|(old, new)| old != new).count();
            changed += differs;
            let stuck = differs == 0 && *changing >= LIVE_PICTURES;
            if stuck && stuck_above == index {
                stuck_above += 1;
            }
            stuck_below = if stuck { stuck_below + 1 } else { 0 };
            *changing = if differs > 0 {
                (*changing + 1).min(LIVE_MAX)
            } else {
                changing.saturating_sub(1)
            };
            old.copy_from_slice(new);
        }
        let stuck = stuck_above.max(stuck_below);
        // A picture that repeats the whole of the one before is no torn one.
        known
            && stuck >= side / TEAR_ONE_IN
            && stuck < side
            && changed * CHANGED_ONE_IN >= (side - stuck) * 3 * side
    }
}

/// What is to be seen in a picture by itself.
#[derive(Debug)]
struct Seen {
    side: usize,
    /// Mean of all levels, from 0 to 255.
    mean: f32,
    bright: usize,
    /// Rows from the bottom that are all of one colour, and the same.
    flat_rows: usize,
}

impl Seen {
    fn of(picture: &Frame) -> Self {
        let (side, rgb) = (picture.side(), picture.rgb());
        let (mut sum, mut bright) = (0_u64, 0);
        for level in rgb {
            sum += u64::from(*level);
            bright += usize::from(*level > BLACK_LEVEL);
        }
        let colour = &rgb[rgb.len() - 3..];
        let flat = |row: &&[u8]| row.chunks_exact(3).all(|pixel| pixel == colour);
        Self {
            side,
            mean: sum as f32 / rgb.len() as f32,
            bright,
            flat_rows: rgb.chunks_exact(3 * side).rev().take_while(flat).count(),
        }
    }

    fn is_black(&self) -> bool {
        self.bright * BRIGHT_ONE_IN < 3 * self.side * self.side
    }
}
