//! A bundle reads the files of its own folder, and nothing else, whatever it says.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use world_model::bundle::sha256;
use world_model::{Bundle, BundleError};

use crate::small;

/// A bundle whose manifest names `name` beside its files.
fn names(dir: &Path, name: &str, hash: &str) {
    let mut manifest = small::manifest(dir);
    manifest.files.insert(name.to_owned(), hash.to_owned());
    small::write_manifest(dir, manifest);
    // The list of hashes must not be what refuses it.
    fs::remove_file(dir.join("SHA256SUMS")).unwrap();
}

/// A secret beside the bundle's folder, and its hash.
fn outside(parent: &Path) -> (std::path::PathBuf, String) {
    let secret = parent.join("secret");
    fs::write(&secret, "of somebody else").unwrap();
    (secret, sha256(b"of somebody else"))
}

#[test]
fn a_name_that_leads_out_of_the_folder_is_refused_and_its_file_not_read() {
    let parent = tempfile::tempdir().unwrap();
    let (secret, hash) = outside(parent.path());
    let absolute = secret.display().to_string();
    for name in [
        absolute.as_str(),
        "../secret",
        "x/../../secret",
        "./secret",
        "",
        ".",
        "..",
        "secret/",
        "a\0b",
    ] {
        let dir = parent.path().join("bundle");
        fs::create_dir(&dir).unwrap();
        small::write(&dir, false);
        // With the right hash it would be loaded, if it were read.
        names(&dir, name, &hash);
        let error = Bundle::load(&dir).unwrap_err();
        assert!(matches!(error, BundleError::Outside { .. }), "{name:?}: {error}");
        assert!(!error.to_string().contains(&hash), "{name:?}: {error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}

#[test]
fn a_link_is_followed_within_the_folder_only() {
    let parent = tempfile::tempdir().unwrap();
    let (secret, hash) = outside(parent.path());
    let dir = parent.path().join("bundle");
    fs::create_dir(&dir).unwrap();
    small::write(&dir, false);
    symlink(&secret, dir.join("extra")).unwrap();
    names(&dir, "extra", &hash);
    let error = Bundle::load(&dir).unwrap_err();
    assert!(matches!(error, BundleError::Outside { .. }), "{error}");
    let said = error.to_string();
    assert!(
        said.contains("`extra`") && said.contains("link") && !said.contains(&hash),
        "{said}"
    );
    // A manifest, or a list of hashes, that is such a link is no better.
    for name in ["manifest.ron", "SHA256SUMS"] {
        let dir = parent.path().join(name);
        fs::create_dir(&dir).unwrap();
        small::write(&dir, false);
        let elsewhere = parent.path().join(format!("{name}.elsewhere"));
        fs::rename(dir.join(name), &elsewhere).unwrap();
        symlink(&elsewhere, dir.join(name)).unwrap();
        let error = Bundle::load(&dir).unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(error, BundleError::Read { .. }) && said.contains("link"),
            "{name}: {said}"
        );
    }
    let dir = parent.path().join("within");
    fs::create_dir(&dir).unwrap();
    small::write(&dir, false);
    fs::rename(dir.join("reward.onnx"), dir.join("reward-2.onnx")).unwrap();
    symlink("reward-2.onnx", dir.join("reward.onnx")).unwrap();
    Bundle::load(&dir).expect("a link to a file beside it");
    // The folder itself may be reached by a link.
    let link = parent.path().join("link");
    symlink(&dir, &link).unwrap();
    Bundle::load(&link).expect("a link to the bundle");
}

#[test]
fn a_pipe_a_device_and_a_folder_are_no_files_of_a_bundle() {
    let parent = tempfile::tempdir().unwrap();
    type Make = fn(&Path);
    let kinds: [(&str, Make); 3] = [
        ("a pipe (FIFO)", |path| {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }),
        ("a link that leads out", |path| {
            symlink("/dev/zero", path).unwrap();
        }),
        ("a folder", |path| fs::create_dir(path).unwrap()),
    ];
    for (kind, make) in kinds {
        let dir = parent.path().join("bundle");
        fs::create_dir(&dir).unwrap();
        small::write(&dir, false);
        make(&dir.join("extra"));
        names(&dir, "extra", &"00".repeat(32));
        let error = Bundle::load(&dir).unwrap_err().to_string();
        assert!(error.contains("extra") && error.contains(kind), "{kind}: {error}");
        fs::remove_dir_all(&dir).unwrap();
    }
}
