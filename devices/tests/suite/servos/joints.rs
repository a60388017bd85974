//! An arm of emulated servos.

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, Faults, MemoryLine};
use devices::feetech::Feetech;
use devices::servo_bus::joints::{
    ArmError, ArmSettings, BringUpError, Direction, FindingKind, Homing, Mapping, ServoArm, ServoJoint,
    SettingsError, Tuning, WayOut, WayOutSettings, WayOutState,
};
use devices::servo_bus::{Bus, Line, Timing};
use robot::device::Joints;
use robot::philox::Stream;

type Arm<P> = ServoArm<P, MemoryLine<P>>;

const PERIOD_US: u64 = 20_000;

fn joint(id: u8) -> ServoJoint {
    ServoJoint {
        name: format!("joint {id}"),
        id,
        zero_ticks: 2048,
        direction: if id.is_multiple_of(2) {
            Direction::Reversed
        } else {
            Direction::Forward
        },
        position_min_rad: -1.5,
        position_max_rad: 1.5,
        homing: Homing::AsFound,
        tuning: Tuning::default(),
    }
}

fn settings() -> ArmSettings {
    ArmSettings::new((1..=6).map(joint).collect())
}

fn bus<P: Emulated>() -> Bus<P, MemoryLine<P>> {
    let servos = (1..=6).map(|id| EmulatedServo::new(id, 2048)).collect();
    Bus::new(
        MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
        Timing::default(),
    )
}

fn arm<P: Emulated>() -> Arm<P> {
    ServoArm::new(bus::<P>(), settings()).expect("an arm as delivered can be brought up")
}

fn servo<P: Emulated>(arm: &mut Arm<P>, id: u8) -> &mut EmulatedServo<P> {
    arm.bus_mut().line_mut().bus().servo(id)
}

/// One period of [`PERIOD_US`]; how long the exchanges took.
fn period<P: Emulated>(arm: &mut Arm<P>, set_point_rad: &[f32], torque_on: bool) -> Result<u64, ArmError> {
    let begun_us = arm.bus().line().now_us();
    let result = arm.period(set_point_rad, torque_on);
    let took_us = arm.bus().line().now_us() - begun_us;
    arm.bus_mut()
        .line_mut()
        .advance(PERIOD_US.saturating_sub(took_us));
    result.map(|()| took_us)
}

fn both(feetech: impl Fn(), dynamixel: impl Fn()) {
    feetech();
    dynamixel();
}

#[test]
fn an_arm_goes_where_it_is_told() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        let goal = [0.5, -0.5, 1.0, -1.0, 0.25, 0.0];
        assert!(!arm.torque_on());
        for tick in 0..100 {
            let took_us = period(&mut arm, &goal, true).expect("all answer");
            assert!(tick == 0 || took_us <= arm.settings().budget_us, "{took_us} us");
        }
        for (goal, position) in goal.iter().zip(arm.joints().position_rad) {
            assert!((goal - position).abs() < 0.002, "{goal} {position}");
        }
        assert_eq!(arm.health().findings(), []);
        let health = arm.health().servos()[0];
        assert!(health.voltage_v.is_some_and(|volts| (volts - 12.0).abs() < 0.06));
        assert_eq!(health.temperature_c, Some(30.0));
        assert!(health.load.is_some());
        // Without torque nothing moves.
        period(&mut arm, &[0.0; 6], false).expect("all answer");
        assert!((1..=6).all(|id| !servo(&mut arm, id).torque_on()));
        // As a device, too.
        arm.step(&goal, true, 0.02).expect("all answer");
        assert_eq!(arm.joint_count(), 6);
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn a_servo_is_set_as_the_robot_file_says_and_does_not_count_turns() {
    use devices::feetech::registers::{
        D_GAIN, I_GAIN, OVERLOAD_TORQUE, P_GAIN, PHASE, PROTECTION_CURRENT, TORQUE_LIMIT,
    };

    let mut bus = bus::<Feetech>();
    bus.line_mut().bus().servo(6).set(PHASE, 0b1_0101);
    bus.line_mut().bus().servo(1).set(P_GAIN, 77);
    let mut settings = settings();
    settings.joints[5].tuning = Tuning {
        gains: Some([16, 1, 32]),
        torque_limit: Some(0.5),
        protection_current_a: Some(1.625),
        overload_torque: Some(0.25),
    };
    let mut arm = ServoArm::new(bus, settings).expect("comes up");
    let servo = arm.bus_mut().line_mut().bus().servo(6);
    let kept = [
        (PHASE, 0b0_0101),
        (P_GAIN, 16),
        (I_GAIN, 1),
        (D_GAIN, 32),
        (PROTECTION_CURRENT, 250),
        (OVERLOAD_TORQUE, 25),
        (TORQUE_LIMIT, 500),
    ];
    for (register, steps) in kept {
        assert_eq!(servo.get(register), steps, "{}", register.name);
    }
    // What is not said stays as it is, but for the arm's limit of torque.
    let servo = arm.bus_mut().line_mut().bus().servo(1);
    assert_eq!((servo.get(P_GAIN), servo.get(TORQUE_LIMIT)), (77, 1000));
}

#[test]
fn goals_are_clamped_before_the_wire() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        let (low, high) = Mapping::new::<P>(&joint(1)).expect("a mapping").limits_ticks();
        for beyond_rad in [1e30, 100.0, 1.6] {
            for sign in [1.0, -1.0] {
                for _ in 0..2 {
                    period(&mut arm, &[sign * beyond_rad; 6], true).expect("all answer");
                }
                let goal = servo(&mut arm, 1).get(P::ROLES.goal_position);
                assert_eq!(goal, if sign > 0.0 { high } else { low });
                let goal = servo(&mut arm, 2).get(P::ROLES.goal_position);
                assert_eq!(goal, if sign > 0.0 { low } else { high });
            }
        }
        let result = arm.period(&[0.0, 0.0, f32::NAN, 0.0, 0.0, 0.0], true);
        assert!(
            matches!(&result, Err(ArmError::NotFinite { joint, .. }) if joint == "joint 3"),
            "{result:?}"
        );
        let result = arm.period(&[0.0; 5], true);
        assert!(
            matches!(result, Err(ArmError::JointCount { given: 5, joints: 6 })),
            "{result:?}"
        );
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn radians_and_ticks() {
    let mapping = |joint: &ServoJoint| Mapping::new::<Feetech>(joint);
    let forward = mapping(&joint(1)).expect("a mapping");
    assert_eq!(forward.ticks(0.0), 2048);
    assert_eq!(forward.ticks(std::f32::consts::FRAC_PI_4), 2560);
    assert_eq!(
        mapping(&joint(2))
            .expect("a mapping")
            .ticks(std::f32::consts::FRAC_PI_4),
        1536
    );
    for ticks in [1100, 2048, 3000] {
        assert_eq!(forward.ticks(forward.radians(ticks)), ticks);
    }
    assert_eq!(forward.ticks(f32::NEG_INFINITY), forward.limits_ticks().0);
    let refused = [
        (
            ServoJoint {
                zero_ticks: 500,
                ..joint(1)
            },
            "ticks -477 to 1477",
        ),
        (
            ServoJoint {
                position_max_rad: f32::NAN,
                ..joint(1)
            },
            "is no range",
        ),
        (
            ServoJoint {
                position_min_rad: 1.5,
                ..joint(1)
            },
            "is no range",
        ),
        (
            ServoJoint {
                homing: Homing::Written(2048),
                ..joint(1)
            },
            "holds 2047 at most",
        ),
        (
            ServoJoint {
                homing: Homing::Written(-2114),
                ..joint(1)
            },
            "holds 2047 at most",
        ),
        (ServoJoint { id: 254, ..joint(1) }, "no servo has id 254"),
    ];
    for (joint, message) in refused {
        let error = mapping(&joint).expect_err(message).to_string();
        assert!(error.contains(message), "{error}");
    }
    let twice = ArmSettings::new(vec![joint(1), joint(1)]).mappings::<Feetech>();
    assert!(
        matches!(twice, Err(SettingsError::SameId { id: 1, .. })),
        "{twice:?}"
    );
}

#[test]
fn bringing_up_writes_what_is_kept_and_reads_it_back() {
    fn check<P: Emulated>() {
        let mut settings = settings();
        settings.joints[2].homing = Homing::Written(-100);
        let arm = ServoArm::new(bus::<P>(), settings.clone());
        let mut arm = arm.expect("an arm as delivered can be brought up");
        let limits = Mapping::new::<P>(&joint(3)).expect("a mapping").limits_ticks();
        let servo = servo(&mut arm, 3);
        servo.power_cycle();
        assert_eq!(servo.get(P::ROLES.return_delay), 0);
        assert_eq!(servo.get(P::ROLES.homing_offset), -100);
        assert_eq!(
            (servo.get(P::ROLES.min_position), servo.get(P::ROLES.max_position)),
            limits
        );
        assert!(!servo.torque_on());
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

/// A servo that is not to answer writes is made to; EEPROM is locked again whatever happens.
#[test]
fn bringing_up_leaves_servos_locked_and_answering() {
    fn check<P: Emulated>() {
        let mut quiet = bus::<P>();
        quiet.line_mut().bus().servo(2).set(P::ROLES.response_level, 0);
        let mut arm = ServoArm::new(quiet, settings()).expect("an arm can be brought up");
        assert_eq!(
            servo(&mut arm, 2).get(P::ROLES.response_level),
            i64::from(P::RESPONSE_ALL)
        );
        if let Some(lock) = P::ROLES.lock {
            assert!((1..=6).all(|id| servo(&mut arm, id).get(lock) == 1));
        }
        // What is as it should be is not written again.
        let before = arm.bus().counts().requests;
        arm.bring_up_again().expect("nothing has to be changed");
        assert!(arm.bus().counts().requests - before < 6 * 16 + 20);
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn an_arm_that_is_not_as_it_should_be_is_not_brought_up() {
    fn check<P: Emulated>() {
        let bring_up = |change: fn(&mut EmulatedBus<P>)| {
            let mut bus = bus::<P>();
            change(bus.line_mut().bus());
            match ServoArm::new(bus, settings()) {
                Err(ArmError::BringUp(error)) => error,
                other => panic!("{:?}", other.map(|_| "brought up")),
            }
        };
        let silent = bring_up(|bus| bus.servo(4).faults.silent = true);
        assert!(silent.to_string().contains("servo 4 does not answer"), "{silent}");
        let model = bring_up(|bus| bus.servos[1] = EmulatedServo::new(2, 2048).of_model(4321));
        assert!(
            matches!(
                model,
                BringUpError::Model {
                    id: 2,
                    model: 4321,
                    ..
                }
            ),
            "{model}"
        );
        let twins = bring_up(|bus| bus.servos.push(EmulatedServo::new(5, 100)));
        assert!(matches!(twins, BringUpError::Twins { id: 5, .. }), "{twins}");
        // It holds, and would have to let go to be changed.
        let holding = bring_up(|bus| bus.servo(6).set(P::ROLES.torque_enable, 1));
        assert!(
            matches!(holding, BringUpError::Holding { id: 6, .. }),
            "{holding}"
        );
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn an_arm_that_holds_is_taken_over_without_letting_go() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        for _ in 0..60 {
            period(&mut arm, &[0.4; 6], true).expect("all answer");
        }
        arm.bring_up_again().expect("nothing has to be changed");
        assert!(arm.torque_on() && (1..=6).all(|id| servo(&mut arm, id).torque_on()));
        period(&mut arm, &[0.4; 6], true).expect("all answer");
        assert!(
            arm.joints()
                .position_rad
                .iter()
                .all(|position| (position - 0.4).abs() < 0.002)
        );
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn torque_comes_on_where_the_arm_is_and_never_outside_of_its_limits() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        servo(&mut arm, 1).motor_mut().position_ticks = 2300.0;
        arm.period(&[0.0; 6], true).expect("all answer");
        arm.bus_mut().line_mut().advance(1_000);
        assert!(servo(&mut arm, 1).motor().position_ticks > 2280.0);
        period(&mut arm, &[0.0; 6], false).expect("all answer");
        servo(&mut arm, 3).motor_mut().position_ticks = 3500.0;
        arm.bus_mut().line_mut().advance(1_000);
        let result = arm.period(&[0.0; 6], true);
        assert!(
            matches!(result, Err(ArmError::BringUp(BringUpError::OutsideLimits { .. }))),
            "{result:?}"
        );
        assert!((1..=6).all(|id| !servo(&mut arm, id).torque_on()));
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn a_silent_servo_is_stale_then_lost_and_the_others_can_be_laid_down() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        for _ in 0..40 {
            period(&mut arm, &[0.3; 6], true).expect("all answer");
        }
        servo(&mut arm, 2).faults.silent = true;
        for missed in 1..=3 {
            period(&mut arm, &[0.2; 6], true).expect("not lost yet");
            assert_eq!(
                (0..6).map(|joint| arm.missed(joint)).collect::<Vec<_>>(),
                [0, missed, 0, 0, 0, 0]
            );
        }
        for _ in 0..40 {
            let result = period(&mut arm, &[0.0; 6], true);
            assert!(matches!(result, Err(ArmError::Lost { id: 2, .. })), "{result:?}");
        }
        let position_rad = arm.joints().position_rad;
        assert!(
            position_rad
                .iter()
                .enumerate()
                .all(|(joint, position)| joint == 1 || position.abs() < 0.002)
        );
        // It is back, and not believed until the arm is brought up again.
        servo(&mut arm, 2).faults.silent = false;
        assert!(period(&mut arm, &[0.0; 6], true).is_err());
        arm.bring_up_again().expect("all answer");
        period(&mut arm, &[0.0; 6], true).expect("all answer");
        assert_eq!(arm.missed(1), 0);
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

type Expected = fn(FindingKind) -> bool;

#[test]
fn faults_are_found_and_named() {
    fn check<P: Emulated>() {
        let bits = P::STATUS_BITS;
        let none = Faults::default;
        let cases: [(Faults, Expected); 8] = [
            (
                Faults {
                    temperature_c: Some(71.0),
                    ..none()
                },
                |kind| {
                    matches!(
                        kind,
                        FindingKind::OverTemperature {
                            temperature_c: Some(71.0)
                        }
                    )
                },
            ),
            (
                Faults {
                    voltage_v: Some(4.0),
                    ..none()
                },
                |kind| matches!(kind, FindingKind::UnderVoltage { .. }),
            ),
            (
                Faults {
                    voltage_v: Some(14.5),
                    ..none()
                },
                |kind| matches!(kind, FindingKind::OverVoltage { .. }),
            ),
            (
                Faults {
                    status: bits.overload,
                    ..none()
                },
                |kind| kind == FindingKind::Overload,
            ),
            (
                Faults {
                    status: bits.voltage,
                    ..none()
                },
                |kind| kind == FindingKind::Voltage,
            ),
            (
                Faults {
                    status: bits.encoder,
                    ..none()
                },
                |kind| kind == FindingKind::Encoder,
            ),
            (
                Faults {
                    status: bits.current,
                    ..none()
                },
                |kind| kind == FindingKind::OverCurrent,
            ),
            (
                Faults {
                    load: Some(0.95),
                    ..none()
                },
                |kind| matches!(kind, FindingKind::Load { .. }),
            ),
        ];
        for (faults, expected) in cases {
            let mut settings = settings();
            settings.limits.load_max = 0.9;
            let mut arm = ServoArm::new(bus::<P>(), settings).expect("an arm as delivered can be brought up");
            servo(&mut arm, 5).faults = faults.clone();
            let mut periods = 0;
            while arm.health().findings().is_empty() {
                period(&mut arm, &[0.0; 6], true).expect("all answer");
                periods += 1;
                assert!(periods <= 16, "{}: {faults:?} was not found", P::NAME);
            }
            assert!(
                arm.health()
                    .findings()
                    .iter()
                    .all(|finding| finding.id == 5 && expected(finding.kind))
            );
            servo(&mut arm, 5).faults = Faults::default();
            for _ in 0..16 {
                period(&mut arm, &[0.0; 6], true).expect("all answer");
            }
            assert_eq!(arm.health().findings(), [], "{faults:?}");
        }
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

/// The host falls silent: a Dynamixel stops by itself, and says so when the host is back.
#[test]
fn a_watchdog_stops_an_arm_without_a_host() {
    let mut arm = arm::<Dynamixel>();
    for _ in 0..3 {
        period(&mut arm, &[0.0; 6], true).expect("all answer");
    }
    // Refreshed by every period, it does not expire.
    for _ in 0..100 {
        period(&mut arm, &[0.0; 6], true).expect("all answer");
    }
    assert!(!servo(&mut arm, 1).watchdog_expired());
    for _ in 0..30 {
        arm.bus_mut().line_mut().advance(PERIOD_US);
    }
    assert!((1..=6).all(|id| servo(&mut arm, id).watchdog_expired()));
    let found = (0..12).any(|_| {
        period(&mut arm, &[0.5; 6], true).expect("all answer");
        arm.health()
            .findings()
            .iter()
            .any(|finding| finding.kind == FindingKind::Watchdog)
    });
    assert!(found);
    assert!(
        arm.joints()
            .position_rad
            .iter()
            .all(|position| position.abs() < 0.01)
    );
}

/// A reading that no joint can have reached is believed only once another confirms it.
#[test]
fn a_jump_is_doubted_until_it_is_confirmed() {
    let mut arm = arm::<Feetech>();
    for _ in 0..5 {
        period(&mut arm, &[0.0; 6], false).expect("all answer");
    }
    servo(&mut arm, 4).motor_mut().position_ticks = 1_400.0;
    period(&mut arm, &[0.0; 6], false).expect("all answer");
    assert_eq!((arm.missed(3), arm.joints().position_rad[3]), (1, 0.0));
    period(&mut arm, &[0.0; 6], false).expect("all answer");
    assert_eq!(arm.missed(3), 0);
    assert!((arm.joints().position_rad[3] - 0.994).abs() < 0.001);
}

fn way_out_settings() -> WayOutSettings {
    WayOutSettings {
        hold_s: 0.5,
        velocity_rad_s: 0.4,
        rest_rad: [0.0, -1.2, 1.2, 0.8, 0.0, -0.1].into_iter().collect(),
        tolerance_rad: 0.03,
        patience_s: 1.0,
    }
}

/// Leads an arm out for at most 20 s; the states that it went through.
fn lead_out<P: Emulated>(arm: &mut Arm<P>, set_point_rad: &[f32]) -> Vec<WayOutState> {
    let mut way_out = WayOut::begin(way_out_settings(), set_point_rad, arm.bus().line().now_us());
    let mut states = vec![way_out.state()];
    let mut before = arm.joints().position_rad;
    for _ in 0..1_000 {
        let measured: Vec<Option<f32>> = arm
            .joints()
            .position_rad
            .iter()
            .enumerate()
            .map(|(joint, position_rad)| (arm.missed(joint) == 0).then_some(*position_rad))
            .collect();
        let set_point_rad = way_out.step(&measured, arm.bus().line().now_us());
        if way_out.state() != *states.last().expect("one at least") {
            states.push(way_out.state());
        }
        let _ = period(arm, &set_point_rad, way_out.torque_on());
        let after = arm.joints().position_rad;
        for (before, after) in before.iter().zip(&after) {
            assert!(
                (after - before).abs() <= 0.4 * 1.3 * 0.02 + 0.004,
                "{before} to {after} in a period"
            );
        }
        before = after;
    }
    states
}

#[test]
fn the_way_out_ends_at_rest_without_torque() {
    fn check<P: Emulated>() {
        let mut arm = arm::<P>();
        let set_point = [0.5, 0.5, -0.5, 0.0, 1.0, 1.0];
        for _ in 0..100 {
            period(&mut arm, &set_point, true).expect("all answer");
        }
        let states = lead_out(&mut arm, &set_point);
        assert_eq!(
            states,
            [WayOutState::Holding, WayOutState::Ramping, WayOutState::Released]
        );
        assert!((1..=6).all(|id| !servo(&mut arm, id).torque_on()));
        for (rest, position) in way_out_settings().rest_rad.iter().zip(arm.joints().position_rad) {
            assert!((rest - position).abs() < 0.03);
        }
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

#[test]
fn an_arm_that_does_not_reach_its_rest_is_not_dropped() {
    fn check<P: Emulated>() {
        let stuck = Faults {
            stuck: true,
            ..Faults::default()
        };
        let silent = Faults {
            silent: true,
            ..Faults::default()
        };
        for faults in [stuck, silent] {
            let mut arm = arm::<P>();
            for _ in 0..100 {
                period(&mut arm, &[0.5; 6], true).expect("all answer");
            }
            servo(&mut arm, 3).faults = faults;
            let states = lead_out(&mut arm, &[0.5; 6]);
            assert_eq!(
                states,
                [WayOutState::Holding, WayOutState::Ramping, WayOutState::Stuck]
            );
            assert!((1..=6).all(|id| servo(&mut arm, id).torque_on()));
        }
        let mut nowhere = WayOut::begin(way_out_settings(), &[0.0, f32::NAN, 0.0, 0.0, 0.0, 0.0], 0);
        assert!(nowhere.state() == WayOutState::Stuck && nowhere.torque_on());
        nowhere.step(&[Some(0.0); 6], 10_000_000);
        assert!(nowhere.torque_on());
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

/// An arm follows a slow wave for many periods while its servos fail in every way for one or two periods at a time. What counts as fresh
/// is where the joint is; no period takes longer than its budget.
#[test]
fn an_arm_among_passing_faults() {
    fn check<P: Emulated>() {
        let mut random = Stream::new(17, 8);
        let mut arm = arm::<P>();
        let (mut fresh, mut stale) = (0, 0);
        for tick in 0..5_000_u32 {
            if tick > 0 && tick % 4 == 0 {
                for id in 1..=6 {
                    servo(&mut arm, id).faults = Faults::default();
                }
                let faults = passing_fault(&mut random);
                servo(&mut arm, 1 + random.below(6) as u8).faults = faults;
            } else if tick % 4 == 2 {
                for id in 1..=6 {
                    servo(&mut arm, id).faults = Faults::default();
                }
            }
            let goal_rad = (tick as f32 * 0.01).sin();
            let took_us = period(&mut arm, &[goal_rad; 6], true).expect("nobody is silent for long");
            assert!(
                tick == 0 || took_us <= arm.settings().budget_us,
                "tick {tick}: {took_us} us"
            );
            for joint in 0..6 {
                let mapping = Mapping::new::<P>(&settings().joints[joint]).expect("a mapping");
                let motor = servo(&mut arm, joint as u8 + 1).motor().position_ticks as i64;
                let off_rad = (arm.joints().position_rad[joint] - mapping.radians(motor)).abs();
                if arm.missed(joint) == 0 {
                    fresh += 1;
                    assert!(off_rad < 0.03, "tick {tick}: joint {joint} is off by {off_rad}");
                } else {
                    stale += 1;
                }
            }
        }
        println!(
            "{}: {fresh} fresh, {stale} stale, {:?}",
            P::NAME,
            arm.bus().counts()
        );
        assert!(stale > 100 && fresh > 25_000, "{fresh} {stale}");
    }
    both(check::<Feetech>, check::<Dynamixel>);
}

/// One of the faults that a bus has now and then.
fn passing_fault(random: &mut Stream) -> Faults {
    let none = Faults::default;
    match random.below(7) {
        0 => Faults {
            silent: true,
            ..none()
        },
        1 => Faults {
            late_us: random.below(50_000) as u64,
            ..none()
        },
        2 => Faults {
            corrupt_byte: Some(random.below(16)),
            ..none()
        },
        3 => Faults {
            cut_after_bytes: Some(random.below(20)),
            ..none()
        },
        4 => Faults {
            foreign_id: Some(1 + random.below(12) as u8),
            ..none()
        },
        5 => Faults {
            noise: (0..random.below(30))
                .map(|_| [0xFF, 0xFD, 0x00, 0x55][random.below(4)])
                .collect(),
            ..none()
        },
        _ => Faults {
            trickle_us: random.below(200) as u64,
            ..none()
        },
    }
}
