//! A firmware core on this machine in front of emulated servos, in virtual time: the host's waits give the core its turns.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use devices::emulation::{EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::hosted::{Core, HostEnd, Measured as _, Turn, parts};
use devices::link::{ByteStream, HostLink};
use devices::servo_bus::Family;
use devices::{Arm, Opening};
use robot::device::{ArmReport, ArmState, JointBus, Joints as _, LinkError, Motors, Signals, TroubleKind};
use robot::{Clock, Config, VirtualClock};

use super::paced::{Paced, TURN_US};

const PERIOD_US: u32 = 100_000;

/// The host's end, whose waits are the core's turns.
struct Turning {
    end: HostEnd,
    core: Core<Paced>,
    clock: Arc<VirtualClock>,
    turns: Arc<AtomicU32>,
}

impl Turning {
    fn turn(&mut self) -> Turn {
        self.clock.advance_ns(1_000 * TURN_US);
        self.turns.fetch_add(1, Ordering::SeqCst);
        self.core.turn(self.clock.now_ns() / 1_000)
    }

    fn servo(&mut self, id: u8) -> &mut EmulatedServo<Feetech> {
        self.core.joints_mut().0.bus_mut().line_mut().bus().servo(id)
    }
}

impl ByteStream for Turning {
    fn name(&self) -> &str {
        self.end.name()
    }

    fn now_us(&self) -> u64 {
        self.end.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.end.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.end.read(into)
    }

    fn wait(&mut self, _timeout_us: u64) -> Result<(), LinkError> {
        self.turn();
        Ok(())
    }
}

/// The planar arm with two servos; `rest` is written behind them.
fn robot(rest: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let arm = format!(
        "    arm: feetech(port: \"bus\", servos: [(id: 1), (id: 2, reversed: true)]{rest}),\n    capture: ("
    );
    let text = text.replace("    capture: (", &arm);
    Config::parse(Path::new("robot.ron"), text).expect("a sound robot file")
}

fn host(rest: &str) -> (HostLink<Turning>, Signals) {
    host_of(rest, [1, 2].map(|id| EmulatedServo::new(id, 2048)).into())
}

fn host_of(rest: &str, servos: Vec<EmulatedServo<Feetech>>) -> (HostLink<Turning>, Signals) {
    let (config, signals) = (robot(rest), Signals::default());
    let Ok(Arm::Feetech(settings)) = Arm::of(&config, None) else {
        panic!("another arm");
    };
    let line = MemoryLine::new(EmulatedBus::new(1_000_000, servos));
    let joints = Paced(
        settings
            .on_line(line, &config, Arc::clone(&signals.e_stop))
            .expect("comes up"),
    );
    let clock = Arc::new(VirtualClock::default());
    let opening = Opening {
        config: &config,
        signals: &signals,
    };
    let options = settings.hosted(&opening).expect("limits");
    let (core, end) = parts(joints, options, Arc::clone(&clock) as Arc<dyn Clock>);
    let stream = Turning {
        end,
        core,
        clock,
        turns: Arc::default(),
    };
    let mut link = HostLink::new(stream, 2, 2_000_000);
    link.handshake().expect("the core answers");
    (link, signals)
}

/// Some turns, and what the arm says of itself after them.
fn turns(link: &mut HostLink<Turning>, count: u32) -> ArmReport {
    for _ in 0..count {
        link.wait(0).expect("an open wire");
    }
    link.poll().expect("an open wire").expect("a report")
}

/// Leads the arm to `rad` by periods, a set point each, as a control loop does.
fn lead(link: &mut HostLink<Turning>, rad: [f32; 2]) -> ArmReport {
    let mut set_point = turns(link, 1).set_point_rad;
    for _ in 0..60 {
        for (joint, to) in rad.iter().enumerate() {
            set_point[joint] += (to - set_point[joint]).clamp(-0.05, 0.05);
        }
        link.send_set_point(&set_point, PERIOD_US, 3 * PERIOD_US / 2)
            .expect("taken");
        turns(link, PERIOD_US / TURN_US as u32);
    }
    turns(link, 1)
}

#[test]
fn servos_go_where_the_control_loop_leads_them() {
    let (mut link, _) = host("");
    assert_eq!(turns(&mut link, 1).state, ArmState::Idle);
    assert!(
        !link.stream_mut().servo(1).torque_on(),
        "nothing was commanded yet"
    );
    let there = lead(&mut link, [0.6, -0.9]);
    assert_eq!(there.state, ArmState::Active);
    for (measured, to) in there.position_rad.iter().zip([0.6, -0.9]) {
        assert!((measured - to).abs() < 0.02, "{:?}", there.position_rad);
    }
    // Ticks of the second count the other way.
    let ticks = |link: &mut HostLink<Turning>, id| {
        link.stream_mut()
            .servo(id)
            .get(<Feetech as Family>::ROLES.present_position)
    };
    assert!(ticks(&mut link, 1) > 2048 + 300 && ticks(&mut link, 2) > 2048 + 400);
}

/// Servos that hold, as a program that was killed leaves them.
fn holding() -> Vec<EmulatedServo<Feetech>> {
    let (mut link, _) = host("");
    lead(&mut link, [0.3, -0.3]);
    let bus = link.stream_mut().core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(bus.servos.iter().all(EmulatedServo::torque_on));
    bus.servos.clone()
}

#[test]
fn an_arm_that_holds_is_not_dropped_by_the_program_that_opens_it() {
    let (mut link, _) = host_of("", holding());
    assert_eq!(turns(&mut link, 100).state, ArmState::Idle);
    for id in [1, 2] {
        assert!(link.stream_mut().servo(id).torque_on(), "servo {id} was let go");
    }
    lead(&mut link, [0.3, -0.3]);
    assert!(link.stream_mut().servo(1).torque_on());
    // Nor by one that ends before it has led it.
    let (link, _) = host_of(", rest_rad: [0.1, 1.2]", holding());
    let (mut core, holds, _) = leave(link);
    assert!(holds);
    assert!(
        core.joints_mut()
            .0
            .bus_mut()
            .line_mut()
            .bus()
            .servo(1)
            .torque_on()
    );
    // The emergency stop lets it go.
    let (mut link, signals) = host_of("", holding());
    signals.e_stop.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        link.stream_mut().turn();
    }
    assert!(!link.stream_mut().servo(1).torque_on() && !link.stream_mut().servo(2).torque_on());
}

/// Nobody knows where the arm could lie, and one servo answers no more: the other one is let go all the same.
#[test]
fn an_arm_of_which_a_servo_is_lost_is_let_go_by_the_emergency_stop() {
    let (mut link, signals) = host("");
    lead(&mut link, [0.3, -0.3]);
    link.stream_mut().servo(2).faults.silent = true;
    let ended = (0..50).any(|_| link.stream_mut().turn() == Turn::Ended { holds: true });
    assert!(ended, "the core notices that a servo is lost");
    assert!(link.stream_mut().servo(1).torque_on());
    signals.e_stop.store(true, Ordering::SeqCst);
    for _ in 0..5 {
        assert_eq!(
            link.stream_mut().turn(),
            Turn::Goes,
            "it is tried again and again"
        );
    }
    assert!(!link.stream_mut().servo(1).torque_on());
    // It answers again.
    link.stream_mut().servo(2).faults.silent = false;
    link.stream_mut().turn();
    assert!(!link.stream_mut().servo(2).torque_on());
}

/// Switching torque on fails half way: until all servos have confirmed that they have let go, none of this counts as an arm without torque.
#[test]
fn half_an_arm_with_torque_is_not_taken_for_one_without() {
    let (mut link, _) = host("");
    let start = turns(&mut link, 1).set_point_rad;
    link.stream_mut().servo(2).faults.silent = true;
    link.send_set_point(&start, PERIOD_US, 3 * PERIOD_US / 2)
        .expect("taken");
    let turn = link.stream_mut().turn();
    let core = &mut link.stream_mut().core;
    assert!(!core.joints().has_let_go(), "servo 2 has confirmed nothing");
    assert_ne!(turn, Turn::Ended { holds: false });
}

/// A command comes between two turns of the core. The time since the turn before is not lost.
#[test]
fn an_arm_that_is_led_at_its_full_speed_keeps_up() {
    const FULL_SPEED_RAD_S: f32 = 0.667;
    let (mut link, _) = host("");
    let start = turns(&mut link, 1).set_point_rad;
    let step_rad = FULL_SPEED_RAD_S * PERIOD_US as f32 * 1e-6;
    let mut report = ArmReport::default();
    let mut goal = start;
    for _ in 0..20 {
        goal.iter_mut().for_each(|rad| *rad += step_rad);
        link.send_set_point(&goal, PERIOD_US, 3 * PERIOD_US / 2)
            .expect("taken");
        report = turns(&mut link, PERIOD_US / TURN_US as u32);
    }
    for (rad, to) in report.set_point_rad.iter().zip(&goal) {
        assert!(
            (rad - to).abs() < 0.5 * step_rad,
            "{:?} is not near {goal:?}",
            report.set_point_rad
        );
    }
}

#[test]
fn a_control_loop_that_stalls_leaves_an_arm_that_holds() {
    let (mut link, _) = host("");
    lead(&mut link, [0.6, -0.9]);
    // An hour of silence.
    let held = turns(&mut link, 180_000);
    assert_eq!(held.state, ArmState::Held);
    for (measured, to) in held.position_rad.iter().zip([0.6, -0.9]) {
        assert!((measured - to).abs() < 0.05, "{:?}", held.position_rad);
    }
    assert!(link.stream_mut().servo(1).torque_on() && link.stream_mut().servo(2).torque_on());
    // What was sent before it was stopped, or without a new handshake, does not move it.
    link.send_set_point(&held.set_point_rad, PERIOD_US, 3 * PERIOD_US / 2)
        .expect("taken");
    assert_eq!(turns(&mut link, 5).state, ArmState::Held);
    // It is driven on from where it is.
    link.handshake().expect("the core answers");
    lead(&mut link, [0.0, 0.0]);
    assert_eq!(turns(&mut link, 1).state, ArmState::Active);
}

/// Lets go of the host's end and gives the core its turns until it has ended.
fn leave(link: HostLink<Turning>) -> (Core<Paced>, bool, u32) {
    let stream = link.into_stream();
    let (mut core, clock) = (stream.core, Arc::clone(&stream.clock));
    stream.turns.store(0, Ordering::SeqCst);
    drop(stream.end);
    for turn in 1..10_000 {
        clock.advance_ns(1_000 * TURN_US);
        if let Turn::Ended { holds } = core.turn(clock.now_ns() / 1_000) {
            return (core, holds, turn);
        }
    }
    panic!("it never ends");
}

#[test]
fn a_program_that_ends_lays_the_arm_down_and_never_drops_it() {
    let (mut link, _) = host(", rest_rad: [0.1, 1.2]");
    lead(&mut link, [0.6, -0.9]);
    let (mut core, holds, turns) = leave(link);
    assert!(!holds);
    let rest = core.joints().0.joints().position_rad;
    for (measured, to) in rest.iter().zip([0.1, 1.2]) {
        assert!((measured - to).abs() <= 0.1, "{rest:?}");
    }
    // 2.1 rad at half a radian a second, and the hold before it.
    assert!(turns > 250, "{turns} turns");
    let bus = core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(!bus.servo(1).torque_on() && !bus.servo(2).torque_on());
}

#[test]
fn an_arm_whose_rest_pose_nobody_named_goes_on_holding() {
    let (mut link, _) = host("");
    lead(&mut link, [0.6, -0.9]);
    let (mut core, holds, _) = leave(link);
    assert!(holds);
    let bus = core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(bus.servo(1).torque_on() && bus.servo(2).torque_on());
    // One that was never driven has no torque to keep.
    let (link, _) = host(", rest_rad: [0.1, 1.2]");
    let (mut core, holds, turns) = leave(link);
    assert!(!holds && turns <= 2);
    let bus = core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(!bus.servo(1).torque_on());
}

#[test]
fn an_emergency_stop_takes_torque_off_at_once_also_while_the_arm_is_laid_down() {
    let (mut link, signals) = host(", rest_rad: [0.1, 1.2]");
    lead(&mut link, [0.6, -0.9]);
    signals.e_stop.store(true, Ordering::SeqCst);
    let stopped = turns(&mut link, 1);
    assert_eq!(stopped.state, ArmState::EStopped);
    assert!(!link.stream_mut().servo(1).torque_on() && !link.stream_mut().servo(2).torque_on());

    let (mut link, signals) = host(", rest_rad: [0.1, 1.2]");
    lead(&mut link, [0.6, -0.9]);
    let stream = link.into_stream();
    let (mut core, clock) = (stream.core, stream.clock);
    drop(stream.end);
    let mut ended = None;
    for turn in 0..200 {
        if turn == 100 {
            signals.e_stop.store(true, Ordering::SeqCst);
        }
        clock.advance_ns(1_000 * TURN_US);
        if let Turn::Ended { holds } = core.turn(clock.now_ns() / 1_000) {
            ended = Some((turn, holds));
            break;
        }
    }
    assert_eq!(ended, Some((100, false)));
    let bus = core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(!bus.servo(1).torque_on() && !bus.servo(2).torque_on());
}

/// Torque may still be on where a servo does not answer: it is tried again, and a program that ends says that the arm may hold.
#[test]
fn an_emergency_stop_that_a_servo_does_not_confirm_is_tried_again() {
    let (mut link, signals) = host(", rest_rad: [0.1, 1.2]");
    lead(&mut link, [0.6, -0.9]);
    link.stream_mut().servo(2).faults.silent = true;
    signals.e_stop.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(link.stream_mut().turn(), Turn::Goes);
    }
    assert!(!link.stream_mut().servo(1).torque_on());
    assert!(link.stream_mut().servo(2).torque_on());
    link.stream_mut().servo(2).faults.silent = false;
    for _ in 0..3 {
        assert_eq!(link.stream_mut().turn(), Turn::Goes);
    }
    assert!(!link.stream_mut().servo(2).torque_on());

    let (mut link, signals) = host("");
    lead(&mut link, [0.6, -0.9]);
    link.stream_mut().servo(2).faults.silent = true;
    signals.e_stop.store(true, Ordering::SeqCst);
    let (_, holds, turns) = leave(link);
    assert!(holds && turns > 50, "{turns} turns");
}

#[test]
fn a_servo_that_is_lost_is_told_to_the_control_loop_by_name_and_the_others_hold() {
    let (mut link, _) = host(", rest_rad: [0.1, 1.2]");
    lead(&mut link, [0.6, -0.9]);
    link.stream_mut().servo(2).faults.silent = true;
    let mut told = None;
    for _ in 0..20 {
        link.wait(0).expect("turns go on");
        if let Err(error) = link.poll() {
            told = Some(error.to_string());
            break;
        }
    }
    let told = told.expect("the loop hears of it");
    for word in ["bus: ", "elbow", "servo 2"] {
        assert!(told.contains(word), "no {word} in {told}");
    }
    // Nobody knows where the elbow is: the arm is led to its rest pose, and held there.
    let (mut core, holds, _) = leave(link);
    assert!(holds);
    let bus = core.joints_mut().0.bus_mut().line_mut().bus();
    assert!(bus.servo(1).torque_on());
}

#[test]
fn what_does_not_fit_the_robot_is_refused_by_field() {
    for (rest, words) in [
        (", rest_rad: [0.1]", ["arm.rest_rad", "one angle a joint"]),
        (", rest_rad: [0.1, 9.0]", ["arm.rest_rad", "position_rad"]),
        (", rate_hz: 0.0", ["arm.rate_hz", "from 5 to 500"]),
        (", rate_hz: 10.0", ["arm.rate_hz", "write 20 or more"]),
        (", torque_limit: 1.5", ["arm.torque_limit", "1 at most"]),
        (", limits: (temperature_max_c: 200.0)", ["arm.limits", "30 to 90"]),
        (
            ", limits: (voltage_min_v: 12.0, voltage_max_v: 6.0)",
            ["arm.limits", "least to the most"],
        ),
        (", limits: (load_max: 0.0)", ["arm.limits", "above 0"]),
    ] {
        let config = robot(rest);
        let Ok(Arm::Feetech(settings)) = Arm::of(&config, None) else {
            panic!("another arm");
        };
        let line = MemoryLine::<Feetech>::new(EmulatedBus::new(1_000_000, Vec::new()));
        let said = settings
            .on_line(line, &config, Arc::default())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(said.contains(word), "{rest}: no {word} in {said}");
        }
    }
}

#[test]
fn what_servos_say_of_themselves_reaches_the_loop_and_trouble_with_it() {
    let (mut link, _) = host(", limits: (temperature_max_c: 50.0)");
    turns(&mut link, 8);
    let heard = |link: &mut HostLink<Turning>| {
        let mut motors = Motors::default();
        link.stream_mut().end.motors(&mut motors);
        motors
    };
    let motors = heard(&mut link);
    assert_eq!((motors.joints.len(), motors.trouble), (2, None));
    for motor in &motors.joints {
        assert_eq!(
            (motor.missed, motor.temperature_c, motor.voltage_v),
            (0, Some(30.0), Some(12.0))
        );
    }
    assert!(
        (1..20_000).contains(&motors.exchange_us),
        "{} us",
        motors.exchange_us
    );
    assert!(heard(&mut link).is_silent(), "nothing new was said");
    let mut again = motors.clone();
    link.stream_mut().end.motors(&mut again);
    assert_eq!((again.exchange_us, again.joints), (0, motors.joints));

    // Each kind of trouble has the servo that it is of.
    link.stream_mut().servo(2).faults.temperature_c = Some(51.0);
    turns(&mut link, 16);
    let trouble = heard(&mut link).trouble.expect("too hot");
    assert_eq!((trouble.joint, trouble.id), (1, 2));
    assert_eq!(
        (trouble.kind, trouble.value),
        (TroubleKind::OverTemperature, Some(51.0))
    );
    link.stream_mut().servo(2).faults.temperature_c = None;
    link.stream_mut().servo(1).faults.voltage_v = Some(4.0);
    turns(&mut link, 16);
    let trouble = heard(&mut link).trouble.expect("too little");
    assert_eq!(
        (trouble.joint, trouble.kind, trouble.value),
        (0, TroubleKind::LowVoltage, Some(4.0))
    );

    // A servo that does not answer keeps what it said, and its age is told.
    let (mut link, _) = host("");
    turns(&mut link, 4);
    link.stream_mut().servo(1).faults.silent = true;
    turns(&mut link, 2);
    let motors = heard(&mut link);
    assert_eq!((motors.joints[0].missed, motors.joints[1].missed), (2, 0));
    assert_eq!(motors.joints[0].temperature_c, Some(30.0));
}
