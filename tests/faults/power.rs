//! A supply that breaks down under a moving arm, and comes back: of a board, and of servos on a bus.
//!
//! **What is latched.** A board forgets everything: it boots without torque and without a session, so that nothing that was sent before moves
//! it. Servos forget that they held. Their firmware core, on the host, stops the arm after three low readings, and the program lays it down and
//! ends. In both families torque comes on again only in a new run.

use std::path::Path;
use std::sync::Arc;

use devices::emulation::{EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::hosted::{Core, HostEnd, Turn, parts};
use devices::link::{ByteStream, HostLink};
use devices::{Arm, Opening};
use robot::device::{ArmState, JointBus, LinkError, Motors, Signals, TroubleKind};
use robot::philox::Stream;
use robot::{Clock, Config, VirtualClock};

use crate::looped::{Loop, root, session};
use crate::paced::{Paced, TURN_US};
use crate::replug::{Cable, arms_again, driven, rests};
use crate::row::{Outcome, Scale};
use crate::virtual_arm::STEP_US;

/// A supply that falls to `bottom_v`, stays there and comes back, in steps.
struct Supply {
    full_v: f32,
    bottom_v: f32,
    fall_v: f32,
    rise_v: f32,
    stays: u32,
    ripple_v: f32,
    step: u32,
}

impl Supply {
    /// One that falls from `full_v` to somewhere in `bottom_v`: within a step at the fastest, within `slowest` steps at the slowest.
    fn new(random: &mut Stream, full_v: f32, bottom_v: (f32, f32), slowest: f32) -> Self {
        let rate = |random: &mut Stream| full_v * slowest.powf(random.uniform()) / slowest;
        Self {
            full_v,
            bottom_v: random.range(bottom_v.0, bottom_v.1),
            fall_v: rate(random),
            rise_v: rate(random),
            stays: random.below(200) as u32,
            ripple_v: random.range(0.0, 0.05 * full_v),
            step: 0,
        }
    }

    /// The voltage in the next step; `None` once it is full again.
    fn next(&mut self, random: &mut Stream) -> Option<f32> {
        let falls = ((self.full_v - self.bottom_v) / self.fall_v).ceil() as u32;
        let step = self.step;
        self.step += 1;
        let volts = if step < falls {
            self.full_v - step as f32 * self.fall_v
        } else if step < falls + self.stays {
            self.bottom_v
        } else {
            self.bottom_v + (step - falls - self.stays) as f32 * self.rise_v
        };
        (step < falls || volts < self.full_v)
            .then(|| (volts + random.range(-self.ripple_v, self.ripple_v)).max(0.0))
    }
}

/// Supply of a board.
const BOARD_V: f32 = 5.0;

/// Below this voltage a board is held in reset.
const RESET_V: f32 = 2.7;

/// Above this one it boots.
const BOOT_V: f32 = 2.8;

/// The supply of a board breaks down. It may boot several times on the way down and up, and a host goes on in its old session.
pub(crate) fn board(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(32, 0xB04D);
    let session = session();
    let mut boots = 0_u64;
    for trial in 0..scale.trials(1_000, 40) {
        let (arm, mut driven) = driven(&mut random, &session, trial);
        arm.pass(STEP_US * random.below(50) as u64);
        let mut supply = Supply::new(&mut random, BOARD_V, (0.0, RESET_V - 0.3), 1_000.0);
        let (mut runs, mut was_off, mut step) = (true, false, 0_u32);
        let mut result = Ok(());
        while let Some(volts) = supply.next(&mut random) {
            step += 1;
            if step.is_multiple_of(25) {
                let goal_rad = arm.lock().position_rad.clone();
                if runs {
                    // Whether it is sent is not what this is about.
                    let _ = driven.link.send_set_point(&goal_rad, 100_000, 150_000);
                }
                let _ = driven.link.poll();
            }
            if volts < RESET_V {
                (runs, was_off) = (false, true);
                // A board in reset drives nothing.
                let state = &mut *arm.lock();
                state.torque_on = false;
                state.now_us += STEP_US;
            } else if !runs && volts > BOOT_V {
                runs = true;
                boots += 1;
                arm.reboot();
            }
            if runs {
                arm.step();
            }
            if was_off && result.is_ok() && arm.lock().torque_on {
                result = Err(format!("torque came on at {volts} V"));
            }
        }
        if !runs {
            boots += 1;
            arm.reboot();
        }
        if !was_off {
            result = Err("the supply did not break down".to_owned());
        }
        outcome.tried(
            result
                .and_then(|()| rests(&arm, 300_000))
                .and_then(|()| arms_again(&mut Loop::new(&session, &arm, Cable::new(&arm)), &arm, trial)),
        );
    }
    outcome.worst = format!("torque off with the reset; {boots} boots, none of which brought it back");
    outcome
}

/// Turns of a control period.
const PERIOD_TURNS: u32 = 5;

const PERIOD_US: u32 = PERIOD_TURNS * TURN_US as u32;

/// Supply of the servos.
const SERVOS_V: f32 = 12.0;

/// `limits.voltage_min_v` of their arm.
const VOLTAGE_MIN_V: f32 = 7.0;

/// Below this voltage a servo is held in reset.
const SERVO_RESET_V: f32 = 4.0;

/// Low readings after which the arm is to stop, and turns from one reading of a servo's voltage to the next at most.
const READINGS: u32 = 3;
const READING_TURNS: u32 = 4;

/// The core, its turns, and the supply of its servos.
struct Bench {
    core: Core<Paced>,
    clock: Arc<VirtualClock>,
    /// Whether a servo has lost its torque since the arm was driven.
    was_off: [bool; 2],
}

impl Bench {
    fn turn(&mut self) -> Turn {
        self.clock.advance_ns(1_000 * TURN_US);
        self.core.turn(self.clock.now_ns() / 1_000)
    }

    fn servo(&mut self, id: u8) -> &mut EmulatedServo<Feetech> {
        self.core.joints_mut().0.bus_mut().line_mut().bus().servo(id)
    }

    /// Gives the servos `volts`.
    fn supply(&mut self, volts: f32) {
        let reset = volts < SERVO_RESET_V;
        for id in [1, 2] {
            let servo = self.servo(id);
            servo.faults.voltage_v = Some(volts);
            servo.faults.silent = reset;
            if reset {
                servo.power_cycle();
            }
        }
    }

    /// Whether torque has come on again at a servo that had lost it.
    fn came_on(&mut self) -> bool {
        let mut came_on = false;
        for (at, id) in [1, 2].into_iter().enumerate() {
            let on = self.servo(id).torque_on();
            came_on |= on && self.was_off[at];
            self.was_off[at] |= !on;
        }
        came_on
    }
}

/// The host's end, whose waits are the core's turns.
struct Turning {
    end: HostEnd,
    bench: Bench,
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
        self.bench.turn();
        Ok(())
    }
}

/// The planar arm with two servos and a pose in which it can lie.
fn robot() -> Config {
    let path = root().join("configs/sim-planar.ron");
    let text = std::fs::read_to_string(path).expect("the shipped robot file");
    let arm = format!(
        "    arm: feetech(port: \"bus\", servos: [(id: 1), (id: 2, reversed: true)], rest_rad: [0.0, 0.6], \
         limits: (voltage_min_v: {VOLTAGE_MIN_V:?})),\n    capture: ("
    );
    let text = text.replace("    capture: (", &arm);
    Config::parse(Path::new("robot.ron"), text).expect("a sound robot file")
}

fn host(config: &Config) -> HostLink<Turning> {
    let Ok(Arm::Feetech(settings)) = Arm::of(config, None) else {
        panic!("the robot file names servos");
    };
    let servos = [1, 2].map(|id| EmulatedServo::new(id, 2048)).into();
    let line = MemoryLine::new(EmulatedBus::new(1_000_000, servos));
    let signals = Signals::default();
    let joints = Paced(
        settings
            .on_line(line, config, Arc::clone(&signals.e_stop))
            .expect("comes up"),
    );
    let clock = Arc::new(VirtualClock::default());
    let opening = Opening {
        config,
        signals: &signals,
    };
    let options = settings.hosted(&opening).expect("limits");
    let (core, end) = parts(joints, options, Arc::clone(&clock) as Arc<dyn Clock>);
    let bench = Bench {
        core,
        clock,
        was_off: [false; 2],
    };
    let mut link = HostLink::new(Turning { end, bench }, 2, 2_000_000);
    link.handshake().expect("the core answers");
    link
}

/// The supply of servos breaks down. The control loop ends when it hears of it, or when it hears nothing any more.
pub(crate) fn servos(scale: Scale) -> Outcome {
    let trials = scale.trials(1_000, 20);
    let halves: Vec<(Outcome, u32)> = std::thread::scope(|scope| {
        let threads: Vec<_> = [0, 1]
            .map(|half| scope.spawn(move || servos_in(trials.div_ceil(2), half)))
            .into();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a row does not panic"))
            .collect()
    });
    let mut outcome = Outcome::default();
    let mut worst_turns = 0;
    for (half, turns) in halves {
        outcome.trials += half.trials;
        outcome.failures += half.failures;
        outcome.examples.extend(half.examples);
        worst_turns = worst_turns.max(turns);
    }
    outcome.worst = format!(
        "the loop has stopped the arm {:.0} ms after the supply was too low for good; torque off, and off at full supply",
        f64::from(worst_turns) * TURN_US as f64 * 1e-3
    );
    outcome
}

fn servos_in(trials: u64, half: u64) -> (Outcome, u32) {
    let mut outcome = Outcome::default();
    let mut random = Stream::new(33 + half, 0x5E40);
    let config = robot();
    let mut worst_turns = 0;
    for _ in 0..trials {
        let result = ramp(&config, &mut random);
        if let Ok(turns) = result {
            worst_turns = worst_turns.max(turns);
        }
        outcome.tried(result.map(|_| ()));
    }
    (outcome, worst_turns)
}

/// One ramp. Returns how many turns the loop took to stop the arm.
fn ramp(config: &Config, random: &mut Stream) -> Result<u32, String> {
    let mut link = host(config);
    let mut goal_rad = [0.0, 0.0];
    let speed = [random.range(-0.05, 0.05), random.range(-0.05, 0.05)];
    let mut drive = |link: &mut HostLink<Turning>| {
        for (goal_rad, speed) in goal_rad.iter_mut().zip(speed) {
            *goal_rad += speed;
        }
        link.send_set_point(&goal_rad, PERIOD_US, 3 * PERIOD_US / 2)
    };
    for _ in 0..2 + random.below(10) {
        drive(&mut link).map_err(|error| error.to_string())?;
        for _ in 0..PERIOD_TURNS {
            link.wait(0).map_err(|error| error.to_string())?;
        }
        link.poll().map_err(|error| error.to_string())?;
    }
    // From within a turn to ten seconds.
    let mut supply = Supply::new(random, SERVOS_V, (0.0, VOLTAGE_MIN_V - 2.0), 500.0);
    supply.ripple_v = supply.ripple_v.min(0.3);
    supply.stays = supply.stays.max(2 * READINGS * READING_TURNS);
    let (mut turn, mut low_for, mut took) = (0_u32, 0, None);
    let mut came_on = false;
    // The loop, until it ends.
    while took.is_none() {
        let bench = &mut link.stream_mut().bench;
        let volts = supply.next(random).ok_or("the loop did not end")?;
        bench.supply(volts);
        came_on |= bench.came_on();
        low_for = if volts < VOLTAGE_MIN_V { low_for + 1 } else { 0 };
        bench.turn();
        came_on |= bench.came_on();
        turn += 1;
        if !turn.is_multiple_of(PERIOD_TURNS) {
            continue;
        }
        let heard = link.poll();
        let mut motors = Motors::default();
        link.stream().end.motors(&mut motors);
        let low = motors
            .trouble
            .is_some_and(|trouble| trouble.kind == TroubleKind::LowVoltage);
        let stopped = match &heard {
            Err(_) => true,
            Ok(report) => {
                low || report
                    .as_ref()
                    .is_some_and(|report| report.state != ArmState::Active)
            }
        };
        if stopped {
            // The port may be gone.
            let _ = link.send_stop();
            took = Some(low_for);
        } else {
            drive(&mut link).map_err(|error| error.to_string())?;
        }
    }
    // The program ends: it lets go of its end, and the core lays the arm down.
    let Turning { end, mut bench } = link.into_stream();
    drop(end);
    let mut ended = false;
    for _ in 0..2_000 {
        let volts = supply.next(random);
        bench.supply(volts.unwrap_or(SERVOS_V));
        came_on |= bench.came_on();
        if !ended {
            ended = matches!(bench.turn(), Turn::Ended { .. });
        }
        came_on |= bench.came_on();
        if ended && volts.is_none() {
            break;
        }
    }
    let on = [1, 2].map(|id| bench.servo(id).torque_on());
    let took = took.unwrap_or(u32::MAX);
    let bound = READINGS * READING_TURNS + PERIOD_TURNS + 1;
    match (came_on, on, took <= bound, ended) {
        (false, [false, false], true, true) => Ok(took),
        _ => Err(format!(
            "torque {on:?}, came on: {came_on}; the loop ended after {took} turns of low supply ({bound} allowed), the core: {ended}"
        )),
    }
}
