//! Why a bundle was refused.

use std::path::PathBuf;

/// Every variant names the file or field and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file of the bundle could not be read.
    #[error("{path}: cannot read: {source}; export the bundle again, or name the right folder with --bundle")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The manifest is not what this program understands.
    #[error("{path}:{line}:{column}: {message}")]
    Syntax {
        /// The manifest.
        path: PathBuf,
        /// One-based.
        line: usize,
        /// One-based.
        column: usize,
        /// RON's explanation.
        message: String,
    },
    /// Written by another version.
    #[error(
        "{path}: field `format_version` is {found}, this program reads {supported}; export the bundle with this version's trainer"
    )]
    Version {
        /// The manifest.
        path: PathBuf,
        /// Found.
        found: u32,
        /// Supported.
        supported: u32,
    },
    /// The manifest does not list a file that every bundle has.
    #[error("{path}: field `files` lacks `{file}`; export the bundle again")]
    Unlisted {
        /// The manifest.
        path: PathBuf,
        /// The file.
        file: &'static str,
    },
    /// The manifest names a file that does not lie in the bundle's folder.
    #[error(
        "{path}: field `files` names `{file}`, which is no file of this folder: {problem}; copy or export the bundle again"
    )]
    Outside {
        /// The manifest.
        path: PathBuf,
        /// The name.
        file: String,
        /// Why it is none.
        problem: String,
    },
    /// The list of hashes is not what it should be.
    #[error("{path}: {problem}; copy or export the bundle again")]
    Sums {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A file is not the one that was exported.
    #[error(
        "{path}: is not the file that was exported: {list} has the SHA-256 {expected} for it, and it has {found}; copy or export the bundle again"
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// Where its hash is written: the manifest, or the list of hashes.
        list: &'static str,
        /// Found.
        found: String,
        /// Expected.
        expected: String,
    },
    /// Not a graph of the expected shape.
    #[error("{path}: {problem}; export the bundle again")]
    Graph {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The graphs do not give the trainer's numbers on this machine.
    #[error(
        "{path}: output `{output}` differs from LibTorch's by {error:.3e} (allowed {tolerance:.0e}); the bundle must not drive an arm"
    )]
    Parity {
        /// The graph.
        path: PathBuf,
        /// The output.
        output: String,
        /// Largest relative error.
        error: f32,
        /// Largest allowed.
        tolerance: f32,
    },
    /// Learned on another robot.
    #[error(
        "{path}: field `{field}` is {found}, but the robot file says {expected}; use a bundle trained for this robot"
    )]
    Robot {
        /// The manifest.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// In the bundle.
        found: String,
        /// In the robot file.
        expected: String,
    },
    /// The robot file asks for pictures of another size than the model sees.
    #[error(
        "{path}: field `image`: the model sees pictures of {side}x{side}, and `capture.side` of robot `{robot}` is {expected}; write \
         `side: {side}` into `capture` of the robot file, or use a model that sees {expected}x{expected}"
    )]
    Side {
        /// The manifest.
        path: PathBuf,
        /// In the bundle, in pixels.
        side: usize,
        /// The robot.
        robot: String,
        /// In the robot file, in pixels.
        expected: usize,
    },
    /// The manifest says two things of how many bits of a colour the model sees.
    #[error(
        "{path}: field `image` is {found}, and by field `provenance.preset` the model was trained on pictures of {trained} bits a colour; \
         the manifest was damaged or edited: copy or export the bundle again"
    )]
    ImageBits {
        /// The manifest.
        path: PathBuf,
        /// What field `image` says.
        found: String,
        /// Bits a colour in the training preset.
        trained: u8,
    },
    /// Pictures are made ready in a way that nobody here knows.
    #[error(
        "{path}: field `image` is {found}; this program knows {planet}, and the same with 1 to 8 bits and a side that is {}: export \
         the model anew",
        robot::Frame::SIDES
    )]
    Image {
        /// The manifest.
        path: PathBuf,
        /// What it asks for.
        found: String,
        /// PlaNet's.
        planet: String,
    },
    /// This CPU cannot run the chosen back end.
    #[error(transparent)]
    Unsupported(#[from] crate::instructions::Unsupported),
}
