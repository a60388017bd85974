//! What a model sees of a picture is what it saw when it was trained.

use std::fs;
use std::path::Path;

use world_model::{Bundle, BundleError};

use crate::small;

/// Has the manifest name another image form, and all hashes fit it.
fn name_form(dir: &Path, image: &str, preset: &str) {
    let mut manifest = small::manifest(dir);
    manifest.image = image.to_owned();
    manifest.provenance.preset = preset.to_owned();
    small::write_manifest(dir, manifest);
}

#[test]
fn another_number_of_bits_than_the_trainers_fails_parity_whatever_the_hashes() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    for bits in [1, 2, 3, 4, 6, 7, 8] {
        let image = format!("rgb8-32x32-{bits}bit-centre");
        name_form(dir.path(), &image, "");
        let error = Bundle::load(dir.path()).unwrap_err();
        assert!(
            matches!(&error, BundleError::Parity { output, .. } if output.contains(&image)),
            "{error}"
        );
    }
    name_form(dir.path(), "rgb8-32x32-5bit-centre", "");
    Bundle::load(dir.path()).expect("what it was trained on");
}

#[test]
fn parity_vectors_of_before_have_no_pictures_and_the_preset_tells() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), false);
    let five = "(model:(depth:8,image_bits:5),loss:(free_nats:1.0))";
    for (image, preset, sound) in [
        ("rgb8-32x32-5bit-centre", five, true),
        ("rgb8-32x32-1bit-centre", five, false),
        // Presets of before do not name bits: they had five.
        ("rgb8-32x32-5bit-centre", "(model:(depth:8))", true),
        ("rgb8-32x32-4bit-centre", "(model:(depth:8))", false),
        ("rgb8-32x32-8bit-centre", "(model:(depth:8,image_bits:8))", true),
        // Another program's bundle has no preset of ours, and nothing is known.
        ("rgb8-32x32-1bit-centre", "", true),
    ] {
        name_form(dir.path(), image, preset);
        match Bundle::load(dir.path()) {
            Ok(_) => assert!(sound, "{image}, {preset}: accepted"),
            Err(error @ BundleError::ImageBits { .. }) => {
                assert!(!sound, "{image}, {preset}: {error}");
                let said = error.to_string();
                assert!(said.contains("manifest.ron") && said.contains(image), "{said}");
            }
            Err(error) => panic!("{image}, {preset}: {error}"),
        }
    }
}

#[test]
fn the_shipped_models_are_sealed_and_see_five_bits() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for name in ["reach", "reach-planar", "so101"] {
        let bundle = Bundle::load(&models.join(name)).expect(name);
        assert!(bundle.is_sealed(), "{name}");
        let dir = tempfile::tempdir().unwrap();
        for path in files::list(&models.join(name)).unwrap() {
            fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
        }
        // One flipped bit.
        let manifest = dir.path().join("manifest.ron");
        let text = fs::read_to_string(&manifest).unwrap();
        fs::write(&manifest, text.replace("64x64-5bit", "64x64-1bit")).unwrap();
        let error = Bundle::load(dir.path()).unwrap_err();
        assert!(matches!(error, BundleError::Hash { .. }), "{name}: {error}");
        fs::remove_file(dir.path().join("SHA256SUMS")).unwrap();
        let error = Bundle::load(dir.path()).unwrap_err();
        assert!(
            matches!(error, BundleError::ImageBits { trained: 5, .. }),
            "{name}: {error}"
        );
    }
}
