//! Pictures that show nothing: what tells a camera that is dark, covered or frozen from one that works.

use robot::Frame;

/// What the pictures of an episode have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pictures {
    /// There are none.
    #[default]
    None,
    /// They differ, within themselves or from each other.
    Varied,
    /// There are two or more, and all are the same.
    Same,
    /// Each is of a single colour.
    OneColour,
}

impl Pictures {
    /// What a person should know about the log before a model learns from it; `None` for pictures that show something.
    pub const fn complaint(self) -> Option<&'static str> {
        match self {
            Self::None | Self::Varied => None,
            Self::Same => Some("all pictures are the same"),
            Self::OneColour => Some("every picture is of one colour"),
        }
    }
}

/// Looks at pictures one after the other.
#[derive(Debug, Default)]
pub(crate) struct Sameness {
    first: Frame,
    count: u64,
    differ: bool,
    coloured: bool,
}

impl Sameness {
    /// The next picture. Costs a comparison of two frames until one differs from the first, and allocates for the first at most.
    pub(crate) fn see(&mut self, frame: &Frame) {
        if self.count == 0 {
            self.first.copy_from(frame);
        }
        self.count += 1;
        self.differ = self.differ || *frame != self.first;
        self.coloured = self.coloured || !is_one_colour(frame);
    }

    pub(crate) fn verdict(&self) -> Pictures {
        match (self.count, self.coloured, self.differ) {
            (0, ..) => Pictures::None,
            (_, false, _) => Pictures::OneColour,
            (2.., true, false) => Pictures::Same,
            _ => Pictures::Varied,
        }
    }
}

/// Whether all pixels are the same: each is then the one before.
fn is_one_colour(frame: &Frame) -> bool {
    let rgb = frame.rgb();
    rgb[3..] == rgb[..rgb.len() - 3]
}
