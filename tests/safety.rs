//! SAFETY.md names rows of the fault table and tests for each hazard. They must exist.

use std::fs;
use std::path::Path;

use crate::root;

/// The text of all Rust files under `folder`.
fn sources(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder)
        .expect("a folder of this repository")
        .flatten()
    {
        let path = entry.path();
        if path.is_dir() {
            if !path.ends_with("target") && !files::is_hidden(&path) {
                sources(&path, into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// What stands in backquotes.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

#[test]
fn hazards_are_traced_to_rows_and_tests_that_exist() {
    let safety = fs::read_to_string(root().join("SAFETY.md")).expect("the document");
    let rows = fs::read_to_string(root().join("tests/faults/main.rs")).expect("the fault table");
    let mut code = String::new();
    sources(&root(), &mut code);
    let table = safety
        .split_once("## Hazards")
        .and_then(|(_, rest)| rest.split_once("\n## "))
        .expect("a section of hazards, and one after it")
        .0;
    let mut hazards = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [hazard, _, _, by_rows, by_tests] = cells[..] else {
            panic!("five columns: {line}");
        };
        hazards += 1;
        assert!(
            quoted(by_rows).chain(quoted(by_tests)).next().is_some(),
            "nothing shows that {hazard} is stood against"
        );
        for row in quoted(by_rows) {
            assert!(
                rows.contains(&format!("name: \"{row}\"")),
                "{hazard}: the fault table has no row `{row}`"
            );
        }
        for test in quoted(by_tests) {
            assert!(
                code.contains(&format!("fn {test}()")),
                "{hazard}: there is no test `{test}`"
            );
        }
    }
    assert!(hazards >= 7, "{hazards} hazards");
}
