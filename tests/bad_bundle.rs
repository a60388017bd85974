//! Every way a bundle can be wrong is refused before anything moves, naming the file or field.

use std::fs;
use std::path::Path;

use robot::Config;
use world_model::{Bundle, BundleError};

use crate::{bundle, root};

fn copy_to(dir: &Path) {
    for entry in fs::read_dir(bundle()).expect("the shipped bundle") {
        let entry = entry.expect("entry");
        fs::copy(entry.path(), dir.join(entry.file_name())).expect("copies");
    }
}

/// Damages a copy of the shipped bundle and returns what loading it says.
fn refused(damage: impl FnOnce(&Path)) -> BundleError {
    let dir = tempfile::tempdir().expect("temporary folder");
    copy_to(dir.path());
    damage(dir.path());
    Bundle::load(dir.path()).expect_err("must be refused")
}

/// Edits the manifest of a bundle that has no list of hashes, as those of earlier versions: the list would be what refuses it.
fn edit_manifest(dir: &Path, from: &str, to: &str) {
    let list = dir.join("SHA256SUMS");
    if list.exists() {
        fs::remove_file(list).expect("removes");
    }
    let path = dir.join("manifest.ron");
    let text = fs::read_to_string(&path).expect("manifest");
    assert!(text.contains(from), "the manifest holds {from}");
    fs::write(&path, text.replacen(from, to, 1)).expect("writes");
}

#[test]
fn a_flipped_byte_in_any_file_names_the_file() {
    for file in [
        "encoder.onnx",
        "filter.onnx",
        "transition.onnx",
        "reward.onnx",
        "parity.safetensors",
    ] {
        let error = refused(|dir| {
            let path = dir.join(file);
            let mut bytes = fs::read(&path).expect("file");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x10;
            fs::write(&path, bytes).expect("writes");
        });
        assert!(matches!(error, BundleError::Hash { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = refused(|dir| fs::remove_file(dir.join("reward.onnx")).expect("removes"));
    assert!(matches!(error, BundleError::Read { .. }));
    assert!(error.to_string().contains("reward.onnx"), "{error}");
}

#[test]
fn a_mistyped_manifest_names_line_and_column() {
    let error = refused(|dir| edit_manifest(dir, "period_s", "periods"));
    assert!(
        matches!(error, BundleError::Syntax { line, .. } if line > 1),
        "{error}"
    );
    let error = refused(|dir| edit_manifest(dir, "format_version: 1", "format_version: 99"));
    assert!(matches!(error, BundleError::Version { found: 99, .. }), "{error}");
}

#[test]
fn an_image_of_another_side_than_the_encoder_takes_is_refused() {
    for (image, words) in [
        ("rgb8-96x96-5bit-centre", "encoder.onnx"),
        ("rgb8-40x40-5bit-centre", "multiple of 16 from 32 to 256"),
        ("rgb8-64x96-5bit-centre", "field `image`"),
    ] {
        let error = refused(|dir| edit_manifest(dir, "rgb8-64x64-5bit-centre", image)).to_string();
        assert!(error.contains(words), "{image}: {error}");
    }
}

#[test]
fn dimensions_that_do_not_fit_the_graphs_are_refused() {
    let error = refused(|dir| edit_manifest(dir, "stochastic: 30", "stochastic: 31"));
    assert!(matches!(error, BundleError::Graph { .. }), "{error}");
}

#[test]
fn a_graph_that_computes_something_else_fails_parity_whatever_its_hash() {
    let error = refused(|dir| {
        let path = dir.join("reward.onnx");
        let mut bytes = fs::read(&path).expect("file");
        let before = world_model::bundle::sha256(&bytes);
        // The sign bit of a weight in the middle of an initialiser.
        let at = bytes.len() / 2 / 4 * 4;
        for byte in &mut bytes[at..at + 400] {
            *byte ^= 0x80;
        }
        fs::write(&path, &bytes).expect("writes");
        edit_manifest(dir, &before, &world_model::bundle::sha256(&bytes));
    });
    assert!(
        matches!(error, BundleError::Parity { .. } | BundleError::Graph { .. }),
        "{error}"
    );
}

#[test]
fn another_robot_is_refused_naming_the_field() {
    let bundle = Bundle::load(&bundle()).expect("the shipped bundle");
    let path = root().join("configs/sim-planar.ron");
    let text = fs::read_to_string(&path).expect("robot file");
    for (from, to, field) in [
        ("period_s: 0.1", "period_s: 0.05", "period_s"),
        ("\"elbow\"", "\"wrist\"", "joint_names"),
        (
            "velocity_max_rad_s: 0.667",
            "velocity_max_rad_s: 0.5",
            "action_scale_rad_s",
        ),
    ] {
        let other = Config::parse(&path, text.replacen(from, to, 1)).expect("a valid robot file");
        match bundle.check_robot(&other) {
            Err(BundleError::Robot { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{from}: {other:?}"),
        }
    }
    let three = Config::load(&root().join("configs/sim-arm.ron")).expect("robot file");
    assert!(matches!(
        bundle.check_robot(&three),
        Err(BundleError::Robot { .. })
    ));
}
