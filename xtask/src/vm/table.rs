//! What the machine says, and the table that is made of it.

use std::time::Instant;

use super::Group;
use super::checks::{CHECKS, Check};
use super::machine::Ended;

/// What a line with figures begins with: `figures: NAME NUMBER, NAME NUMBER`.
const FIGURES: &str = "figures: ";

/// What came of one check.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The script's exit status.
    status: i32,
    seconds: f64,
    figures: Vec<(String, f64)>,
    /// The last line that is not ours: why it failed, where it did.
    last: String,
}

/// Reads what the machine says.
#[derive(Debug)]
pub(crate) struct Outcomes {
    booted: Instant,
    first_s: Option<f64>,
    begun: Instant,
    now: Outcome,
}

impl Default for Outcomes {
    fn default() -> Self {
        let booted = Instant::now();
        Self {
            booted,
            first_s: None,
            begun: booted,
            now: Outcome::default(),
        }
    }
}

impl Outcomes {
    /// Takes a line; returns what came of a check when it ends.
    pub(crate) fn line(&mut self, line: &str) -> Option<Outcome> {
        if line.starts_with("@begin") {
            self.begun = Instant::now();
            self.first_s.get_or_insert(self.booted.elapsed().as_secs_f64());
            self.now = Outcome::default();
        } else if let Some(rest) = line.strip_prefix("@end ") {
            let mut outcome = std::mem::take(&mut self.now);
            outcome.status = rest
                .split(' ')
                .next()
                .and_then(|status| status.parse().ok())
                .unwrap_or(-1);
            outcome.seconds = self.begun.elapsed().as_secs_f64();
            return Some(outcome);
        } else if let Some(rest) = line.strip_prefix(FIGURES) {
            self.now.figures.extend(figures(rest));
        } else if !line.is_empty() && !line.starts_with('|') {
            line.clone_into(&mut self.now.last);
        }
        None
    }

    /// Seconds from the start until the first check.
    pub(crate) fn first_s(&self) -> f64 {
        self.first_s.unwrap_or(f64::NAN)
    }
}

fn figures(text: &str) -> Vec<(String, f64)> {
    text.split(", ")
        .filter_map(|figure| figure.split_once(' '))
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect()
}

pub(crate) fn head() {
    println!("| where  | what                                    | result | seconds | figures |");
    println!("|--------|-----------------------------------------|--------|---------|---------|");
}

/// Prints a check's row; returns whether it went well.
pub(crate) fn row(check: &Check, outcome: &Outcome) -> bool {
    let complaints = complaints(check, outcome);
    let mut shown: Vec<String> = outcome
        .figures
        .iter()
        .filter(|(name, number)| *number != 0.0 || check.wants.iter().any(|want| want.figure == name))
        .map(|(name, number)| format!("{} {number}", name.replace('_', " ")))
        .collect();
    if shown.is_empty() {
        shown.push("none".to_owned());
    }
    let result = if complaints.is_empty() { "ok" } else { "FAILED" };
    print(
        check,
        result,
        &format!("{:.1}", outcome.seconds),
        &shown.join(", "),
    );
    for complaint in &complaints {
        println!("  {complaint}");
    }
    complaints.is_empty()
}

/// What is wrong with what came of a check.
fn complaints(check: &Check, outcome: &Outcome) -> Vec<String> {
    let mut all = Vec::new();
    match outcome.status {
        0 => {}
        // What a shell makes of the signal that cannot be caught.
        137 => all.push(format!(
            "it did not end within {} s, and said last: {}",
            check.limit_s, outcome.last
        )),
        status => all.push(format!("it ended with status {status}: {}", outcome.last)),
    }
    // What failed may have had no time to say its figures.
    let failed = !all.is_empty();
    for want in check.wants {
        let found = outcome.figures.iter().find(|(name, _)| name == want.figure);
        match found {
            None if failed => {}
            None => all.push(format!("it did not say `{}`", want.figure)),
            Some((_, number)) if (want.least..=want.most).contains(number) => {}
            Some((name, number)) => all.push(format!(
                "{name} should be {}, and is {number}",
                between(want.least, want.most)
            )),
        }
    }
    all
}

fn between(least: f64, most: f64) -> String {
    match (least == most, most.is_infinite()) {
        (true, _) => format!("{least}"),
        (_, true) => format!("{least} or more"),
        _ => format!("{most} at most"),
    }
}

/// Prints the row of a check that was not done.
pub(crate) fn missing(check: &Check, ended: Ended) {
    let why = match ended {
        Ended::Off => "the machine ended before; see console.txt and said.txt",
        Ended::Late => "the machine's time was over before; see said.txt",
    };
    print(check, "FAILED", "-", why);
}

fn print(check: &Check, result: &str, seconds: &str, rest: &str) {
    println!(
        "| {:6} | {:39} | {result:6} | {seconds:>7} | {rest} |",
        check.group.name(),
        check.name
    );
}

/// Prints what there is to check.
pub(crate) fn list(groups: &[Group]) {
    for check in CHECKS.iter().filter(|check| groups.contains(&check.group)) {
        println!(
            "{:6} {} ({} s at most)",
            check.group.name(),
            check.name,
            check.limit_s
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: [&str; 4] = [
        "@begin 3",
        "|    1 |       30 |",
        "figures: pictures 100, losses 0, poll_most_ms 3.5, flagged 3",
        "@end 0 9",
    ];

    fn outcome(said: &[&str]) -> Outcome {
        let mut outcomes = Outcomes::default();
        said.iter().find_map(|line| outcomes.line(line)).unwrap()
    }

    fn flagged() -> &'static Check {
        CHECKS
            .iter()
            .find(|check| check.name.contains("marked as damaged"))
            .unwrap()
    }

    #[test]
    fn figures_are_held_against_what_is_wanted() {
        assert_eq!(complaints(flagged(), &outcome(&SAID)), Vec::<String>::new());
        let two = SAID.map(|line| {
            if line.starts_with("fig") {
                "figures: losses 0, flagged 2"
            } else {
                line
            }
        });
        assert_eq!(
            complaints(flagged(), &outcome(&two)),
            ["it did not say `poll_most_ms`", "flagged should be 3, and is 2"]
        );
    }

    #[test]
    fn what_fails_or_does_not_end_is_told_with_its_last_words() {
        let said = ["@begin 3", "pictures are too old", "@end 1 4"];
        let told = complaints(flagged(), &outcome(&said));
        assert_eq!(told[0], "it ended with status 1: pictures are too old");
        let told = complaints(flagged(), &outcome(&["@begin 3", "so far", "@end 137 4"]));
        assert!(
            told[0].contains("within 40 s") && told[0].contains("so far"),
            "{told:?}"
        );
    }
}
