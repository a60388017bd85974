//! What can go wrong with a plant in another process.

use std::io;
use std::process::ExitStatus;

use robot::DeviceError;

/// Why a plant in another process cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// No interpreter.
    #[error(
        "rig `{rig}`: no Python with the package armillary-bridge was found; run `cargo xtask rig` in the repository, or \
         `pip install './bridges/python[dmc,gym]'` into an environment and start armillary with that one active"
    )]
    NoPython {
        /// What was to be started.
        rig: String,
    },
    /// The pipe broke or stalled.
    #[error("rig `{rig}`: {doing}: {source}; what it printed above may say why")]
    Pipe {
        /// The rig.
        rig: String,
        /// What was attempted.
        doing: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The process ended, by itself or by a fault in the environment's own code.
    #[error("rig `{rig}`: {doing}: its process ended ({status}); what it printed above may say why")]
    Ended {
        /// The rig.
        rig: String,
        /// What was attempted.
        doing: &'static str,
        /// Its exit status, or the signal that ended it.
        status: ExitStatus,
    },
    /// The environment refused or failed.
    #[error("rig `{rig}`: {message}")]
    Environment {
        /// The rig.
        rig: String,
        /// In its own words.
        message: String,
    },
    /// The other end is not what it should be.
    #[error(
        "rig `{rig}`: {problem}; install the package of this release: `pip install --upgrade ./bridges/python`"
    )]
    Protocol {
        /// The rig.
        rig: String,
        /// What is wrong.
        problem: String,
    },
    /// Its package is of before pictures had a size, and was asked for another than the one that it draws.
    #[error(
        "rig `{rig}`: field `capture.side` of the robot file is {asked}, and the installed package armillary-bridge draws pictures of \
         {only}x{only} alone; install the package of this release: `pip install --upgrade ./bridges/python`, or leave `side` out"
    )]
    Side {
        /// The rig.
        rig: String,
        /// The side of what it draws, in pixels.
        only: usize,
        /// What it was asked for.
        asked: usize,
    },
    /// It was asked to move by something else than a control period.
    #[error(
        "rig `{rig}` moves by control periods of {period_s} s and was asked for {asked_s} s; write `period_s: {period_s}` \
         and `substeps: 1` into the robot file"
    )]
    Period {
        /// The rig.
        rig: String,
        /// What it can.
        period_s: f32,
        /// What it was asked for.
        asked_s: f32,
    },
}

impl From<ProcessError> for DeviceError {
    fn from(error: ProcessError) -> Self {
        Self::new(error)
    }
}

pub(super) fn pipe(rig: &str, doing: &'static str, source: io::Error) -> ProcessError {
    ProcessError::Pipe {
        rig: rig.to_owned(),
        doing,
        source,
    }
}
