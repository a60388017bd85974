//! The joints of a recorded log in the place of an arm. It lets the whole loop run without anything that moves: what the arm reports is
//! what another arm once reported, whatever it is told.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use episode::Episode;
use firmware_bridge::wire::PROTOCOL_VERSION;
use robot::device::e_stop::Pressed;
use robot::device::{ArmReport, ArmState, DeviceError, DeviceInfo, EStopLine, JointBus, LinkError, Stopped};
use robot::{Clock, Config, JointVec, MonotonicNs, SystemClock, joint};

use crate::arms::{ArmSettings, Opening};

/// Share of a control period by which that of a log may differ from the robot's.
const PERIOD_TOLERANCE: f64 = 1e-3;

/// The joints of a log: `playback(log: "runs/x/episode-000000.mcap")`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The log, as `armillary record` or `armillary run` wrote it. Of a damaged one, what is before the damage is played.
    pub log: PathBuf,
}

impl ArmSettings for Settings {
    fn open(&self, opening: &Opening<'_>) -> Result<Box<dyn JointBus>, DeviceError> {
        let arm = PlaybackArm::open(&self.log, opening.config, Arc::new(SystemClock::default()))?;
        Ok(Box::new(arm))
    }

    /// Refused: somebody who asks for it here means another arm, one that moves.
    fn e_stop(&self, config: &Config) -> Result<Stopped, DeviceError> {
        Err(DeviceError::new(format!(
            "the arm of robot `{}` is the playback of {}, which moves nothing; give the robot file of the arm that moves",
            config.name,
            self.log.display()
        )))
    }
}

/// An arm that reports the joints of a log, a row a control period.
///
/// It rests in the first row until the first set point comes, and begins with the first row again after each handshake. A stop halts it
/// in the row that it is in, and the next set point lets it go on from there. After a release only a handshake does, and after an
/// emergency stop only a clearance and a handshake. Set points are accepted and change nothing else. There are no limits and there is
/// no watchdog.
///
/// Each poll has a report: that of the row whose edge is nearest. A loop that is late or early by less than half a period so gets each
/// row once. Where the log skipped edges, the row before them stays.
pub struct PlaybackArm {
    name: String,
    rows: Vec<Row>,
    period_ns: u64,
    clock: Arc<dyn Clock>,
    state: ArmState,
    session: bool,
    refused: bool,
    seq: u32,
    /// When the last set point came that let the arm go on, and the edge of the row that it was in.
    begun: (MonotonicNs, u64),
    /// The row that was reported last.
    at: usize,
}

/// What the arm of the log reported at an edge.
#[derive(Debug, Clone)]
struct Row {
    /// Edges since the first row.
    edge: u64,
    position_rad: JointVec,
    velocity_rad_s: JointVec,
    set_point_rad: JointVec,
}

impl PlaybackArm {
    /// Reads the log `path` for the robot `config`. `clock` tells which row is due.
    ///
    /// # Errors
    /// [`DeviceError`], naming the log: one that cannot be read, has another number of joints or another control period than the robot,
    /// or has no row with measured joints.
    pub fn open(path: &Path, config: &Config, clock: Arc<dyn Clock>) -> Result<Self, DeviceError> {
        let name = path.display().to_string();
        let episode = episode::read_episode(path).map_err(DeviceError::new)?;
        check(&episode, config).map_err(|problem| DeviceError::new(format!("{name}: {problem}")))?;
        if let Some(problem) = &episode.problem {
            log::warn!("{name}: {problem}; the rows before that are played");
        }
        let rows = rows(&episode);
        if rows.is_empty() {
            return Err(DeviceError::new(format!(
                "{name}: no row of the log has measured joints; write another log into field `arm.log`"
            )));
        }
        Ok(Self {
            name,
            rows,
            period_ns: (f64::from(config.period_s) * 1e9).round() as u64,
            clock,
            state: ArmState::Idle,
            session: false,
            refused: false,
            seq: 0,
            begun: (0, 0),
            at: 0,
        })
    }

    /// The edge that is nearest now, counted from the first row.
    fn edge(&self) -> u64 {
        let (begun_ns, edge) = self.begun;
        edge + (self.clock.now_ns().saturating_sub(begun_ns) + self.period_ns / 2) / self.period_ns
    }

    /// Goes on to the row that is due, if the arm plays.
    fn go_on(&mut self) {
        if self.state != ArmState::Active {
            return;
        }
        let edge = self.edge();
        while self.rows.get(self.at + 1).is_some_and(|next| next.edge <= edge) {
            self.at += 1;
        }
    }

    /// Stops in the row that is due, without a way there: nothing moves.
    fn stop(&mut self, state: ArmState) {
        self.go_on();
        self.state = state;
    }
}

/// The emergency stop of an arm that has no motors.
struct NothingMoves(String);

impl EStopLine for NothingMoves {
    fn port(&self) -> &str {
        &self.0
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }

    fn press(&mut self, _wait: Duration) -> Result<Pressed, LinkError> {
        Ok(Pressed::Confirmed(Stopped::LetGo))
    }
}

impl JointBus for PlaybackArm {
    fn port(&self) -> &str {
        &self.name
    }

    fn e_stop_line(&self) -> Result<Option<Box<dyn EStopLine>>, LinkError> {
        Ok(Some(Box::new(NothingMoves(self.port().to_owned()))))
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        if self.state != ArmState::EStopped {
            self.state = ArmState::Idle;
        }
        (self.session, self.refused, self.at) = (true, false, 0);
        Ok(DeviceInfo {
            protocol_version: PROTOCOL_VERSION,
            joints: self.rows[0].position_rad.len(),
            firmware_version: [0; 3],
            round_trip_us: 0,
            clock_offset_us: 0,
            serial_number: String::new(),
            boot_id: 0,
        })
    }

    fn send_set_point(
        &mut self,
        set_point_rad: &[f32],
        _move_time_us: u32,
        _valid_for_us: u32,
    ) -> Result<u32, LinkError> {
        if !self.session {
            return Err(LinkError::NoSession {
                port: self.name.clone(),
            });
        }
        let joints = self.rows[0].position_rad.len();
        if set_point_rad.len() != joints {
            return Err(LinkError::JointCountMismatch {
                port: self.name.clone(),
                expected: set_point_rad.len(),
                reported: joints,
            });
        }
        self.seq = self.seq.wrapping_add(1);
        self.refused = !matches!(self.state, ArmState::Idle | ArmState::Active | ArmState::Held);
        if matches!(self.state, ArmState::Idle | ArmState::Held) {
            self.state = ArmState::Active;
            self.begun = (self.clock.now_ns(), self.rows[self.at].edge);
        }
        Ok(self.seq)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        if self.state == ArmState::Active {
            self.stop(ArmState::Held);
        }
        Ok(())
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        if matches!(self.state, ArmState::Active | ArmState::Held) {
            self.stop(ArmState::Released);
        }
        Ok(())
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.stop(ArmState::EStopped);
        Ok(())
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        if self.state == ArmState::EStopped {
            self.state = ArmState::Idle;
            self.session = false;
        }
        Ok(())
    }

    fn is_led(&self) -> bool {
        false
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        self.go_on();
        let row = &self.rows[self.at];
        let active = self.state == ArmState::Active;
        if active && self.at + 1 == self.rows.len() && self.edge() > row.edge {
            return Err(LinkError::Lost {
                port: self.name.clone(),
                problem: format!(
                    "the log has ended after its {} rows; ask for fewer control periods, or write a longer log into field `arm.log`",
                    self.rows.len()
                ),
            });
        }
        let mut report = ArmReport {
            state: self.state,
            refused: self.refused,
            position_rad: row.position_rad.clone(),
            velocity_rad_s: row.velocity_rad_s.clone(),
            set_point_rad: row.set_point_rad.clone(),
        };
        if !active {
            // It stands where it was measured.
            report.velocity_rad_s = joint::zeros(row.position_rad.len());
            report.set_point_rad.clone_from(&row.position_rad);
        }
        Ok(Some(report))
    }
}

/// What of a log does not fit the robot, and the remedy.
fn check(episode: &Episode, config: &Config) -> Result<(), String> {
    let (info, name) = (&episode.info, &config.name);
    let (found, expected) = (info.joint_names.len(), config.joint_count());
    if found != expected {
        return Err(format!(
            "is the log of an arm of {found} joints, and robot `{name}` has {expected}; write a log of this robot into field `arm.log`"
        ));
    }
    let (found_s, expected_s) = (f64::from(info.period_s), f64::from(config.period_s));
    if (found_s - expected_s).abs() > PERIOD_TOLERANCE * expected_s {
        return Err(format!(
            "is a log of control periods of {} s, and field `period_s` of robot `{name}` says {}; write a log of this robot into field \
             `arm.log`",
            info.period_s, config.period_s
        ));
    }
    Ok(())
}

/// The rows before any damage that have measured joints.
fn rows(episode: &Episode) -> Vec<Row> {
    let joints = episode.info.joint_names.len();
    // A row may lack any of them: not all data of others has velocities, and an arm may have been silent.
    let sound = |values: &JointVec| values.len() == joints && values.iter().all(|value| value.is_finite());
    let mut first = None;
    let intact = episode.ticks.iter().take(episode.intact);
    intact
        .filter(|tick| sound(&tick.capture.position_rad))
        .map(|tick| {
            let (measured, number) = (&tick.capture, u64::from(tick.tick));
            let or = |values: &JointVec, otherwise: &JointVec| {
                if sound(values) {
                    values.clone()
                } else {
                    otherwise.clone()
                }
            };
            Row {
                edge: number - *first.get_or_insert(number),
                position_rad: measured.position_rad.clone(),
                velocity_rad_s: or(&measured.velocity_rad_s, &joint::zeros(joints)),
                set_point_rad: or(&measured.arm_set_point_rad, &measured.position_rad),
            }
        })
        .collect()
}
