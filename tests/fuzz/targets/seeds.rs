//! The inputs from which a fuzzer begins.

use std::fs;
use std::path::PathBuf;

/// Where they are to be written. The program then ends.
const FOLDER: &str = "ARMILLARY_FUZZ_SEEDS";

/// Writes them into the folder that the environment names, if it names one, and ends the program.
pub(crate) fn write(seeds: &[Vec<u8>]) {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    for (index, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{index:02}")), seed).expect("writes a seed");
    }
    std::process::exit(0);
}
