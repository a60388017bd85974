//! What a row of the table is.

/// How many trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// For every change: seconds.
    Short,
    /// For figures: minutes.
    Long,
    /// For figures that are published: as long as it takes.
    Full,
}

impl Scale {
    /// `long` trials, or fewer. The full table has no more of them.
    pub(crate) fn trials(self, long: u64, short: u64) -> u64 {
        self.trials_of(long, long, short)
    }

    /// The same for trials that take so long that only the full table can have as many as it should.
    pub(crate) fn trials_of(self, full: u64, long: u64, short: u64) -> u64 {
        match self {
            Self::Short => short,
            Self::Long => long,
            Self::Full => full,
        }
    }
}

/// A row.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) required: &'static str,
    pub(crate) run: fn(Scale) -> Outcome,
}

/// Failures that are shown.
const EXAMPLES: usize = 5;

/// How a row went.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) trials: u64,
    pub(crate) failures: u64,
    /// The first failures, in words.
    pub(crate) examples: Vec<String>,
    /// The greatest of what was measured, in words.
    pub(crate) worst: String,
    /// What was counted, where a row states a rate that need not be 0.
    pub(crate) rate: Option<String>,
    /// A number for those words.
    pub(crate) measured: u64,
}

impl Outcome {
    /// What trials came to that were done in parts. What was measured is added up.
    pub(crate) fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.trials += part.trials;
            all.failures += part.failures;
            all.measured += part.measured;
            let room = EXAMPLES - all.examples.len();
            all.examples.extend(part.examples.into_iter().take(room));
        }
        all
    }

    /// One more trial.
    pub(crate) fn tried(&mut self, result: Result<(), String>) {
        self.trials += 1;
        if let Err(failure) = result {
            self.failures += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(failure);
            }
        }
    }

    /// All trials of `other`, too.
    pub(crate) fn take(&mut self, other: Self) {
        self.trials += other.trials;
        self.failures += other.failures;
        let room = EXAMPLES - self.examples.len().min(EXAMPLES);
        self.examples.extend(other.examples.into_iter().take(room));
    }

    /// The rate of failures lies below this with 95 % confidence: 3 / N if none failed in N trials.
    pub(crate) fn bound(&self) -> String {
        if let Some(rate) = &self.rate {
            return rate.clone();
        }
        match (self.failures, self.trials) {
            (_, 0) => "unknown".to_owned(),
            (0, trials) => format!("{:.1e}", 3.0 / trials as f64),
            (failures, trials) => format!("{failures}/{trials} failed"),
        }
    }
}
