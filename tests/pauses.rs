//! This program stands still for so long that the arm's own watchdog stops the arm. Nothing moves again by itself, and the episode has failed.

use armillary::simulation;
use controller::capture::Sight;
use controller::live;
use controller::lockstep::Labels;
use controller::replay::{Computed, replay};
use controller::session::PolicyChoice;
use devices::SerialLink;
use episode::Reason;
use robot::config::Pipeline;
use robot::device::{ArmReport, ArmState, JointBus, LinkError, Overdue, Signals};

use crate::live::{bridge, connect};
use crate::tapped::{Tap, Tapped};

/// Once five commands have left, nothing is heard until the arm says that it holds: so long does the whole program stand still.
#[derive(Default)]
struct Pause {
    commands: u32,
    held: bool,
    /// Commands that left after the pause.
    after: u32,
}

impl Tap<SerialLink> for Pause {
    fn before_set_point(&mut self, _: &mut SerialLink) -> Result<(), LinkError> {
        self.commands += 1;
        self.after += u32::from(self.held);
        Ok(())
    }

    fn poll(&mut self, bus: &mut SerialLink) -> Result<Option<ArmReport>, LinkError> {
        loop {
            let heard = bus.poll()?;
            let state = heard.as_ref().map(|report| report.state);
            self.held |= self.commands >= 5 && state == Some(ArmState::Held);
            if self.held || (self.commands < 5 && heard.is_some()) {
                return Ok(heard);
            }
            bus.wait(10_000)?;
        }
    }

    fn overdue(&self, _: &SerialLink) -> Option<Overdue> {
        None
    }
}

#[test]
fn an_arm_that_its_watchdog_stopped_is_not_led_on_and_its_episode_has_failed() {
    // In the middle of the episode, and across its end: its watchdog waits for two and a half periods.
    for ticks in [100, 7] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let text = std::fs::read_to_string(crate::root().join("configs/sim-planar.ron")).expect("robot file");
        let text = text.replace("max_age_s: 0.08, gap_ticks: 5", "max_age_s: 10.0, gap_ticks: 100");
        let robot = dir.path().join("robot.ron");
        std::fs::write(&robot, text).expect("writes");
        let session = simulation::session(&robot, None, PolicyChoice::Random, Some(Pipeline::NextTick))
            .expect("a sound robot file");
        let _bridge = bridge(&session, dir.path());
        let (link, camera) = connect(&session, dir.path());
        let mut bus = Tapped {
            bus: link,
            tap: Pause::default(),
        };
        let (mut controller, encoder) = session.live_controller().expect("controller");
        let log = dir.path().join("episode.mcap");
        let labels = Labels {
            log: &log,
            info: session.info(&controller, 5, 1),
            attachments: &session.attachments(),
        };
        let (camera, task) = camera.split();
        let task: Box<dyn robot::device::Task> = Box::new(task);
        let sight = Sight::new(&session.config, Box::new(camera), Some(task), encoder, None).expect("a view");
        let signals = Signals::default();
        let (outcome, _) = live::run(
            &session.config,
            &mut controller,
            &mut bus,
            sight,
            0,
            ticks,
            &labels,
            &signals,
        )
        .expect("the episode is recorded");
        assert_eq!(outcome.stopped, Some(Reason::SelfStopped), "{ticks} ticks");
        assert_eq!(outcome.total_reward, None, "it is scored as nothing");
        assert_eq!(bus.tap.after, 0, "nothing is sent to an arm that was stopped");
        let recorded = episode::read_episode(&log).expect("a log");
        let last = recorded.ticks.last().expect("a tick");
        assert!(recorded.complete && !last.actuate.sent);
        assert_eq!(last.guard.reason, Reason::SelfStopped);
        let replayed = replay(&log, None, Computed::default()).expect("replays");
        assert_eq!(replayed as usize, recorded.ticks.len());
    }
}
