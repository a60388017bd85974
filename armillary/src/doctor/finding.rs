//! What a check found.

use serde::Serialize;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Ok,
    /// The arm can be driven, but not as well as it could be.
    Warn,
    /// The arm cannot be driven like this.
    Fail,
    /// Not looked at.
    Skipped,
}

impl State {
    /// As it is printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check: a name that stays, such as `port.access`.
    pub name: &'static str,
    /// What was checked, such as a port or a joint; empty if there is only one.
    pub about: String,
    /// How it came out.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do; empty if nothing is to be done.
    pub remedy: String,
}

/// Findings, in the order in which they come.
pub struct Examination<'a> {
    findings: Vec<Finding>,
    told: &'a mut dyn FnMut(&Finding),
}

impl<'a> Examination<'a> {
    /// None yet; `told` hears of each.
    pub fn new(told: &'a mut dyn FnMut(&Finding)) -> Self {
        Self {
            findings: Vec::new(),
            told,
        }
    }

    /// All so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many came out as `state`.
    pub fn count(&self, state: State) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    }

    /// As it should be.
    pub fn ok(&mut self, name: &'static str, about: &str, seen: impl Into<String>) {
        self.add(State::Ok, name, about, seen.into(), String::new());
    }

    /// Not as good as it could be.
    pub fn warn(
        &mut self,
        name: &'static str,
        about: &str,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(State::Warn, name, about, seen.into(), remedy.into());
    }

    /// Wrong.
    pub fn fail(
        &mut self,
        name: &'static str,
        about: &str,
        seen: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(State::Fail, name, about, seen.into(), remedy.into());
    }

    /// Not looked at, and why.
    pub fn skip(&mut self, name: &'static str, about: &str, why: impl Into<String>) {
        self.add(State::Skipped, name, about, why.into(), String::new());
    }

    /// Wrong, for the reason of an error whose text says what to do.
    pub fn fail_by(&mut self, name: &'static str, about: &str, error: &(dyn std::error::Error + 'static)) {
        let text = robot::complaint(error);
        // Our errors end with what to do.
        let (seen, remedy) = match text.rsplit_once("; ") {
            Some((seen, remedy)) => (seen.to_owned(), remedy.to_owned()),
            None => (text, String::new()),
        };
        self.add(State::Fail, name, about, seen, remedy);
    }

    fn add(&mut self, state: State, name: &'static str, about: &str, seen: String, remedy: String) {
        let finding = Finding {
            name,
            about: about.to_owned(),
            state,
            seen,
            remedy,
        };
        (self.told)(&finding);
        self.findings.push(finding);
    }
}
