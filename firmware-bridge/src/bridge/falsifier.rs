//! What is wrong with the telemetry of a simulated arm.

use crate::faults::Fault;
use crate::wire::{ArmToHost, Decoder, JointVec, MAX_FRAME_BYTES, MAX_JOINTS, Telemetry, encode};

/// Does to telemetry what is wrong with it. Make another one when something else goes wrong.
#[derive(Debug, Default)]
pub(super) struct Falsifier {
    /// Telemetry as it was when the fault began.
    first: Option<Telemetry>,
}

impl Falsifier {
    /// Telemetry as `wrong` makes it; `None` for other messages.
    pub(super) fn falsified(&mut self, wrong: &[Fault], frame: &[u8]) -> Option<Vec<u8>> {
        let mut decoder = Decoder::<ArmToHost>::default();
        let ArmToHost::Telemetry(mut telemetry) = frame.iter().find_map(|byte| decoder.push(*byte))? else {
            return None;
        };
        let first = self.first.get_or_insert_with(|| telemetry.clone());
        for fault in wrong {
            falsify(&mut telemetry, first, *fault);
        }
        let mut buffer = [0; MAX_FRAME_BYTES];
        encode(&ArmToHost::Telemetry(telemetry), &mut buffer)
            .ok()
            .map(<[u8]>::to_vec)
    }
}

/// Does one fault to `telemetry`. `first` is what it was when the fault began.
fn falsify(telemetry: &mut Telemetry, first: &Telemetry, fault: Fault) {
    match fault {
        Fault::TelemetryFrozen => *telemetry = first.clone(),
        Fault::TelemetryJoints { count } => {
            let of = |values: &JointVec| -> JointVec {
                (0..usize::from(count).min(MAX_JOINTS))
                    .map(|joint| values.get(joint).copied().unwrap_or(0.0))
                    .collect()
            };
            telemetry.position_rad = of(&telemetry.position_rad);
            telemetry.velocity_rad_s = of(&telemetry.velocity_rad_s);
            telemetry.set_point_rad = of(&telemetry.set_point_rad);
        }
        Fault::TelemetryNan => telemetry.position_rad.iter_mut().for_each(|rad| *rad = f32::NAN),
        Fault::TelemetryJump { by_rad } => {
            if let Some(rad) = telemetry.position_rad.first_mut() {
                *rad += by_rad;
            }
        }
        Fault::TelemetrySequenceStuck => telemetry.telemetry_seq = first.telemetry_seq,
        Fault::TelemetryEchoStuck => telemetry.host_time_echo_us = first.host_time_echo_us,
        Fault::TelemetryClockStuck => telemetry.device_time_us = first.device_time_us,
        Fault::TelemetryClockJump { by_s } => {
            let by_us = (by_s * 1e6) as i64;
            telemetry.device_time_us = telemetry.device_time_us.saturating_add_signed(by_us);
            telemetry.echo_received_us = telemetry.echo_received_us.saturating_add_signed(by_us);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{FirmwareState, StopReason};

    fn telemetry(number: u32) -> Telemetry {
        let joints = || [0.1, 0.2].into_iter().collect::<JointVec>();
        Telemetry {
            host_time_echo_us: u64::from(number) * 100,
            echo_received_us: u64::from(number) * 100,
            device_time_us: u64::from(number) * 100,
            last_command_seq: 0,
            received_seq: 0,
            state: FirmwareState::Active,
            stop_reason: StopReason::None,
            position_rad: joints(),
            velocity_rad_s: joints(),
            set_point_rad: joints(),
            rejected_sequence: 0,
            rejected_age: 0,
            rejected_content: 0,
            rejected_state: 0,
            clamped: 0,
            bad_frames: 0,
            session_nonce: 1,
            telemetry_seq: number,
            rejected_session: 0,
            rejected_validity: 0,
        }
    }

    /// The second telemetry message after the fault began.
    fn second(fault: Fault) -> Telemetry {
        let mut falsifier = Falsifier::default();
        let mut told = Vec::new();
        for number in 1..=2 {
            let mut buffer = [0; MAX_FRAME_BYTES];
            let frame = encode(&ArmToHost::Telemetry(telemetry(number)), &mut buffer).expect("fits");
            told = falsifier.falsified(&[fault], frame).expect("telemetry");
        }
        let mut decoder = Decoder::<ArmToHost>::default();
        match told.iter().find_map(|byte| decoder.push(*byte)) {
            Some(ArmToHost::Telemetry(telemetry)) => telemetry,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn telemetry_lies_as_it_is_told_to() {
        let sound = telemetry(2);
        assert_eq!(second(Fault::TelemetryFrozen), telemetry(1));
        assert_eq!(
            second(Fault::TelemetryJoints { count: 0 }).position_rad,
            JointVec::new()
        );
        assert_eq!(second(Fault::TelemetryJoints { count: 8 }).set_point_rad.len(), 8);
        assert!(
            second(Fault::TelemetryNan)
                .position_rad
                .iter()
                .all(|rad| rad.is_nan())
        );
        let jumped = second(Fault::TelemetryJump { by_rad: 0.5 });
        assert_eq!(jumped.position_rad[0], sound.position_rad[0] + 0.5);
        assert_eq!(jumped.position_rad[1], sound.position_rad[1]);
        let stuck = second(Fault::TelemetrySequenceStuck);
        assert_eq!((stuck.telemetry_seq, stuck.device_time_us), (1, 200));
        assert_eq!(second(Fault::TelemetryEchoStuck).host_time_echo_us, 100);
        assert_eq!(second(Fault::TelemetryClockStuck).device_time_us, 100);
        let jumped = second(Fault::TelemetryClockJump { by_s: 10.0 });
        assert_eq!(jumped.device_time_us, 10_000_200);
        let back = second(Fault::TelemetryClockJump { by_s: -10.0 });
        assert_eq!(back.device_time_us, 0);
        assert_eq!(second(Fault::CameraBlack), sound);
    }
}
