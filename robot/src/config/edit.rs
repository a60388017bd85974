//! Changing a robot file the way a person would: values change, comments and layout stay.

use std::ops::Range;
use std::path::Path;

use super::{Config, ConfigError, Planner};

/// `text`, a robot file from `path`, with another planner.
///
/// # Errors
/// [`ConfigError`] if the file, or what it would become, is not sound.
pub fn with_planner(path: &Path, text: &str, planner: &Planner) -> Result<String, ConfigError> {
    // What is wrong with it as it is.
    Config::parse(path, text.to_owned())?;
    let missing = |field: &str| ConfigError::Field {
        path: path.to_owned(),
        field: format!("planner.{field}"),
        problem: "cannot be found to be changed".to_owned(),
        remedy: "write `planner: (...)` with plain fields".to_owned(),
    };
    let ron = |value: Result<String, ron::Error>| value.unwrap_or_default();
    let mut edited = text.to_owned();
    for (field, value) in [
        ("horizon", planner.horizon.to_string()),
        ("iterations", planner.iterations.to_string()),
        ("candidates", planner.candidates.to_string()),
        ("elites", planner.elites.to_string()),
        ("warm_start", planner.warm_start.to_string()),
        ("method", ron(ron::to_string(&planner.method))),
        ("backend", ron(ron::to_string(&planner.backend))),
        ("threads", planner.threads.to_string()),
    ] {
        let place = value_of(&edited, &["planner", field]).ok_or_else(|| missing(field))?;
        edited.replace_range(place, &value);
    }
    let found = Config::parse(path, edited.clone())?.planner;
    if found == *planner {
        Ok(edited)
    } else {
        Err(missing("*"))
    }
}

/// A RON text with another value for a field of nested structures, named from the outside in. A field that is not there is
/// put first in its structure. `None` if there is no such structure.
pub fn with_field(text: &str, names: &[&str], value: &str) -> Option<String> {
    let mut edited = text.to_owned();
    if let Some(place) = value_of(text, names) {
        edited.replace_range(place, value);
        return Some(edited);
    }
    let (field, structure) = names.split_last()?;
    let inside = if structure.is_empty() {
        Code::of(text).find(|(_, letter)| *letter == '(')?.0
    } else {
        let place = value_of(text, structure)?;
        text[place.clone()].starts_with('(').then_some(place.start)?
    };
    edited.insert_str(inside + 1, &format!("{field}: {value}, "));
    Some(edited)
}

/// A RON text with another value for a field of the structure at `index` of a list, which is named from the outside in. A field that is not there is
/// put first in its structure. `None` if there is no such list or element.
pub fn with_element_field(
    text: &str,
    list: &[&str],
    index: usize,
    field: &str,
    value: &str,
) -> Option<String> {
    let place = value_of(text, list)?;
    let element = element_of(&text[place.clone()], index)?;
    let element = place.start + element.start..place.start + element.end;
    let edited = with_field(&text[element.clone()], &[field], value)?;
    let mut whole = text.to_owned();
    whole.replace_range(element, &edited);
    Some(whole)
}

/// Where the structure at `index` of a list stands in the list's text.
fn element_of(list: &str, index: usize) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    let mut begun = None;
    let mut passed = 0;
    for (at, letter) in Code::of(list) {
        match letter {
            '(' | '[' | '{' => {
                depth += 1;
                if depth == 2 {
                    begun = Some(at);
                }
            }
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 1 {
                    if passed == index {
                        return Some(begun?..at + letter.len_utf8());
                    }
                    passed += 1;
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the value of a field of nested structures stands in a RON text.
fn value_of(text: &str, names: &[&str]) -> Option<Range<usize>> {
    let code: Vec<(usize, char)> = Code::of(text).collect();
    let mut depth = 0_usize;
    let mut wanted = names.iter();
    let mut name = wanted.next()?;
    // Fields of the structure that is being looked through are this deep.
    let mut level = 1;
    let mut word: Option<Range<usize>> = None;
    let mut start = None;
    for (index, &(at, letter)) in code.iter().enumerate() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if let Some(start) = start {
            let ended = (letter == ',' && depth == level) || depth < level;
            if ended {
                let last = code[..index].iter().rev().find(|(_, c)| !c.is_whitespace())?;
                return Some(start..last.0 + last.1.len_utf8());
            }
        } else if letter == ':' && depth == level && word.clone().is_some_and(|word| text[word] == **name) {
            let value = code[index + 1..].iter().find(|(_, c)| !c.is_whitespace())?;
            match wanted.next() {
                Some(next) => (name, level) = (next, level + 1),
                None => start = Some(value.0),
            }
        }
        if letter.is_alphanumeric() || letter == '_' {
            word = match word {
                Some(word) if word.end == at => Some(word.start..at + letter.len_utf8()),
                _ => Some(at..at + letter.len_utf8()),
            };
        }
    }
    None
}

/// The characters of a RON text that are neither in a comment nor within a string; a string is its two quotation marks.
struct Code<'a> {
    text: &'a str,
    at: usize,
    /// Where the string ends whose beginning was told last.
    closing: Option<usize>,
}

impl<'a> Code<'a> {
    fn of(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            closing: None,
        }
    }

    /// Moves on past the next `end`, or to the end of the text.
    fn pass(&mut self, from: usize, end: &str) {
        self.at = self.text[from..]
            .find(end)
            .map_or(self.text.len(), |found| from + found + end.len());
    }
}

impl Iterator for Code<'_> {
    type Item = (usize, char);

    fn next(&mut self) -> Option<(usize, char)> {
        if let Some(closing) = self.closing.take() {
            return Some((closing, '"'));
        }
        loop {
            let rest = &self.text[self.at..];
            let letter = rest.chars().next()?;
            if rest.starts_with("//") {
                self.pass(self.at, "\n");
            } else if rest.starts_with("/*") {
                self.pass(self.at + 2, "*/");
            } else if letter == '"' {
                let begin = self.at;
                self.at = self.text.len();
                let mut escaped = false;
                for (offset, letter) in rest[1..].char_indices() {
                    if letter == '"' && !escaped {
                        self.closing = Some(begin + 1 + offset);
                        self.at = begin + 2 + offset;
                        break;
                    }
                    escaped = letter == '\\' && !escaped;
                }
                return Some((begin, '"'));
            } else {
                let at = self.at;
                self.at += letter.len_utf8();
                return Some((at, letter));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Method, RolloutBackend};
    use super::*;

    const SHIPPED: &str = include_str!("../../../configs/sim-arm.ron");

    fn another() -> Planner {
        let planner = Config::parse(Path::new("robot.ron"), SHIPPED.to_owned())
            .unwrap()
            .planner;
        Planner {
            horizon: 6,
            iterations: 11,
            candidates: 128,
            elites: 12,
            warm_start: false,
            method: Method::Icem { beta: 2.5 },
            backend: RolloutBackend::Bf16,
            threads: 2,
            ..planner
        }
    }

    #[test]
    fn the_planner_changes_and_nothing_else() {
        let path = Path::new("robot.ron");
        let edited = with_planner(path, SHIPPED, &another()).unwrap();
        assert_eq!(Config::parse(path, edited.clone()).unwrap().planner, another());
        let changed: Vec<&str> = SHIPPED
            .lines()
            .zip(edited.lines())
            .filter(|(before, after)| before != after)
            .map(|(_, after)| after.trim())
            .collect();
        assert_eq!(
            changed,
            [
                "horizon: 6,",
                "iterations: 11,",
                "candidates: 128,",
                "elites: 12,",
                "warm_start: false,",
                "method: icem(beta:2.5),",
                "backend: bf16,",
                "threads: 2,",
            ]
        );
        assert_eq!(SHIPPED.lines().count(), edited.lines().count());
        // And back again.
        let before = Config::parse(path, SHIPPED.to_owned()).unwrap().planner;
        assert_eq!(with_planner(path, &edited, &before).unwrap(), SHIPPED);
    }

    #[test]
    fn comments_strings_and_other_sections_do_not_mislead() {
        let text = r#"( // planner: (horizon: 1)
            name: "planner: (horizon: 2)\" ,", /* horizon: 3, */
            other: (horizon: 4, planner: (horizon: 5)),
            planner: (method: icem(beta: 2.0), horizon /* H */ : 6 // six
            ),
        )"#;
        let found = |names: &[&str]| value_of(text, names).map(|place| &text[place]);
        assert_eq!(found(&["planner", "horizon"]), Some("6"));
        assert_eq!(found(&["planner", "method"]), Some("icem(beta: 2.0)"));
        assert_eq!(found(&["other", "planner", "horizon"]), Some("5"));
        assert_eq!(found(&["planner", "elites"]), None);
    }

    #[test]
    fn single_fields_are_replaced_or_put_in() {
        let text = "(model: (depth: 8), /* loss: () */ loss: (scale: 1.0))";
        for (names, value, expected) in [
            (
                &["model", "depth"][..],
                "32",
                "(model: (depth: 32), /* loss: () */ loss: (scale: 1.0))",
            ),
            (
                &["model", "design"],
                "ssm",
                "(model: (design: ssm, depth: 8), /* loss: () */ loss: (scale: 1.0))",
            ),
            (
                &["seed"],
                "3",
                "(seed: 3, model: (depth: 8), /* loss: () */ loss: (scale: 1.0))",
            ),
        ] {
            assert_eq!(with_field(text, names, value).as_deref(), Some(expected));
        }
        let text_of = |name: &str| format!("(name: {name}, calibration: (joints: {name} /* here */))");
        assert_eq!(
            with_field(&text_of("\"a), \\\"\""), &["calibration", "joints"], "\"b\"").as_deref(),
            Some("(name: \"a), \\\"\", calibration: (joints: \"b\" /* here */))")
        );
        assert_eq!(with_field(text, &["optimiser", "batch"], "1"), None);
        assert_eq!(with_field(text, &["model", "depth", "deeper"], "1"), None);
    }

    #[test]
    fn fields_of_one_element_are_replaced_or_put_in() {
        let text = "(links: [(axis: (0, 1))], joints: [ // (name: \"no\")\n (name: \"a)\", range: (0, 1)), (name: \"b\", range: (2, 3)),])";
        for (index, field, value, expected) in [
            (0, "range", "(5, 6)", Some(("(0, 1))", "(5, 6))"))),
            (1, "range", "(5, 6)", Some(("(2, 3)", "(5, 6)"))),
            (1, "home", "7", Some(("(name: \"b\"", "(home: 7, name: \"b\""))),
            (2, "range", "(5, 6)", None),
        ] {
            // The first of what is replaced is of the links.
            let expected = expected.map(|(from, to)| {
                let begin = text.find("joints").unwrap();
                format!("{}{}", &text[..begin], text[begin..].replacen(from, to, 1))
            });
            assert_eq!(
                with_element_field(text, &["joints"], index, field, value),
                expected
            );
        }
        assert_eq!(with_element_field(text, &["servos"], 0, "id", "1"), None);
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let planner = Planner {
            elites: 1000,
            ..another()
        };
        let problem = with_planner(Path::new("robot.ron"), SHIPPED, &planner).unwrap_err();
        assert!(problem.to_string().contains("planner.elites"), "{problem}");
    }
}
