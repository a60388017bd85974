//! The table, and the lines that need not run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;

use super::llvm::Lines;
use crate::part::Scope;

/// Lines that no test runs, by the source and what stands in the line. `tests/EVIDENCE.md` has the reasons.
const EXCUSED: [(&str, &str); 4] = [
    // The operating system refuses to change a thread's own mask.
    ("armillary/src/e_stop/watch.rs", "log::error!("),
    // The compiler evaluates this function.
    (
        "firmware-bridge/src/wire/cobs.rs",
        "pub(super) const fn encoded_max(len: usize) -> usize {",
    ),
    ("firmware-bridge/src/wire/cobs.rs", "len + len / 254 + 1"),
    ("firmware-bridge/src/wire/cobs.rs", "}"),
];

/// Prints how many lines of each source ran, and fails if one did not that is not excused. `shows` prints those lines.
pub(super) fn report(root: &Path, found: &Lines, scopes: &[Scope], shows: bool) -> anyhow::Result<()> {
    let mut missing = 0;
    println!(
        "{:<44} {:>6} {:>6} {:>8}  {:>9}",
        "source", "lines", "ran", "excused", "coverage"
    );
    for (path, counts) in found {
        let Ok(path) = path.strip_prefix(root) else {
            continue;
        };
        let name = path.to_string_lossy();
        if !scopes.iter().any(|scope| scope.has(&name)) {
            continue;
        }
        let text = String::from_utf8(files::read(&root.join(path))?)?;
        let (wanted, missed) = judge(&text, counts);
        let (excused, missed): (Vec<_>, Vec<_>) = missed
            .into_iter()
            .partition(|(_, line)| EXCUSED.contains(&(&*name, line)));
        let ran = wanted - missed.len() - excused.len();
        let share = 100.0 * (ran + excused.len()) as f64 / wanted.max(1) as f64;
        println!(
            "{name:<44} {wanted:>6} {ran:>6} {:>8}  {share:>7.2} %",
            excused.len()
        );
        if shows {
            for (number, line) in &missed {
                println!("    {number}: {line}");
            }
        }
        missing += missed.len();
    }
    if missing > 0 {
        bail!(
            "{missing} lines did not run (`--lines` prints them): each needs a test, or a line in EXCUSED of \
             xtask/src/coverage/lines.rs and its reason in tests/EVIDENCE.md"
        );
    }
    Ok(())
}

/// How many lines have code, and those that did not run. Lines of tests are left out.
fn judge<'t>(text: &'t str, counts: &BTreeMap<u32, u64>) -> (usize, Vec<(u32, &'t str)>) {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let tests = lines
        .iter()
        .position(|line| line.starts_with("#[cfg(") && line.contains("test"))
        .unwrap_or(lines.len());
    let code = counts.iter().filter(|(number, _)| (**number as usize) <= tests);
    let missed = code
        .clone()
        .filter(|(_, count)| **count == 0)
        .map(|(number, _)| {
            let at = (*number as usize).saturating_sub(1);
            (*number, lines.get(at).copied().unwrap_or_default())
        })
        .collect();
    (code.count(), missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_did_not_run_are_found_and_those_of_tests_are_left_out() {
        let text = "fn a() {\n    b();\n}\n#[cfg(test)]\nmod tests {}\n";
        let counts = BTreeMap::from([(1, 1), (2, 0), (3, 1), (5, 0)]);
        assert_eq!(judge(text, &counts), (3, vec![(2, "b();")]));
    }
}
