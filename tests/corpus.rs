//! The inputs from which fuzzers begin, those that they found, and those that have failed once: each is checked again, without a fuzzer.
//!
//! `cargo xtask fuzz` makes up new ones.

use std::fs;
use std::path::PathBuf;

use crate::root;

#[path = "fuzz/checks/bundle.rs"]
mod bundle;
#[path = "fuzz/checks/configuration.rs"]
mod configuration;
#[path = "fuzz/checks/frame.rs"]
mod frame;
#[path = "fuzz/checks/frame_socket.rs"]
mod frame_socket;
#[path = "fuzz/checks/log.rs"]
mod log;

/// Inputs of a target in the repository: found by a fuzzer, or failed once.
fn kept(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    ["corpus", "crashes"]
        .iter()
        .map(|kind| root().join("tests/fuzz").join(kind).join(target))
        .filter(|dir| dir.is_dir())
        .flat_map(|dir| files::list(&dir).expect("a folder of inputs"))
        .map(|path| {
            let bytes = fs::read(&path).expect("an input");
            (path, bytes)
        })
        .collect()
}

/// Checks `seeds` and all that is kept of the target. Returns how many that were.
fn replay(target: &str, seeds: Vec<Vec<u8>>, mut check: impl FnMut(&[u8])) -> usize {
    let kept = kept(target);
    for (index, seed) in seeds.iter().enumerate() {
        println!("{target}: seed {index}");
        check(seed);
    }
    for (path, bytes) in &kept {
        // A test that fails prints the last of these lines.
        println!("{}", path.display());
        check(bytes);
    }
    seeds.len() + kept.len()
}

#[test]
fn frames() {
    let mut check = frame::Check;
    let seeds = check.seeds();
    assert!(replay("frame", seeds, |input| check.check(input)) >= 8);
}

#[test]
fn configurations() {
    let mut check = configuration::Check;
    let seeds = check.seeds();
    assert!(replay("configuration", seeds, |input| check.check(input)) >= 11);
}

#[test]
fn logs() {
    let mut check = log::Check::default();
    let seeds = check.seeds();
    assert!(replay("log", seeds, |input| check.check(input)) >= 8);
}

#[test]
fn frame_sockets() {
    let mut check = frame_socket::Check::default();
    let seeds = check.seeds();
    assert!(replay("frame_socket", seeds, |input| check.check(input)) >= 6);
}

#[test]
fn bundles() {
    let mut check = bundle::Check::default();
    let seeds = check.seeds();
    assert!(replay("bundle", seeds, |input| check.check(input)) >= 14);
}
