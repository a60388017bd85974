//! What a recorded robot believed: the filter run again over the frames and actions of a log, whoever chose these.

use std::path::Path;

use robot::config::Pipeline;
use robot::{Config, SetPoint, SystemClock, joint};
use world_model::{Belief, Bundle};

use crate::capture::Captured;
use crate::filter::BeliefFilter;
use crate::replay::{ReplayError, attachment};
use crate::session::pipeline_name;

/// A moment at which a planner is asked.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The belief that a plan starts from.
    pub belief: Belief,
    /// Where the arm is then led.
    pub from: SetPoint,
}

/// The situations of an episode, in order, as this bundle sees them.
///
/// # Errors
/// [`ReplayError`] if the log cannot be read, or is of a robot that the bundle does not fit.
pub fn of_log(path: &Path, bundle: &Bundle) -> Result<Vec<Situation>, ReplayError> {
    let log = episode::read_episode(path)?;
    let text = attachment(&log, "robot.ron").ok_or_else(|| ReplayError::Unusable {
        path: path.to_owned(),
        problem: "holds no robot file".to_owned(),
    })?;
    let config = Config::parse(path, text)?;
    bundle.check_robot(&config)?;
    let next_tick = log.info.pipeline != pipeline_name(Pipeline::Immediate);
    let mut filter = BeliefFilter::new(bundle)?;
    let mut encoder = bundle.encoder()?;
    let mut held = Captured {
        embedding: vec![0.0; bundle.image_embedding()],
        ..Captured::default()
    };
    let clock = SystemClock::default();
    let mut sent = joint::zeros(config.joint_count());
    let mut from: Option<SetPoint> = None;
    let mut expected = 0;
    // Where the first command holds it, or it stood.
    let start = log
        .ticks
        .first()
        .map(|row| match next_tick {
            true => row.actuate.set_point_rad.clone(),
            false => row.capture.position_rad.clone(),
        })
        .unwrap_or_default();
    let mut situations = Vec::with_capacity(log.ticks.len());
    for (row, frame) in log.ticks.iter().zip(&log.frames).take(log.intact) {
        // As the controller does: periods without a tick end a move, and hold.
        for _ in expected..row.tick {
            filter.advance(&sent);
            let holds = from.as_ref().map_or(&start, |from| &from.position_rad);
            sent = config.envelope.standing_action(holds);
        }
        expected = row.tick + 1;
        // An arm that stopped by itself, or refused a command, is picked up where it holds.
        let holds = &row.capture.arm_set_point_rad;
        if row.tick > 0 && row.capture.arm_disobeyed() && holds.len() == sent.len() {
            sent = config.envelope.standing_action(holds);
            from = Some(SetPoint::at_rest(holds.clone()));
        }
        let fresh = row.capture.fresh && frame.is_some();
        if let Some(frame) = frame.as_ref().filter(|_| fresh) {
            held.frame.copy_from(frame);
            crate::encode::embed(Some(&mut encoder), &mut held, &clock);
        }
        (held.joints, held.arm) = (row.capture.joints(), row.capture.arm);
        filter.update(&sent, &held, fresh);
        let begins = from.unwrap_or_else(|| SetPoint::at_rest(row.actuate.set_point_rad.clone()));
        let after = if row.actuate.sent {
            SetPoint {
                position_rad: row.actuate.set_point_rad.clone(),
                ..config.envelope.clamp(&begins, &row.actuate.action).set_point
            }
        } else {
            SetPoint::at_rest(row.actuate.set_point_rad.clone())
        };
        sent.clone_from(&row.actuate.action);
        situations.push(if next_tick {
            Situation {
                belief: filter.predict(&sent).clone(),
                from: after.clone(),
            }
        } else {
            Situation {
                belief: filter.belief().clone(),
                from: begins,
            }
        });
        from = Some(after);
    }
    Ok(situations)
}
