//! An arm that is driven a little, with a person beside it: set points a control period, and what comes back.

pub(crate) mod small;

use std::sync::atomic::Ordering;

use devices::{Arm, Opening};
use robot::device::{ArmReport, ArmState, DeviceInfo, JointBus, LinkError, Signals};
use robot::{Clock, Config, JointVec};

use super::Examination;
use super::rig::Bounds;
use crate::e_stop::{self, Watch};

/// How long the link is left alone between two looks, in nanoseconds.
const LOOK_EVERY_NS: u64 = 1_000_000;

/// Periods in a row without a report after which the arm is stopped.
const SILENT_PERIODS: u32 = 3;

/// Why nothing more can be checked.
#[derive(Debug)]
pub(crate) struct Trouble {
    /// The check in which it showed.
    pub(crate) name: &'static str,
    pub(crate) seen: String,
    pub(crate) remedy: String,
}

impl Trouble {
    pub(crate) fn new(name: &'static str, seen: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            name,
            seen: seen.into(),
            remedy: remedy.into(),
        }
    }

    pub(crate) fn of(name: &'static str, error: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(name, robot::complaint(error), "")
    }
}

/// An open arm.
pub(crate) struct Drive<'a> {
    pub(crate) bus: Box<dyn JointBus>,
    pub(crate) config: &'a Config,
    pub(crate) bounds: &'a Bounds,
    pub(crate) clock: &'a dyn Clock,
    /// What a person asks for meanwhile.
    pub(crate) signals: &'a Signals,
    /// The newest report.
    pub(crate) report: ArmReport,
    /// Reports so far.
    pub(crate) reports: u64,
    /// Periods in a row without one.
    silent: u32,
    /// Where the arm is asked to be.
    pub(crate) goal_rad: JointVec,
}

impl<'a> Drive<'a> {
    /// Opens the arm. Nothing moves. `watch` has the way to it from here on, and leaves it when it gets another.
    pub(crate) fn open(
        config: &'a Config,
        bounds: &'a Bounds,
        arm: &mut Arm,
        clock: &'a dyn Clock,
        signals: &'a Signals,
        watch: &mut Watch,
    ) -> Result<Self, Trouble> {
        let opening = Opening { config, signals };
        let bus = e_stop::open(watch, arm, &opening).map_err(|error| Trouble::of("arm.open", &error))?;
        Ok(Self {
            bus,
            config,
            bounds,
            clock,
            signals,
            report: ArmReport::default(),
            reports: 0,
            silent: 0,
            goal_rad: JointVec::new(),
        })
    }

    /// Shakes hands, and leads the arm to where it is, so that it holds itself there.
    pub(crate) fn begin(&mut self, examination: &mut Examination<'_>) -> Result<(), Trouble> {
        let info = self.shake_hands()?;
        let [major, minor, patch] = info.firmware_version;
        examination.ok(
            "arm.handshake",
            self.bus.port(),
            format!(
                "protocol {}, firmware {major}.{minor}.{patch}, {} joints",
                info.protocol_version, info.joints
            ),
        );
        if self.report.state == ArmState::EStopped {
            return Err(Trouble::new(
                "arm.state",
                "the emergency stop is latched",
                "armillary clear-e-stop",
            ));
        }
        self.activate()
    }

    /// A handshake, and the report that follows it.
    pub(crate) fn shake_hands(&mut self) -> Result<DeviceInfo, Trouble> {
        const NAME: &str = "arm.handshake";
        self.heed()?;
        let info = match self.bus.handshake() {
            Ok(info) => info,
            Err(error) => {
                // A person may have asked for a stop meanwhile.
                self.heed()?;
                return Err(Trouble::of(NAME, &error));
            }
        };
        // What came before is of the time before.
        self.look(NAME)?;
        let reports = self.reports;
        self.wait(NAME, "a report", |drive| drive.reports > reports)?;
        Ok(info)
    }

    /// Has the arm hold where it is now, and follow.
    pub(crate) fn activate(&mut self) -> Result<(), Trouble> {
        const NAME: &str = "arm.begins";
        if !matches!(self.report.state, ArmState::Active | ArmState::Idle) {
            // An arm that was stopped moves again only in a new session.
            self.shake_hands()?;
        }
        let joints = self.config.envelope.joints();
        let within = self.report.position_rad.iter().zip(joints);
        self.goal_rad = within
            .map(|(position, joint)| position.clamp(joint.position_min_rad, joint.position_max_rad))
            .collect();
        let end_ns = self.end_ns();
        while self.clock.now_ns() < end_ns {
            self.period(NAME)?;
            if self.report.state == ArmState::Active {
                return Ok(());
            }
        }
        Err(Trouble::new(
            NAME,
            format!(
                "the arm does not follow a set point at the place where it is; it reports {:?}",
                self.report.state
            ),
            "move it by hand to within its `position_rad`, and release its emergency stop",
        ))
    }

    /// One control period: the goal goes out, and reports are taken until its end.
    pub(crate) fn period(&mut self, name: &'static str) -> Result<(), Trouble> {
        self.heed()?;
        let period_us = (1e6 * self.config.period_s) as u32;
        match self
            .bus
            .send_set_point(&self.goal_rad, period_us, period_us + period_us / 2)
        {
            // The arm is behind: the next period tells.
            Ok(_) | Err(LinkError::InFlight { .. }) => {}
            // A person has asked for it in this moment.
            Err(LinkError::EStopped { .. }) => self.heed()?,
            Err(error) => return Err(Trouble::of(name, &error)),
        }
        let reports = self.reports;
        let end_ns = self.clock.now_ns() + u64::from(period_us) * 1_000;
        while self.clock.now_ns() < end_ns {
            self.look(name)?;
            self.clock.sleep_until_ns(self.clock.now_ns() + LOOK_EVERY_NS);
        }
        self.silent = if self.reports > reports {
            0
        } else {
            self.silent + 1
        };
        if self.silent >= SILENT_PERIODS {
            self.bus.send_stop().map_err(|error| Trouble::of(name, &error))?;
            return Err(Trouble::new(
                name,
                format!("no report of the arm for {SILENT_PERIODS} periods: it was told to stop"),
                "check the arm's power and its cable",
            ));
        }
        Ok(())
    }

    /// Takes what has come. Stops the arm if a person has asked for it.
    pub(crate) fn look(&mut self, name: &'static str) -> Result<(), Trouble> {
        self.heed()?;
        if let Some(report) = self.bus.poll().map_err(|error| Trouble::of(name, &error))? {
            self.report = report;
            self.reports += 1;
        }
        Ok(())
    }

    /// Ends the suite if a person has asked for a stop. The emergency stop is pressed by its own thread.
    fn heed(&mut self) -> Result<(), Trouble> {
        const NAME: &str = "arm.interrupted";
        if self.signals.e_stop.load(Ordering::SeqCst) {
            return Err(Trouble::new(NAME, "emergency stop", "support the arm"));
        }
        if self.signals.stop.load(Ordering::SeqCst) {
            self.bus.send_stop().map_err(|error| Trouble::of(NAME, &error))?;
            return Err(Trouble::new(
                NAME,
                "interrupted: the arm was told to stop",
                "start the suite again",
            ));
        }
        Ok(())
    }

    /// Takes what comes, and sends nothing, until `is_so`.
    pub(crate) fn wait(
        &mut self,
        name: &'static str,
        what: &str,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<(), Trouble> {
        let end_ns = self.end_ns();
        loop {
            self.look(name)?;
            if is_so(self) {
                return Ok(());
            }
            if self.clock.now_ns() >= end_ns {
                return Err(Trouble::new(
                    name,
                    format!(
                        "no {what} within {} s; the arm reports {:?}",
                        self.bounds.answer_max_s, self.report.state
                    ),
                    "check the arm's power and its cable",
                ));
            }
            self.clock.sleep_until_ns(self.clock.now_ns() + LOOK_EVERY_NS);
        }
    }

    /// Takes what comes, and sends nothing, for `seconds`.
    pub(crate) fn listen(&mut self, name: &'static str, seconds: f32) -> Result<(), Trouble> {
        let end_ns = self.clock.now_ns() + (1e9 * seconds) as u64;
        while self.clock.now_ns() < end_ns {
            self.look(name)?;
            self.clock.sleep_until_ns(self.clock.now_ns() + LOOK_EVERY_NS);
        }
        Ok(())
    }

    fn end_ns(&self) -> u64 {
        self.clock.now_ns() + (1e9 * self.bounds.answer_max_s) as u64
    }
}
