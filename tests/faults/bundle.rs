//! Bundles, manifests and robot files that were damaged.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use armillary::signature::Key;
use robot::philox::Stream;
use world_model::bundle::MANIFEST;
use world_model::{Bundle, BundleError};

use crate::changes::mutate;
use crate::configuration;
use crate::row::{Outcome, Scale};
use crate::side_by_side::{cpus, side_by_side};
use crate::small;

/// Trials that a thread does at a time, on files of its own.
const BATCH: u64 = 500;

/// A folder in memory where the system has one: files are written once a trial.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a temporary folder")
}

/// A small bundle, sealed.
fn sound() -> tempfile::TempDir {
    let dir = folder();
    small::write(dir.path(), true);
    let bundle = Bundle::load(dir.path()).expect("a sound bundle");
    assert!(bundle.is_sealed());
    dir
}

/// Loads the bundle: it must be refused, by an error that names its folder.
fn refused(dir: &Path) -> Result<BundleError, String> {
    let loaded = catch_unwind(|| Bundle::load(dir)).map_err(|_| "panics".to_owned())?;
    let error = loaded.err().ok_or_else(|| "is accepted".to_owned())?;
    let said = error.to_string();
    if said.contains(&dir.display().to_string()) {
        Ok(error)
    } else {
        Err(format!("the error names no file: {said}"))
    }
}

/// Every byte of every file of a bundle is changed, the manifest and the list of hashes included; bits at random.
pub(crate) fn every_byte(scale: Scale) -> Outcome {
    let masks = scale.trials(3, 1);
    let step = scale.trials(1, 11) as usize;
    let dir = sound();
    let places: Vec<(PathBuf, usize)> = files::list(dir.path())
        .expect("a folder")
        .into_iter()
        .flat_map(|path| {
            let length = fs::metadata(&path).map_or(0, |metadata| metadata.len()) as usize;
            let name = PathBuf::from(path.file_name().unwrap_or_default());
            // Every byte of the texts in any case.
            let step = if name
                .extension()
                .is_some_and(|end| end == "onnx" || end == "safetensors")
            {
                step
            } else {
                1
            };
            (0..length).step_by(step).map(move |at| (name.clone(), at))
        })
        .collect();
    let batches = (places.len() as u64).div_ceil(BATCH);
    let results = side_by_side(cpus(), batches, |batch| {
        let dir = sound();
        let mut random = Stream::new(batch, 0xB17);
        let mut outcome = Outcome::default();
        let begin = (batch * BATCH) as usize;
        for (name, at) in places.iter().skip(begin).take(BATCH as usize) {
            let path = dir.path().join(name);
            let sound = fs::read(&path).expect("a file of the bundle");
            for _ in 0..masks {
                let mask = 1 + random.below(255) as u8;
                let mut damaged = sound.clone();
                damaged[*at] ^= mask;
                fs::write(&path, damaged).expect("writes");
                let tried = refused(dir.path()).map(|_| ());
                outcome.tried(
                    tried.map_err(|problem| format!("{}, byte {at} ^ {mask}: {problem}", name.display())),
                );
            }
            fs::write(&path, sound).expect("writes");
        }
        Bundle::load(dir.path()).expect("as sound as before");
        outcome
    });
    let mut outcome = Outcome::of_all(results);
    outcome.worst = format!("{} bytes in {} files", places.len(), 7);
    outcome
}

/// Manifests with random changes: refused by their hash, and read without harm where the hash is made to fit.
pub(crate) fn manifests(scale: Scale) -> Outcome {
    let results = side_by_side(cpus(), scale.trials(400, 4), |batch| {
        let dir = sound();
        let path = dir.path().join(MANIFEST);
        let list = dir.path().join("SHA256SUMS");
        let sound = fs::read(&path).expect("a manifest");
        let sound_list = fs::read_to_string(&list).expect("a list");
        let sound_hash = world_model::bundle::sha256(&sound);
        let mut outcome = Outcome::default();
        let mut loaded = 0;
        for trial in 0..BATCH {
            let seed = batch * BATCH + trial;
            let mut random = Stream::new(seed, 0x3A41);
            let mut changed = sound.clone();
            mutate(&mut changed, &mut random);
            if changed == sound {
                continue;
            }
            fs::write(&path, &changed).expect("writes");
            let named = |problem: String| format!("manifest of seed {seed}: {problem}");
            outcome.tried(refused(dir.path()).map(|_| ()).map_err(named));
            // One in twenty: such a bundle is read to its end.
            if seed.is_multiple_of(20) {
                let hash = world_model::bundle::sha256(&changed);
                fs::write(&list, sound_list.replace(&sound_hash, &hash)).expect("writes");
                let read = catch_unwind(|| Bundle::load(dir.path()).is_ok());
                loaded += u64::from(matches!(read, Ok(true)));
                outcome.tried(
                    read.map(|_| ())
                        .map_err(|_| named("panics, with a hash that fits".to_owned())),
                );
                fs::write(&list, &sound_list).expect("writes");
            }
        }
        outcome.measured = loaded;
        outcome
    });
    let mut outcome = Outcome::of_all(results);
    outcome.worst = format!("{} load where the hash is made to fit", outcome.measured);
    outcome
}

/// A robot file that is signed, and the key.
struct Signed {
    dir: tempfile::TempDir,
    key: Key,
}

impl Signed {
    fn new(sound: &[u8]) -> Self {
        let dir = folder();
        let robot = dir.path().join("robot.ron");
        fs::write(&robot, sound).expect("writes");
        let pair = minisign::KeyPair::generate_unencrypted_keypair().expect("a key");
        let signature =
            minisign::sign(None, &pair.sk, std::io::Cursor::new(sound), None, None).expect("signs");
        let mut beside = robot.into_os_string();
        beside.push(".minisig");
        fs::write(beside, signature.to_string()).expect("writes");
        let line = pair.pk.to_base64();
        let key = Key::read(&line).expect("a public key");
        let signed = Self { dir, key };
        signed.key.require(&signed.path()).expect("a sound signature");
        signed
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("robot.ron")
    }
}

/// Robot files with random changes: each is refused by an error that names it, or describes an arm that can be driven. Where a signature
/// is required each is refused.
pub(crate) fn robot_files(scale: Scale) -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let shipped: Vec<Vec<u8>> = ["sim-arm", "sim-planar", "so101"]
        .iter()
        .map(|name| files::read(&root.join(format!("configs/{name}.ron"))).expect("a shipped robot file"))
        .collect();
    let results = side_by_side(cpus(), scale.trials(1_600, 20), |batch| {
        let mut outcome = Outcome::default();
        let sound = &shipped[batch as usize % shipped.len()];
        let signed = Signed::new(sound);
        let mut check = configuration::Check;
        for trial in 0..BATCH {
            let seed = batch * BATCH + trial;
            let mut random = Stream::new(seed, 0x5EED);
            let mut changed = sound.clone();
            mutate(&mut changed, &mut random);
            let checked = catch_unwind(AssertUnwindSafe(|| check.check(&changed)));
            outcome.tried(checked.map_err(|_| format!("robot file of seed {seed}: panics, or is not sound")));
            if seed.is_multiple_of(50) && changed != *sound {
                fs::write(signed.path(), &changed).expect("writes");
                let passed = signed.key.require(&signed.path()).is_ok();
                outcome.tried(if passed {
                    Err(format!("robot file of seed {seed}: passes for the signed one"))
                } else {
                    Ok(())
                });
                outcome.measured += 1;
            }
        }
        outcome
    });
    let mut outcome = Outcome::of_all(results);
    outcome.worst = format!("{} with a signature that no longer fits", outcome.measured);
    outcome
}
