//! What the tick makes of an arm that reports nothing, or nothing sound.

use std::collections::VecDeque;

use controller::capture::Captured;
use controller::listen::Listener;
use robot::device::{ArmReport, ArmState, DeviceInfo, JointBus, LinkError, Overdue, RefusedReports};

/// An arm that reports what it is told to.
#[derive(Default)]
struct Bus {
    reports: VecDeque<ArmReport>,
    refused: RefusedReports,
    overdue: Option<Overdue>,
}

impl JointBus for Bus {
    fn port(&self) -> &str {
        "port"
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        unreachable!("nobody asks for it")
    }

    fn send_set_point(&mut self, _: &[f32], _: u32, _: u32) -> Result<u32, LinkError> {
        unreachable!("nobody asks for it")
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        Ok(self.reports.pop_front())
    }

    fn refused_reports(&self) -> RefusedReports {
        self.refused
    }

    fn overdue(&self) -> Option<Overdue> {
        self.overdue
    }
}

fn report(joints: usize) -> ArmReport {
    let zeros = || std::iter::repeat_n(0.0, joints).collect();
    ArmReport {
        state: ArmState::Active,
        position_rad: zeros(),
        velocity_rad_s: zeros(),
        set_point_rad: zeros(),
        ..ArmReport::default()
    }
}

/// Ticks in a row in which nothing sound is heard, until the arm counts as unheard; `None` if it does not.
fn unheard_in(overdue: Option<Overdue>, joints: usize) -> Option<usize> {
    let (mut listener, mut held) = (Listener::default(), Captured::sized(64, 0));
    let mut bus = Bus {
        reports: [2, joints, joints, joints].map(report).into(),
        overdue,
        ..Bus::default()
    };
    listener.listen(&mut bus, 2, &mut held).expect("a sound report");
    assert_eq!(held.arm, ArmState::Active);
    (1..=5).find(|_| {
        let result = listener.listen(&mut bus, 2, &mut held);
        assert_eq!(held.arm, ArmState::Unheard);
        assert!(
            matches!(result, Ok(()) | Err(LinkError::Unheard { .. })),
            "{result:?}"
        );
        result.is_err()
    })
}

#[test]
fn an_arm_that_is_overdue_is_lost_before_the_third_silent_tick() {
    for joints in [0, 1, 3, 8] {
        // The guard counts ticks; that is not the listener's.
        assert_eq!(unheard_in(None, joints), None);
        // After a pause the first tick may have nothing but old reports.
        assert_eq!(unheard_in(Some(Overdue::Report(250)), joints), Some(2));
        assert_eq!(unheard_in(Some(Overdue::Echo(250)), joints), Some(1));
    }
}

#[test]
fn a_lost_link_says_why_reports_were_refused_since_the_last_one() {
    let (mut listener, mut held) = (Listener::default(), Captured::sized(64, 0));
    let mut bus = Bus {
        reports: [report(2)].into(),
        refused: RefusedReports {
            clock: 3,
            ..RefusedReports::default()
        },
        ..Bus::default()
    };
    listener.listen(&mut bus, 2, &mut held).expect("a sound report");
    assert_eq!(listener.refused(&bus), None, "what was refused before is old");
    (bus.refused.repeated, bus.refused.joints) = (12, 1);
    listener.listen(&mut bus, 2, &mut held).expect("one silent tick");
    assert_eq!(
        listener.refused(&bus).as_deref(),
        Some("the last 13 reports of the arm were refused: 1 with another number of joints, 12 repeated")
    );
}
