//! What a recorded robot believed: the filter run again over the frames and actions of a log, whoever chose these.

use std::path::Path;

use episode::{Episode, FilterRow, TickRecord};
use robot::config::Pipeline;
use robot::{Config, Frame, JointVec, SetPoint};
use world_model::{Belief, Bundle, Encoder};

use crate::capture::Captured;
use crate::course::Course;
use crate::filter::BeliefFilter;
use crate::replay::{ReplayError, recorded_config, start};

/// A moment at which a planner is asked.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The belief that a plan starts from.
    pub belief: Belief,
    /// Where the arm is then led.
    pub from: SetPoint,
}

/// A control period as the filter went through it.
#[derive(Debug, Clone)]
pub struct Period {
    /// The action that led into it.
    pub action: JointVec,
    /// What was believed in it.
    pub belief: Belief,
}

/// The filter, going through a log as the controller went through the episode.
#[derive(Debug)]
pub struct Recollection {
    config: Config,
    next_tick: bool,
    filter: BeliefFilter,
    encoder: Encoder,
    held: Captured,
    course: Course,
}

impl Recollection {
    /// Before the first row of `log`, which lies at `path`.
    ///
    /// # Errors
    /// [`ReplayError`] if the log is of a robot that the bundle does not fit.
    pub fn of(path: &Path, log: &Episode, bundle: &Bundle) -> Result<Self, ReplayError> {
        let config = recorded_config(path, log)?;
        bundle.check_robot(&config)?;
        let next_tick = log.info.pipeline != Pipeline::Immediate.name();
        // Where the first command holds it, or it stood.
        let first = log.ticks.first();
        let start = first.map(|row| start(log, row, next_tick)).transpose()?;
        let start = start.cloned().unwrap_or_default();
        Ok(Self {
            next_tick,
            filter: BeliefFilter::new(bundle, config.camera_delay_ticks())?,
            encoder: bundle.encoder()?,
            held: Captured::sized(config.frame_side, bundle.image_embedding()),
            course: Course::from_rest(start),
            config,
        })
    }

    /// Goes on to `row`, through periods without one. `each` hears of every period, in order. What the filter found in this one.
    pub fn see(
        &mut self,
        row: &TickRecord,
        frame: Option<&Frame>,
        each: &mut dyn FnMut(Period),
    ) -> FilterRow {
        let (envelope, filter) = (&self.config.envelope, &mut self.filter);
        self.course.skip_to(row.tick, envelope, |action| {
            filter.advance(action);
            each(period(action, filter));
        });
        let capture = &row.capture;
        self.course.resume(
            row.tick,
            capture.arm_disobeyed(),
            &capture.arm_set_point_rad,
            envelope,
        );
        let fresh = row.capture.fresh && frame.is_some();
        if let Some(frame) = frame.filter(|_| fresh) {
            self.held.frame.copy_from(frame);
            self.encoder.encode(frame, &mut self.held.embedding);
        }
        (self.held.joints, self.held.arm) = (row.capture.joints(), row.capture.arm);
        let found = self.filter.update(self.course.action(), &self.held, fresh);
        each(period(self.course.action(), &self.filter));
        found
    }

    /// The newest frame.
    pub fn frame(&self) -> &Frame {
        &self.held.frame
    }

    /// Carries out what `row`, which it has seen, decided. What a planner was asked then.
    pub fn carry_out(&mut self, row: &TickRecord) -> Situation {
        let begins = self.course.set_point().clone();
        let after = if row.actuate.sent {
            SetPoint {
                position_rad: row.actuate.set_point_rad.clone(),
                ..self.config.envelope.clamp(&begins, &row.actuate.action).set_point
            }
        } else {
            SetPoint::at_rest(row.actuate.set_point_rad.clone())
        };
        // The row also holds the standing action when no command was sent.
        self.course.send(&row.actuate.action, &after);
        if self.next_tick {
            Situation {
                belief: self.filter.predict(self.course.action()).clone(),
                from: after,
            }
        } else {
            Situation {
                belief: self.filter.belief().clone(),
                from: begins,
            }
        }
    }
}

fn period(action: &JointVec, filter: &BeliefFilter) -> Period {
    Period {
        action: action.clone(),
        belief: filter.belief().clone(),
    }
}

/// The situations of an episode, in order, as this bundle sees them.
///
/// # Errors
/// [`ReplayError`] if the log cannot be read, or is of a robot that the bundle does not fit.
pub fn of_log(path: &Path, bundle: &Bundle) -> Result<Vec<Situation>, ReplayError> {
    let log = episode::read_episode(path)?;
    if let Some(problem) = &log.problem {
        log::warn!(
            "{}: only its first {} ticks: {problem}",
            path.display(),
            log.intact
        );
    }
    let mut recollection = Recollection::of(path, &log, bundle)?;
    let rows = log.ticks.iter().zip(&log.frames).take(log.intact);
    Ok(rows
        .map(|(row, frame)| {
            recollection.see(row, frame.as_ref(), &mut |_| {});
            recollection.carry_out(row)
        })
        .collect())
}
