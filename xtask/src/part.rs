//! The parts that keep an arm safe, and the tests that must notice what is wrong with them.

use clap::ValueEnum;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// The firmware core and the codec of the wire.
    Firmware,
    /// The guard.
    Guard,
    /// The ways of the emergency stop to an arm.
    Line,
    /// The emergency stop's thread and its socket, which are tested with the whole program.
    EStop,
}

/// Where a part is.
pub(crate) struct Scope {
    /// Sources, as patterns.
    pub(crate) sources: &'static [&'static str],
    /// The package that has the tests.
    pub(crate) package: &'static str,
    /// Its program of tests.
    pub(crate) test: &'static str,
    /// What the names of the tests contain that look at this part; all of them if empty.
    pub(crate) names: &'static str,
    /// Seconds after which these tests hang, which is noticed: much more than they take where nothing is wrong.
    pub(crate) patience_s: u32,
}

impl Scope {
    /// Whether a source is of this part.
    pub(crate) fn has(&self, source: &str) -> bool {
        self.sources.iter().any(|pattern| match pattern.split_once('*') {
            None => source == *pattern,
            Some((folder, end)) => source
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_suffix(end))
                .is_some_and(|name| !name.contains('/')),
        })
    }
}

impl Part {
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub(crate) fn scope(self) -> Scope {
        match self {
            Self::Firmware => Scope {
                sources: &[
                    "firmware-bridge/src/firmware.rs",
                    "firmware-bridge/src/firmware/*.rs",
                    "firmware-bridge/src/wire.rs",
                    "firmware-bridge/src/wire/*.rs",
                ],
                package: "armillary-firmware-bridge",
                test: "suite",
                names: "",
                patience_s: 30,
            },
            Self::Guard => Scope {
                sources: &["guard/src/*.rs"],
                package: "armillary-guard",
                test: "guard",
                names: "",
                patience_s: 30,
            },
            Self::Line => Scope {
                sources: &[
                    "robot/src/device/e_stop.rs",
                    "devices/src/link/e_stop.rs",
                    "devices/src/hosted/e_stop.rs",
                ],
                package: "armillary-devices",
                test: "suite",
                names: "emergency_stop",
                patience_s: 30,
            },
            Self::EStop => Scope {
                sources: &["armillary/src/e_stop.rs", "armillary/src/e_stop/*.rs"],
                package: "armillary",
                test: "e_stop",
                names: "",
                // Where nothing is wrong they take 7 s, and 20 s on a busy machine.
                patience_s: 60,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_of_one_folder() {
        let scope = Part::Firmware.scope();
        for (source, is_there) in [
            ("firmware-bridge/src/firmware.rs", true),
            ("firmware-bridge/src/wire/cobs.rs", true),
            ("firmware-bridge/src/wire/more/cobs.rs", false),
            ("firmware-bridge/src/bridge.rs", false),
        ] {
            assert_eq!(scope.has(source), is_there, "{source}");
        }
    }
}
