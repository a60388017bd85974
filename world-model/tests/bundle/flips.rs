//! One changed byte, wherever it is, is refused.

use std::fs;
use std::panic::catch_unwind;

use world_model::{Bundle, BundleError};

use crate::small;

/// What is done to a byte: each of its bits, and all of them.
const MASKS: [u8; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 255];

/// Changes bytes of every file of a small bundle, `step` bytes apart, but every byte of its texts. Returns the number of trials.
fn change_bytes(step: usize, masks: &[u8]) -> usize {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let bundle = Bundle::load(dir.path()).expect("a sound bundle");
    assert!(bundle.is_sealed());
    let mut trials = 0;
    for path in files::list(dir.path()).unwrap() {
        let sound = fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let step = if ["manifest.ron", "SHA256SUMS"].contains(&name) {
            1
        } else {
            step
        };
        for at in (0..sound.len()).step_by(step) {
            for mask in masks {
                let mut damaged = sound.clone();
                damaged[at] ^= mask;
                fs::write(&path, damaged).unwrap();
                let what = format!("{name}, byte {at} ^ {mask}");
                let loaded = catch_unwind(|| Bundle::load(dir.path())).expect(&what);
                let error = loaded.err().unwrap_or_else(|| panic!("{what}: accepted"));
                assert!(
                    matches!(
                        error,
                        BundleError::Hash { .. } | BundleError::Sums { .. } | BundleError::Read { .. }
                    ),
                    "{what}: {error}"
                );
                assert!(
                    error.to_string().contains(&dir.path().display().to_string()),
                    "{what}: {error}"
                );
                trials += 1;
            }
        }
        fs::write(&path, sound).unwrap();
    }
    Bundle::load(dir.path()).expect("as sound as before");
    trials
}

#[test]
fn a_changed_byte_of_any_file_is_refused() {
    assert!(change_bytes(23, &[0x10, 0xff]) > 2_000);
}

#[test]
#[ignore = "takes minutes"]
fn every_changed_byte_of_every_file_is_refused() {
    let trials = change_bytes(1, &MASKS);
    println!("{trials} bundles with one changed byte: 0 accepted, 0 panics");
}

#[test]
fn a_bundle_without_a_list_of_hashes_is_loaded_and_can_be_given_one() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let list = dir.path().join("SHA256SUMS");
    let made = fs::read_to_string(&list).unwrap();
    fs::remove_file(&list).unwrap();
    let bundle = Bundle::load(dir.path()).expect("an older bundle");
    assert!(!bundle.is_sealed());
    assert_eq!(bundle.sums(), made);
    fs::write(&list, bundle.sums()).unwrap();
    let sealed = Bundle::load(dir.path()).expect("a sealed bundle");
    assert!(sealed.is_sealed());
    // Logs name bundles by this.
    assert_eq!(sealed.sha256(), bundle.sha256());
}

#[test]
fn a_list_that_lacks_a_file_is_refused_and_one_that_has_more_covers_it() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let list = dir.path().join("SHA256SUMS");
    let made = fs::read_to_string(&list).unwrap();
    for name in ["manifest.ron", "reward.onnx"] {
        let without: String = made
            .lines()
            .filter(|line| !line.ends_with(name))
            .map(|line| format!("{line}\n"))
            .collect();
        fs::write(&list, without).unwrap();
        let error = Bundle::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("SHA256SUMS") && error.contains(name), "{error}");
    }
    let note = dir.path().join("note.txt");
    fs::write(&note, "read me").unwrap();
    let hash = world_model::bundle::sha256(b"read me");
    fs::write(&list, format!("{made}{hash}  note.txt\n")).unwrap();
    Bundle::load(dir.path()).expect("a further file is covered");
    fs::write(&note, "read it").unwrap();
    let error = Bundle::load(dir.path()).unwrap_err();
    assert!(matches!(error, BundleError::Hash { .. }), "{error}");
    assert!(error.to_string().contains("note.txt"), "{error}");
}
