//! What emulated servos do, as the makers' manuals say.

use devices::dynamixel::{self, Dynamixel};
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::{self, Feetech};
use devices::servo_bus::joints::{ArmSettings, Direction, Homing, ServoArm, ServoJoint, Tuning};
use devices::servo_bus::{Block, Bus, BusError, Line, Readings, Register, Timing};

const BUDGET_US: u64 = 100_000;

fn bus<P: Emulated>(baud: u32) -> Bus<P, MemoryLine<P>> {
    let servos = (1..=6).map(|id| EmulatedServo::new(id, 2048)).collect();
    Bus::new(
        MemoryLine::new(EmulatedBus::new(baud, servos)),
        Timing {
            baud,
            ..Timing::default()
        },
    )
}

fn write<P: Emulated>(
    bus: &mut Bus<P, MemoryLine<P>>,
    register: Register,
    steps: i64,
) -> Result<u8, BusError> {
    let bytes = register.encode(steps).expect("fits");
    bus.write(
        1,
        register.address,
        &bytes[..usize::from(register.width)],
        BUDGET_US,
    )
}

/// The wire and the return delay take the time that they take.
#[test]
fn a_slow_bus_takes_its_time() {
    for (baud, expected_us) in [(1_000_000, 4_400), (500_000, 5_800), (57_600, 27_306)] {
        let mut bus = bus::<Feetech>(baud);
        let mut readings = Readings::new(&[1, 2, 3, 4, 5, 6]);
        bus.settle(1_000).expect("the line works");
        let begun_us = bus.line().now_us();
        // 14 bytes there, 6 times 21 bytes back, and half a millisecond before each.
        bus.sync_read(
            Block {
                address: 56,
                length: 15,
            },
            BUDGET_US,
            &mut readings,
        )
        .expect("the line works");
        let took_us = bus.line().now_us() - begun_us;
        assert!(took_us.abs_diff(expected_us) <= 10, "{baud}: {took_us} us");
        assert!(readings.iter().all(|reading| reading.missed() == 0));
    }
}

/// Nobody speaks while another does, at any rate.
#[test]
fn goals_and_feedback_do_not_collide() {
    fn check<P: Emulated>(baud: u32) {
        let joint = |id: u8| ServoJoint {
            name: format!("joint {id}"),
            id,
            zero_ticks: 2048,
            direction: Direction::Forward,
            position_min_rad: -1.0,
            position_max_rad: 1.0,
            homing: Homing::AsFound,
            tuning: Tuning::default(),
        };
        let mut settings = ArmSettings::new((1..=6).map(joint).collect());
        settings.budget_us = 60_000;
        let mut arm = ServoArm::new(bus::<P>(baud), settings).expect("all answer");
        for _ in 0..50 {
            arm.period(&[0.3; 6], true).expect("all answer");
            assert!((0..6).all(|joint| arm.missed(joint) == 0));
        }
        assert_eq!(arm.bus_mut().line_mut().bus().collisions(), 0);
        assert_eq!(arm.bus().counts().retries, 0);
    }
    for baud in [57_600, 115_200, 1_000_000] {
        check::<Feetech>(baud);
        check::<Dynamixel>(baud);
    }
}

#[test]
fn whoever_speaks_while_servos_do_spoils_what_they_say() {
    let mut bus = bus::<Feetech>(1_000_000);
    let mut readings = Readings::new(&[1, 2, 3, 4, 5, 6]);
    // So short a budget that answers are still on the wire afterwards.
    bus.settle(1_000).expect("the line works");
    bus.sync_read(
        Block {
            address: 56,
            length: 15,
        },
        1_500,
        &mut readings,
    )
    .expect("the line works");
    let line = bus.line_mut();
    line.write(&[0xFF; 4]).expect("the line works");
    assert_eq!(line.bus().collisions(), 1);
}

#[test]
fn a_feetech_servo_forgets_what_was_written_under_lock() {
    use feetech::registers::{LOCK, MAX_POSITION};
    for (lock, kept) in [(1, 4095), (0, 3000)] {
        let mut bus = bus::<Feetech>(1_000_000);
        write(&mut bus, LOCK, lock).expect("it answers");
        write(&mut bus, MAX_POSITION, 3000).expect("it answers");
        let servo = bus.line_mut().bus().servo(1);
        assert_eq!(servo.get(MAX_POSITION), 3000);
        servo.power_cycle();
        assert_eq!((servo.get(MAX_POSITION), servo.get(LOCK)), (kept, 1));
    }
}

#[test]
fn a_dynamixel_servo_refuses_eeprom_while_it_holds() {
    use dynamixel::registers::{GOAL_POSITION, MODE, RETURN_DELAY, TORQUE_ENABLE};
    let mut bus = bus::<Dynamixel>(1_000_000);
    write(&mut bus, RETURN_DELAY, 0).expect("it answers");
    write(&mut bus, TORQUE_ENABLE, 1).expect("it answers");
    let refused = write(&mut bus, MODE, 4);
    assert!(
        matches!(refused, Err(BusError::Refused { reason: 7, .. })),
        "{refused:?}"
    );
    write(&mut bus, GOAL_POSITION, 3000).expect("it answers");
}

#[test]
fn a_watchdog_stops_the_motor_and_shuts_the_goal() {
    use dynamixel::registers::{BUS_WATCHDOG, GOAL_POSITION, TORQUE_ENABLE};
    let mut bus = bus::<Dynamixel>(1_000_000);
    write(&mut bus, TORQUE_ENABLE, 1).expect("it answers");
    write(&mut bus, BUS_WATCHDOG, 5).expect("it answers");
    write(&mut bus, GOAL_POSITION, 4000).expect("it answers");
    for _ in 0..300 {
        bus.line_mut().advance(1_000);
    }
    let stopped = bus.line_mut().bus().servo(1).motor().clone();
    assert!(
        stopped.position_ticks < 3000.0 && stopped.velocity_ticks_s == 0.0,
        "{stopped:?}"
    );
    assert_eq!(bus.line_mut().bus().servo(1).get(BUS_WATCHDOG), -1);
    let refused = write(&mut bus, GOAL_POSITION, 2048);
    assert!(
        matches!(refused, Err(BusError::Refused { reason: 7, .. })),
        "{refused:?}"
    );
    write(&mut bus, BUS_WATCHDOG, 0).expect("it answers");
    write(&mut bus, GOAL_POSITION, 2048).expect("it answers");
}

/// A motor keeps to the limits of speed and acceleration that are asked of it, and arrives.
#[test]
fn a_motor_keeps_to_its_limits() {
    use feetech::registers::{ACCELERATION, GOAL_POSITION, GOAL_VELOCITY, TORQUE_ENABLE};
    let mut bus = bus::<Feetech>(1_000_000);
    write(&mut bus, ACCELERATION, 20).expect("it answers");
    write(&mut bus, GOAL_VELOCITY, 800).expect("it answers");
    write(&mut bus, GOAL_POSITION, 4000).expect("it answers");
    write(&mut bus, TORQUE_ENABLE, 1).expect("it answers");
    let (mut position, mut velocity, mut fastest) = (2048.0, 0.0, 0.0_f64);
    for _ in 0..400 {
        bus.line_mut().advance(10_000);
        let motor = bus.line_mut().bus().servo(1).motor().clone();
        assert!(
            motor.velocity_ticks_s <= 800.0 + 1e-6 && motor.position_ticks <= 4001.0,
            "{motor:?}"
        );
        assert!(
            (motor.velocity_ticks_s - velocity).abs() <= 2000.0 * 0.011 + 1e-6,
            "{motor:?} after {velocity}"
        );
        assert!(motor.position_ticks >= position - 1.0);
        (position, velocity) = (motor.position_ticks, motor.velocity_ticks_s);
        fastest = fastest.max(velocity);
    }
    assert!(
        (position - 4000.0).abs() < 1.0 && fastest > 799.0,
        "{position} {fastest}"
    );
}
