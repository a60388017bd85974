//! Emulated servos behind a pseudo-terminal, in real time. Limits forgive a machine that is busy.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, serve};
use devices::feetech::Feetech;
use devices::servo_bus::joints::{ArmSettings, Direction, Homing, ServoArm, ServoJoint, Tuning};
use devices::servo_bus::{Bus, Line, LineError, Timing};
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use rustypot::DynamixelProtocolHandler;

/// A terminal as a line.
struct Terminal {
    file: File,
    origin: Instant,
}

impl Terminal {
    fn open(path: &Path) -> Self {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        let file = nix::fcntl::open(path, flags, Mode::empty()).expect("the terminal opens");
        Self {
            file: file.into(),
            origin: Instant::now(),
        }
    }
}

impl Line for Terminal {
    fn name(&self) -> &str {
        "terminal"
    }

    fn now_us(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let io = |source| LineError::Io {
            line: "terminal".to_owned(),
            source,
        };
        self.file.write_all(bytes).map_err(io)
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LineError> {
        match self.file.read(into) {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(source) => Err(LineError::Io {
                line: "terminal".to_owned(),
                source,
            }),
        }
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LineError> {
        let timeout = PollTimeout::try_from(timeout_us.div_ceil(1_000)).unwrap_or(PollTimeout::MAX);
        // What happened, the next read tells.
        let _ = poll(&mut [PollFd::new(self.file.as_fd(), PollFlags::POLLIN)], timeout);
        Ok(())
    }
}

fn servos<P: Emulated>() -> EmulatedBus<P> {
    EmulatedBus::new(
        1_000_000,
        (1..=6)
            .map(|id| EmulatedServo::new(id, 2000 + u16::from(id)))
            .collect(),
    )
}

#[test]
fn an_arm_behind_a_terminal_is_brought_up_and_driven() {
    fn check<P: Emulated>() {
        let end = serve(servos::<P>()).expect("a terminal");
        let timing = Timing {
            turnaround_us: 100_000,
            retries: 5,
            ..Timing::default()
        };
        let bus = Bus::<P, _>::new(Terminal::open(end.path()), timing);
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
        settings.budget_us = 2_000_000;
        settings.bring_up_us = 2_000_000;
        settings.watchdog_s = 0.0;
        let mut arm = ServoArm::new(bus, settings).expect("all answer");
        let begun = Instant::now();
        let reached = |arm: &ServoArm<P, Terminal>| {
            let near = |goal: f32, at: Option<&f32>| at.is_some_and(|at| (at - goal).abs() < 0.01);
            (0..6).all(|joint| near(0.2, robot::device::Joints::joints(arm).position_rad.get(joint)))
        };
        while !reached(&arm) {
            arm.period(&[0.2; 6], true).expect("all answer");
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{:?}",
                arm.bus().counts()
            );
        }
        drop(arm);
        let bus = end.finish().expect("the thread ends");
        assert!(bus.servos.iter().all(EmulatedServo::torque_on));
    }
    check::<Feetech>();
    check::<Dynamixel>();
}

/// A library of others reads and writes the same servos.
#[test]
fn rustypot_speaks_to_emulated_servos() {
    fn check<P: Emulated>(peer: &DynamixelProtocolHandler) {
        let end = serve(servos::<P>()).expect("a terminal");
        let path = end.path().to_str().expect("a path of plain letters");
        let mut port = serialport::new(path, 1_000_000)
            .timeout(Duration::from_secs(20))
            .open()
            .expect("the terminal opens");
        let port = port.as_mut();
        assert!(peer.ping(port, 3).expect("the port works"));
        let (present, goal) = (P::ROLES.present_position, P::ROLES.goal_position);
        let ids = [1, 2, 3, 4, 5, 6];
        let read = peer
            .sync_read(port, &ids, present.address as u8, present.width)
            .expect("all answer");
        for (id, bytes) in ids.iter().zip(read) {
            assert_eq!(present.decode(&bytes), Some(2000 + i64::from(*id)));
        }
        let goals = ids
            .map(|id| goal.encode(1500 + i64::from(id)).expect("fits")[..usize::from(goal.width)].to_vec());
        peer.sync_write(port, &ids, goal.address as u8, &goals)
            .expect("the port works");
        let read = peer
            .read(port, 4, goal.address as u8, goal.width)
            .expect("it answers");
        assert_eq!(goal.decode(&read), Some(1504));
        peer.write(port, 5, P::ROLES.torque_enable.address as u8, &[1])
            .expect("it answers");
        let bus = end.finish().expect("the thread ends");
        let holding: Vec<u8> = bus
            .servos
            .iter()
            .filter(|servo| servo.torque_on())
            .map(EmulatedServo::id)
            .collect();
        assert_eq!(holding, [5]);
    }
    check::<Feetech>(&DynamixelProtocolHandler::v1());
    check::<Dynamixel>(&DynamixelProtocolHandler::v2());
}
