//! An emergency stop that is asked for while the arm is not open.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use armillary::e_stop::channel::{self, Channel};
use armillary::e_stop::{self, Ending, Unopened, Watch};
use devices::emulation::{EmulatedBus, EmulatedServo, serve};
use devices::feetech::Feetech;
use devices::servo_bus::Family as _;
use devices::{Arm, Opening};
use robot::Config;
use robot::device::e_stop::Pressed;
use robot::device::{EStopLine as _, Signals, Stopped};

/// The shipped planar arm, with two servos at `port`.
fn config(port: &Path) -> Config {
    let text = std::fs::read_to_string(crate::root().join("configs/sim-planar.ron")).expect("a robot file");
    let arm = format!("    arm: feetech(port: {port:?}, servos: [(id: 1), (id: 2)]),\n    capture: (");
    let text = text.replacen("    capture: (", &arm, 1);
    Config::parse(Path::new("servos.ron"), text).expect("a sound robot file")
}

/// Why the arm of `config` is not opened.
fn refused(watch: &mut Watch, config: &Config, signals: &Signals) -> String {
    let mut arm = Arm::of(config, None).expect("named");
    let opened = e_stop::open(watch, &mut arm, &Opening { config, signals });
    opened.map(|_| ()).expect_err("it is not opened").to_string()
}

#[test]
fn an_arm_that_holds_is_let_go_by_an_emergency_stop_while_it_is_opened() {
    let mut servos = [1, 2].map(|id| EmulatedServo::<Feetech>::new(id, 2048));
    for servo in &mut servos {
        servo.set(Feetech::ROLES.torque_enable, 1);
    }
    let end = serve(EmulatedBus::new(1_000_000, servos.into())).expect("a terminal");
    let config = config(end.path());
    let signals = Signals::default();
    let mut watch = Watch::start(&signals, &config.realtime).expect("signals");
    signals.e_stop.store(true, Ordering::SeqCst);
    let error = refused(&mut watch, &config, &signals);
    assert!(error.contains("while the arm was opened"), "{error}");
    let ending = watch.end();
    assert!(
        matches!(
            ending,
            // The port was opened for it, at a time that is not known.
            Ending::Confirmed {
                stopped: Stopped::LetGo,
                sent_after: None,
                ..
            }
        ),
        "{ending:?}"
    );
    let words = ending.words().expect("it was asked for");
    assert!(words.contains("this arm has no latch"), "{words}");
    let mut bus = end.finish().expect("it served");
    for id in [1, 2] {
        assert!(!bus.servo(id).torque_on(), "servo {id} holds");
    }
}

#[test]
fn an_arm_is_not_opened_if_no_other_program_can_ask() {
    let servos = [1, 2].map(|id| EmulatedServo::<Feetech>::new(id, 2048)).into();
    let end = serve(EmulatedBus::new(1_000_000, servos)).expect("a terminal");
    let config = config(end.path());
    let _other = Channel::open(end.path()).expect("a socket");
    let signals = Signals::default();
    let mut watch = Watch::start(&signals, &config.realtime).expect("signals");
    let error = refused(&mut watch, &config, &signals);
    assert!(error.contains("another program listens"), "{error}");
    assert_eq!(watch.end(), Ending::NotAsked);
}

/// Whoever asks is told, and it is tried for as long as the program lives.
#[test]
fn an_arm_that_is_not_there_confirms_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let port = dir.path().join("unplugged");
    let mut config = config(&port);
    // The thread of the emergency stop is above it, where the machine has priorities.
    config.realtime.plan_priority = 10;
    let signals = Signals::default();
    let mut watch = Watch::start(&signals, &config.realtime).expect("signals");
    let error = refused(&mut watch, &config, &signals);
    assert!(error.contains("unplugged"), "{error}");
    let mut doubts = 0;
    let answer = channel::ask(&port, Duration::from_secs(60), || doubts += 1).expect("it answers");
    let answer = answer.expect("it listens");
    assert!(answer.starts_with(e_stop::NOT_CONFIRMED), "{answer}");
    assert!(answer.contains("unplugged"), "{answer}");
    assert!(matches!(watch.end(), Ending::NotConfirmed(_)));
}

/// An answer can be lost, and a port can be about to be closed: it is tried again for two seconds.
#[test]
fn an_arm_that_is_not_open_is_pressed_again_before_it_is_given_up() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let config = config(&dir.path().join("unplugged"));
    let arm = Arm::of(&config, None).expect("named");
    let mut line = Unopened::new(arm, config);
    let begun = Instant::now();
    let error = loop {
        match line.press(Duration::from_millis(50)) {
            Ok(Pressed::Sent(None)) if begun.elapsed() < Duration::from_secs(60) => {}
            Ok(pressed) => panic!("{pressed:?}, and it is not given up"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("unplugged"), "{error}");
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn an_ending_says_how_long_it_took() {
    let ending = |sent_after| Ending::Confirmed {
        stopped: Stopped::LetGo,
        sent_after,
        confirmed_after: Duration::from_micros(12_340),
    };
    for (sent_after, words) in [
        (
            Some(Duration::from_micros(1_500)),
            "(sent after 1.5 ms, confirmed after 12.3 ms)",
        ),
        (None, "(confirmed after 12.3 ms)"),
    ] {
        let said = ending(sent_after).words().expect("it was asked for");
        assert!(said.ends_with(words), "{said}");
    }
}

#[test]
fn an_emergency_stop_without_a_way_to_an_arm_is_not_confirmed() {
    let signals = Signals::default();
    let watch = Watch::start(&signals, &crate::realtime()).expect("signals");
    signals.e_stop.store(true, Ordering::SeqCst);
    let ending = watch.end();
    assert!(
        matches!(&ending, Ending::NotConfirmed(why) if why.contains("not open")),
        "{ending:?}"
    );
}
