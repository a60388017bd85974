//! The board's program in virtual time, with pins that write down what they are told.

use std::cell::RefCell;
use std::rc::Rc;

use board::arm::ARM;
use board::{Arm, Board, Feedback, HobbyServos, Joint, Panel, Servo, ServoPins};
use firmware_bridge::wire::{
    ArmToHost, Command, Decoder, HostToArm, JointVec, MAX_FRAME_BYTES, PROTOCOL_VERSION, encode,
    joint_names_hash,
};
use firmware_bridge::{FirmwareState, JointLimits};

const TICK_US: u64 = 5_000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Pulse(usize, u16),
    Supply(bool),
    Latch(bool),
    Fed,
}

#[derive(Default)]
struct Inside {
    told: Vec<Told>,
    counts: Vec<f32>,
    pressed: bool,
    latched: bool,
}

/// Pins and panel at once; clones are the same.
#[derive(Clone, Default)]
struct Pins(Rc<RefCell<Inside>>);

impl Pins {
    fn take(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.borrow_mut().told)
    }

    fn tell(&self, what: Told) {
        self.0.borrow_mut().told.push(what);
    }
}

impl ServoPins for Pins {
    fn pulse(&mut self, joint: usize, pulse_us: u16) {
        self.tell(Told::Pulse(joint, pulse_us));
    }

    fn supply(&mut self, on: bool) {
        self.tell(Told::Supply(on));
    }

    fn feedback_counts(&mut self, joint: usize) -> f32 {
        self.0.borrow().counts[joint]
    }
}

impl Panel for Pins {
    fn stop_pressed(&mut self) -> bool {
        self.0.borrow().pressed
    }

    fn latched(&mut self) -> bool {
        self.0.borrow().latched
    }

    fn keep_latch(&mut self, latched: bool) {
        self.0.borrow_mut().latched = latched;
        self.tell(Told::Latch(latched));
    }

    fn feed(&mut self) {
        self.tell(Told::Fed);
    }
}

/// Both joints are at 0 rad for 1500 us; the first has a wire with 2000 counts there, the second has none.
const TWO: Arm = Arm {
    joints: &[
        Joint {
            name: "wired",
            limits: LIMITS,
            servo: Servo {
                zero_us: 1500.0,
                us_per_rad: 600.0,
                pulse_min_us: 800.0,
                pulse_max_us: 2200.0,
            },
            feedback: Feedback::Wire {
                zero_counts: 2000.0,
                counts_per_rad: 1000.0,
                counts_min: 500.0,
                counts_max: 3500.0,
            },
        },
        Joint {
            name: "assumed",
            limits: LIMITS,
            servo: Servo {
                zero_us: 1500.0,
                us_per_rad: -600.0,
                pulse_min_us: 800.0,
                pulse_max_us: 2200.0,
            },
            feedback: Feedback::Assumed {
                rest_rad: 0.5,
                speed_rad_s: 2.0,
            },
        },
    ],
    tick_us: TICK_US as u32,
    telemetry_every_ticks: 1,
    watchdog_us: 250_000,
    torque_grace_us: 1_000_000,
    jump_max_rad: 0.25,
    version: [1, 2, 3],
};

const LIMITS: JointLimits = JointLimits {
    position_min_rad: -1.0,
    position_max_rad: 1.0,
    velocity_max_rad_s: 1.0,
    acceleration_max_rad_s2: 10.0,
};

struct Bench {
    board: Board<HobbyServos<Pins>, Pins>,
    pins: Pins,
    now_us: u64,
    seq: u32,
    /// Nonce of the session, and how many there were.
    nonce: u64,
    hellos: u64,
}

impl Bench {
    /// Booted, with the first joint at 0 rad by its wire.
    fn new(latched: bool) -> Self {
        let pins = Pins::default();
        pins.0.borrow_mut().counts = vec![2000.0, f32::NAN];
        pins.0.borrow_mut().latched = latched;
        let servos = HobbyServos::new(pins.clone(), TWO.joints);
        Self {
            board: Board::new(TWO.options("two", 1).unwrap(), servos, pins.clone()),
            pins,
            now_us: 0,
            seq: 0,
            nonce: 0,
            hellos: 0,
        }
    }

    fn say(&mut self, message: &HostToArm) {
        let mut buffer = [0; MAX_FRAME_BYTES];
        let frame = encode(message, &mut buffer).unwrap();
        self.board.on_bytes(self.now_us, frame);
    }

    /// Opens a session; returns what the board says.
    fn hello(&mut self) -> Vec<ArmToHost> {
        self.seq = 0;
        self.hellos += 1;
        self.say(&HostToArm::Hello {
            protocol_version: PROTOCOL_VERSION,
            host_time_us: 0,
            host_nonce: self.hellos,
        });
        let mut decoder = Decoder::<ArmToHost>::default();
        let mut buffer = [0; MAX_FRAME_BYTES];
        let mut messages = Vec::new();
        loop {
            let frame = self.board.transmit(&mut buffer);
            if frame.is_empty() {
                break;
            }
            messages.extend(frame.iter().filter_map(|byte| decoder.push(*byte)));
        }
        let nonce = messages.iter().find_map(|message| match message {
            ArmToHost::HelloAck(ack) => Some(ack.session_nonce),
            _ => None,
        });
        self.nonce = nonce.expect("an answer");
        messages
    }

    fn clear(&mut self) {
        self.say(&HostToArm::ClearEStop {
            session_nonce: self.nonce,
        });
    }

    fn command(&mut self, set_point_rad: &[f32]) {
        self.seq += 1;
        self.say(&HostToArm::Command(Command {
            seq: self.seq,
            host_time_us: self.now_us,
            valid_until_us: self.now_us + 100_000,
            move_time_us: 0,
            set_point_rad: JointVec::from_slice(set_point_rad).unwrap(),
            session_nonce: self.nonce,
        }));
    }

    /// What the pins were told in this tick.
    fn tick(&mut self) -> Vec<Told> {
        self.now_us += TICK_US;
        self.pins.take();
        self.board.tick(self.now_us);
        self.pins.take()
    }

    fn active(&mut self) {
        self.tick();
        self.hello();
        self.command(&[0.0, 0.5]);
        assert_eq!(self.board.state(), FirmwareState::Active);
    }
}

#[test]
fn an_angle_becomes_the_pulse_of_its_servo_within_its_limits() {
    let [forward, backward] = [TWO.joints[0].servo, TWO.joints[1].servo];
    for (rad, up, down) in [
        (0.0, Some(1500), Some(1500)),
        (0.5, Some(1800), Some(1200)),
        (-1.0, Some(900), Some(2100)),
        (0.0011, Some(1501), Some(1499)),
        (9.0, Some(2200), Some(800)),
        (-9.0, Some(800), Some(2200)),
        (f32::NAN, None, None),
        (f32::INFINITY, None, None),
    ] {
        assert_eq!(
            (forward.pulse_us(rad), backward.pulse_us(rad)),
            (up, down),
            "{rad} rad"
        );
    }
}

#[test]
fn servos_have_no_supply_before_the_first_accepted_command_and_then_get_their_pulses_first() {
    let mut bench = Bench::new(false);
    assert!(
        bench.pins.take().starts_with(&[Told::Supply(false)]),
        "first of all the supply is off"
    );
    bench.command(&[0.0, 0.5]);
    for _ in 0..10 {
        assert!(!bench.tick().contains(&Told::Supply(true)), "no handshake");
    }
    bench.hello();
    assert!(!bench.tick().contains(&Told::Supply(true)), "no command");
    bench.command(&[0.5, 0.5]);
    assert!(
        !bench.tick().contains(&Told::Supply(true)),
        "too far from where the joint is"
    );
    bench.command(&[0.0, 0.5]);
    assert_eq!(
        bench.tick(),
        [
            Told::Pulse(0, 1500),
            Told::Pulse(1, 1200),
            Told::Supply(true),
            Told::Fed
        ]
    );
    bench.command(&[0.0, 0.5]);
    assert_eq!(
        bench.tick(),
        [Told::Pulse(0, 1500), Told::Pulse(1, 1200), Told::Fed],
        "it is switched once"
    );
}

#[test]
fn an_emergency_stop_from_the_host_takes_the_supply_off_before_the_next_tick_and_the_latch_outlives_a_reset()
{
    let mut bench = Bench::new(false);
    bench.active();
    bench.tick();
    bench.say(&HostToArm::EStop);
    assert_eq!(
        bench.pins.take(),
        [
            Told::Supply(false),
            Told::Pulse(0, 0),
            Told::Pulse(1, 0),
            Told::Latch(true)
        ]
    );

    let mut bench = Bench::new(bench.pins.0.borrow().latched);
    bench.tick();
    bench.hello();
    bench.command(&[0.0, 0.5]);
    assert_eq!(bench.board.state(), FirmwareState::EStopped, "after a reset");
    bench.clear();
    bench.hello();
    assert_eq!(bench.pins.take().last(), Some(&Told::Latch(false)));
    bench.command(&[0.0, 0.5]);
    assert_eq!(bench.board.state(), FirmwareState::Active);
}

#[test]
fn a_pressed_button_stops_and_no_clearance_counts_until_it_is_let_go() {
    let mut bench = Bench::new(false);
    bench.active();
    bench.tick();
    bench.pins.0.borrow_mut().pressed = true;
    assert!(bench.tick().contains(&Told::Supply(false)));
    bench.clear();
    bench.tick();
    bench.hello();
    bench.command(&[0.0, 0.5]);
    assert_eq!(bench.board.state(), FirmwareState::EStopped, "still pressed");
    bench.pins.0.borrow_mut().pressed = false;
    bench.tick();
    bench.hello();
    assert_eq!(bench.board.state(), FirmwareState::EStopped, "not cleared");
    bench.clear();
    bench.hello();
    assert_eq!(bench.board.state(), FirmwareState::Idle);
}

#[test]
fn a_broken_wire_is_no_number_in_telemetry_and_no_motion_starts_with_it() {
    for counts in [0.0, 499.0, 3501.0, 4095.0] {
        let mut bench = Bench::new(false);
        bench.pins.0.borrow_mut().counts[0] = counts;
        bench.tick();
        bench.tick();
        assert!(
            bench.board.telemetry().position_rad[0].is_nan(),
            "{counts} counts"
        );
        bench.hello();
        bench.command(&[0.0, 0.5]);
        assert_eq!(bench.board.state(), FirmwareState::Idle, "{counts} counts");

        bench.pins.0.borrow_mut().counts[0] = 2100.0;
        for _ in 0..3 {
            bench.tick();
        }
        let telemetry = bench.board.telemetry();
        assert!((telemetry.position_rad[0] - 0.1).abs() < 1e-6);
        assert!(telemetry.velocity_rad_s[0].is_finite(), "the wire is mended");
        bench.command(&[0.1, 0.5]);
        assert_eq!(bench.board.state(), FirmwareState::Active);
    }
}

#[test]
fn velocity_is_measured_by_the_wire() {
    let mut bench = Bench::new(false);
    for _ in 0..200 {
        // 1 count a tick: 0.2 rad/s.
        bench.pins.0.borrow_mut().counts[0] += 1.0;
        bench.tick();
    }
    let telemetry = bench.board.telemetry();
    assert!(
        (telemetry.velocity_rad_s[0] - 0.2).abs() < 2e-3,
        "{:?}",
        telemetry.velocity_rad_s
    );
}

#[test]
fn a_joint_without_a_wire_is_taken_to_follow_at_its_own_speed() {
    let mut bench = Bench::new(false);
    bench.active();
    for _ in 0..40 {
        bench.command(&[0.0, 0.9]);
        bench.tick();
    }
    let telemetry = bench.board.telemetry();
    // 0.2 s at the limit of 1 rad/s.
    assert!((telemetry.set_point_rad[1] - 0.7).abs() < 1e-3, "{telemetry:?}");
    let lag = telemetry.set_point_rad[1] - telemetry.position_rad[1];
    assert!((0.0..0.011).contains(&lag), "{telemetry:?}");
    assert!((telemetry.velocity_rad_s[1] - 1.0).abs() < 0.05, "{telemetry:?}");
}

#[test]
fn silence_stops_then_holds_then_takes_the_supply_off() {
    let mut bench = Bench::new(false);
    bench.active();
    let mut states = vec![bench.board.state()];
    let mut off_after_us = None;
    while bench.now_us < 2_000_000 {
        let told = bench.tick();
        if told.contains(&Told::Supply(false)) {
            off_after_us.get_or_insert(bench.now_us);
        }
        if states.last() != Some(&bench.board.state()) {
            states.push(bench.board.state());
        }
        assert_eq!(told.last(), Some(&Told::Fed), "the watchdog is fed all the while");
    }
    assert_eq!(
        states,
        [
            FirmwareState::Active,
            FirmwareState::Held,
            FirmwareState::Released
        ]
    );
    let expected_us = u64::from(TWO.watchdog_us + TWO.torque_grace_us);
    let off_after_us = off_after_us.unwrap();
    assert!(
        (expected_us..expected_us + 50_000).contains(&off_after_us),
        "{off_after_us}"
    );
}

#[test]
fn what_is_sent_is_what_a_host_decodes() {
    let mut bench = Bench::new(false);
    bench.tick();
    let messages = bench.hello();
    let [ArmToHost::HelloAck(ack), ArmToHost::Telemetry(telemetry)] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert_eq!((ack.joints, ack.firmware_version), (2, [1, 2, 3]));
    assert_eq!((ack.serial_number.as_str(), ack.boot_id), ("two", 1));
    assert_eq!(ack.joint_names_hash, joint_names_hash(["wired", "assumed"]));
    assert_eq!(ack.contract.joints[..], [LIMITS; 2]);
    assert_eq!(
        (
            ack.contract.watchdog_us,
            ack.contract.torque_grace_us,
            ack.contract.validity_max_us
        ),
        (250_000, 1_000_000, 1_000_000)
    );
    assert_eq!(telemetry.position_rad, [0.0, 0.5]);
}

#[test]
fn the_arm_that_is_built_in_is_sound_and_tables_that_are_wrong_are_not() {
    assert!(ARM.options("arm", 1).is_some());
    assert!(TWO.is_sound());
    let with = |change: fn(&mut Joint)| {
        let mut joint = TWO.joints[0];
        change(&mut joint);
        Arm {
            joints: Box::leak(Box::new([joint])),
            ..TWO
        }
    };
    assert!(with(|_| {}).is_sound());
    type Mistake = (&'static str, fn(&mut Joint));
    let wrong: [Mistake; 8] = [
        ("limits the wrong way round", |joint| {
            joint.limits.position_min_rad = 1.5;
        }),
        ("no speed", |joint| joint.limits.velocity_max_rad_s = 0.0),
        ("a limit that is no number", |joint| {
            joint.limits.acceleration_max_rad_s2 = f32::NAN;
        }),
        ("a position without a pulse", |joint| {
            joint.limits.position_max_rad = 1.2;
        }),
        ("a pulse of nothing", |joint| joint.servo.pulse_min_us = 0.0),
        ("a position whose counts are a broken wire's", |joint| {
            joint.feedback = Feedback::Wire {
                zero_counts: 2000.0,
                counts_per_rad: 2000.0,
                counts_min: 500.0,
                counts_max: 3500.0,
            };
        }),
        ("a wire that cannot be seen to be broken", |joint| {
            joint.feedback = Feedback::Wire {
                zero_counts: 2000.0,
                counts_per_rad: 1000.0,
                counts_min: 0.0,
                counts_max: 4095.0,
            };
        }),
        ("a rest beyond the limits", |joint| {
            joint.feedback = Feedback::Assumed {
                rest_rad: 1.1,
                speed_rad_s: 1.0,
            };
        }),
    ];
    for (what, change) in wrong {
        let arm = with(change);
        assert!(!arm.is_sound(), "{what}");
        assert!(arm.options("arm", 1).is_none(), "{what}");
    }
    assert!(!Arm { joints: &[], ..TWO }.is_sound(), "no joint");
    assert!(
        !Arm {
            watchdog_us: 5_000,
            ..TWO
        }
        .is_sound(),
        "a watchdog of one tick"
    );
}
