//! Bundles.

use std::fs;

use world_model::Bundle;
use world_model::bundle::{MANIFEST, sha256};
use world_model::kernel::Instructions;
use world_model::sums::SUMS;

#[expect(dead_code, reason = "the bundle's own tests use all of it")]
#[path = "../../../world-model/tests/bundle/small.rs"]
mod small;

/// Files that are replaced, in the order of the numbers by which the input names them.
pub(crate) const NAMES: [&str; 7] = [
    MANIFEST,
    SUMS,
    "encoder.onnx",
    "filter.onnx",
    "transition.onnx",
    "reward.onnx",
    world_model::bundle::PARITY,
];

/// In the first byte of an input: all hashes are made to fit what is replaced.
pub(crate) const REFIT: u8 = 8;

/// A small sound bundle, and the bytes of its files in the order of [`NAMES`].
///
/// The first byte of an input names a file of it, and the rest takes that file's place. Without [`REFIT`] nothing but the sound file is
/// accepted; with it, what is accepted computes.
pub(crate) struct Check {
    dir: tempfile::TempDir,
    sound: Vec<Vec<u8>>,
}

impl Default for Check {
    fn default() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        small::write(dir.path(), true);
        let sound = NAMES
            .iter()
            .map(|name| fs::read(dir.path().join(name)).expect("a file of the bundle"))
            .collect();
        Self { dir, sound }
    }
}

impl Check {
    /// # Panics
    /// If what must be refused is accepted, or by an error that names no file.
    pub(crate) fn check(&mut self, data: &[u8]) {
        let Some((&first, bytes)) = data.split_first() else {
            return;
        };
        let index = usize::from(first % REFIT);
        let Some(sound) = self.sound.get(index) else {
            return;
        };
        let refit = first & REFIT != 0 && NAMES[index] != SUMS;
        self.put(index, bytes);
        if refit {
            self.refit(index, bytes);
        }
        let loaded = Bundle::load(self.dir.path());
        for changed in [index, 0, 1] {
            self.put(changed, &self.sound[changed]);
        }
        match loaded {
            Err(error) => {
                let said = error.to_string();
                let dir = self.dir.path().display().to_string();
                assert!(said.contains(&dir), "the error names no file: {said}");
                assert!(bytes != sound.as_slice(), "a sound bundle is refused: {said}");
            }
            Ok(loaded) => {
                assert!(
                    refit || bytes == sound.as_slice(),
                    "a changed {} is accepted",
                    NAMES[index]
                );
                compute(&loaded);
            }
        }
    }

    /// Inputs from which a fuzzer begins: each file of the bundle, as it is.
    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let mut seeds = Vec::new();
        for (index, sound) in self.sound.iter().enumerate() {
            for flag in [0, REFIT] {
                let mut seed = vec![index as u8 | flag];
                seed.extend_from_slice(sound);
                seeds.push(seed);
            }
        }
        seeds
    }

    fn put(&self, index: usize, bytes: &[u8]) {
        fs::write(self.dir.path().join(NAMES[index]), bytes).expect("writes");
    }

    /// Makes the hashes in manifest and list fit a file that was replaced.
    fn refit(&self, index: usize, bytes: &[u8]) {
        let text = |index: usize| String::from_utf8(self.sound[index].clone()).expect("text");
        let manifest = if index == 0 {
            bytes.to_vec()
        } else {
            let changed = text(0).replace(&sha256(&self.sound[index]), &sha256(bytes));
            self.put(0, changed.as_bytes());
            changed.into_bytes()
        };
        let line = |line: &str| {
            let (hash, name) = line.split_once("  ").expect("a hash and a name");
            let hash = match name {
                MANIFEST => sha256(&manifest),
                _ if name == NAMES[index] => sha256(bytes),
                _ => hash.to_owned(),
            };
            format!("{hash}  {name}\n")
        };
        self.put(1, text(1).lines().map(line).collect::<String>().as_bytes());
    }
}

/// What is made of a bundle before an arm moves.
fn compute(bundle: &Bundle) {
    bundle.encoder().expect("an encoder, as loading has found");
    bundle.filter().expect("a filter, as loading has found");
    // The kernels give the same as the reference, or the bundle is refused.
    let _ = bundle.kernel_rollout(Instructions::Portable);
    let _ = bundle.decoder();
}
