//! An arm behind a USB serial port that is pulled out and plugged in again: `usb_serial ftdi|acm UNPLUGS`.
//!
//! The arm is the firmware core with joints that follow it. It runs in a thread of its own at the far end of the cable, and is driven by
//! [`SerialLink`] at the near end. What it must never do is watched there, at the arm: between a cable that is pulled out and the first
//! command after a new handshake its set point comes to rest and stays. Meant for a small virtual machine: `cargo xtask vm serial`.
//! There the cable of `ftdi` goes from a USB port of the emulator to a plain serial port of it, and that of `acm` to a gadget of the
//! kernel's.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use devices::link::ByteStream;
use devices::serial::SerialStream;
use devices::{SerialLink, SerialOptions};
use firmware_bridge::firmware::{FirmwareOptions, Identity};
use firmware_bridge::fresh;
use firmware_bridge::wire::{Command, HostToArm, JointVec, MAX_FRAME_BYTES, encode};
use firmware_bridge::{FirmwareCore, FirmwareLimits, FirmwareState, JointLimits};
use robot::device::{ArmState, JointBus, LinkError};

const JOINTS: usize = 3;
const BAUD: u32 = 115_200;
const PERIOD: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(2);
const WATCHDOG_US: u64 = 250_000;
const TORQUE_GRACE_US: u64 = 1_500_000;
/// How far a command goes beyond the arm's set point.
const STEP_RAD: f32 = 0.02;
/// How long anything may take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(20);
/// After how long a cable is plugged in again.
const AGAIN: Duration = Duration::from_millis(500);
/// One unplugging in so many is plugged in again at once, while the arm still moves.
const AT_ONCE_EVERY: u32 = 5;
/// One in so many stays out until the arm has let go.
const LONG_EVERY: u32 = 12;

const MONITOR: &str = "/dev/ttyS2";
const CONTROLLER: &str = "/sys/kernel/config/usb_gadget/arm/UDC";

type Failure = Box<dyn std::error::Error>;

/// The two kinds of cable.
#[derive(Clone, Copy)]
enum Cable {
    /// A USB port of the emulator, and a plain serial port at the arm's end.
    Ftdi,
    /// A gadget of the kernel's own, on a controller of software.
    Acm,
}

/// Whoever pulls the cable out.
enum Hand {
    /// The emulator's monitor, which reads commands from a serial port.
    Monitor(SerialStream),
    /// The file that says which controller the gadget is on.
    Controller(PathBuf),
}

impl Hand {
    fn of(cable: Cable) -> Result<Self, Failure> {
        match cable {
            Cable::Acm => Ok(Self::Controller(PathBuf::from(CONTROLLER))),
            Cable::Ftdi => {
                let mut monitor = SerialStream::open(MONITOR, BAUD)?;
                // Its greeting may have come back to it as an echo, before the port was told to have none: end that line.
                std::thread::sleep(PERIOD);
                monitor.write(b"\n")?;
                Ok(Self::Monitor(monitor))
            }
        }
    }

    fn plug(&mut self, into: bool) -> Result<(), Failure> {
        match self {
            Self::Controller(path) => std::fs::write(path, if into { "dummy_udc.0\n" } else { "\n" })?,
            Self::Monitor(monitor) => {
                // What it has said so far is of no interest, but must not fill its buffer.
                let mut said = [0; 512];
                while monitor.read(&mut said)? > 0 {}
                let words = if into {
                    "device_add usb-serial,id=near,chardev=near,bus=usb.0,port=1,serial=NEAR0001\n"
                } else {
                    "device_del near\n"
                };
                // In parts: the emulated port takes sixteen bytes at a time.
                for part in words.as_bytes().chunks(16) {
                    monitor.write(part)?;
                }
            }
        }
        Ok(())
    }
}

impl Cable {
    /// The serial number of the near end.
    const NEAR: &str = "NEAR0001";

    fn near(self) -> Option<PathBuf> {
        let kind = match self {
            Self::Ftdi => "ttyUSB",
            Self::Acm => "ttyACM",
        };
        port(kind, Self::NEAR)
    }

    fn far(self) -> &'static str {
        match self {
            Self::Ftdi => "/dev/ttyS3",
            Self::Acm => "/dev/ttyGS0",
        }
    }
}

/// The serial port whose name begins with `kind` and whose USB device has the serial number `serial`.
fn port(kind: &str, serial: &str) -> Option<PathBuf> {
    let ports = std::fs::read_dir("/sys/class/tty").ok()?;
    ports.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        if !name.starts_with(kind) {
            return None;
        }
        let device = entry.path().join("device").canonicalize().ok()?;
        let said = device
            .ancestors()
            .find_map(|folder| std::fs::read_to_string(folder.join("serial")).ok())?;
        (said.trim() == serial).then(|| Path::new("/dev").join(name))
    })
}

/// What is asked of the arm.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It may move.
    Driven,
    /// The cable is out: it may move until its watchdog stops it.
    Stopping,
    /// It has come to rest and must stay there.
    AtRest,
}

/// What is seen of the arm at its own end.
struct Seen {
    phase: Phase,
    state: FirmwareState,
    /// When the cable was pulled out.
    unplugged: Instant,
    /// Longest time from there until rest.
    stop_most: Duration,
    /// Ticks at which a set point moved, or was followed, that should have stayed.
    unarmed_motions: u32,
    /// Commands that were refused since they belong to another session.
    refused: u32,
    path_rad: f32,
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{}", robot::complaint(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let usage = "usb_serial ftdi|acm UNPLUGS";
    let mut arguments = std::env::args().skip(1);
    let cable = match arguments.next().as_deref() {
        Some("ftdi") => Cable::Ftdi,
        Some("acm") => Cable::Acm,
        _ => return Err(usage.into()),
    };
    let unplugs: u32 = arguments.next().ok_or(usage)?.parse()?;
    let seen = Mutex::new(Seen {
        phase: Phase::AtRest,
        state: FirmwareState::Idle,
        unplugged: Instant::now(),
        stop_most: Duration::ZERO,
        unarmed_motions: 0,
        refused: 0,
        path_rad: 0.0,
    });
    let arm = arm().ok_or("no limits")?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("arm".to_owned())
            .spawn_scoped(scope, || serve(arm, cable, &seen, &over))?;
        let result = Hand::of(cable).and_then(|mut hand| {
            drive(&mut hand, cable, unplugs, &seen)?;
            // A port is not closed before what was written has gone, for which the cable must be in.
            plug_in(&mut hand, cable)
        });
        over.store(true, Ordering::Relaxed);
        let mut link = result?;
        while !thread.is_finished() {
            link.poll()?;
            std::thread::sleep(TICK);
        }
        Ok(())
    })
}

/// An arm that has just been switched on.
fn arm() -> Option<FirmwareCore> {
    let joint = JointLimits {
        position_min_rad: -1.5,
        position_max_rad: 1.5,
        velocity_max_rad_s: 1.0,
        acceleration_max_rad_s2: 8.0,
    };
    Some(FirmwareCore::new(FirmwareOptions {
        limits: FirmwareLimits::new(&[joint; JOINTS])?,
        watchdog_us: WATCHDOG_US,
        torque_grace_us: TORQUE_GRACE_US,
        jump_max_rad: 0.25,
        telemetry_every_ticks: 10,
        validity_max_us: 4 * WATCHDOG_US,
        firmware_version: [0, 1, 0],
        identity: Identity {
            boot_id: fresh::id(),
            ..Identity::default()
        },
    }))
}

/// The arm's end: reads, moves, answers, and looks at what the arm does. It opens its port again whenever that is gone.
fn serve(mut arm: FirmwareCore, cable: Cable, seen: &Mutex<Seen>, over: &AtomicBool) {
    let start = Instant::now();
    let (mut line, mut tried): (Option<SerialStream>, Option<Instant>) = (None, None);
    let mut position_rad = [0.3; JOINTS];
    let mut before: Option<JointVec> = None;
    let (mut bytes, mut frame) = ([0; 512], [0; MAX_FRAME_BYTES]);
    while !over.load(Ordering::Relaxed) {
        if line.is_none() && tried.is_none_or(|at| at.elapsed() > PERIOD) {
            tried = Some(Instant::now());
            line = SerialStream::open(cable.far(), BAUD).ok();
        }
        let now_us = || u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut gone = false;
        if let Some(line) = &mut line {
            loop {
                match line.read(&mut bytes) {
                    Ok(0) => break,
                    Ok(count) => arm.on_bytes(now_us(), &bytes[..count]),
                    Err(_) => {
                        gone = true;
                        break;
                    }
                }
            }
        }
        let drive = arm.tick(now_us(), &position_rad, &[0.0; JOINTS]);
        if drive.torque_on {
            for (position, set_point) in position_rad.iter_mut().zip(&drive.set_point_rad) {
                *position += 0.2 * (set_point - *position);
            }
        }
        loop {
            let sent = arm.poll_transmit(&mut frame);
            if sent.is_empty() {
                break;
            }
            // A line that takes nothing loses what is said.
            if let Some(Err(error)) = line.as_mut().map(|line| line.write(sent)) {
                gone |= !matches!(error, LinkError::WriteTimeout { .. });
            }
        }
        if gone {
            line = None;
        }
        let path_rad = match &before {
            Some(before) if drive.torque_on => before
                .iter()
                .zip(&drive.set_point_rad)
                .map(|(before, now)| (now - before).abs())
                .sum(),
            _ => 0.0,
        };
        before = drive.torque_on.then_some(drive.set_point_rad);
        look(&mut lock(seen), &arm, path_rad);
        std::thread::sleep(TICK);
    }
}

/// Looks at what the arm did in a tick.
fn look(seen: &mut Seen, arm: &FirmwareCore, path_rad: f32) {
    seen.state = arm.state();
    seen.path_rad += path_rad;
    let counted = arm.telemetry();
    seen.refused = counted.rejected_session;
    let moves = matches!(seen.state, FirmwareState::Active | FirmwareState::Stopping);
    match seen.phase {
        Phase::Driven => {}
        Phase::Stopping if moves => {}
        Phase::Stopping => {
            seen.stop_most = seen.stop_most.max(seen.unplugged.elapsed());
            seen.phase = Phase::AtRest;
        }
        Phase::AtRest => seen.unarmed_motions += u32::from(moves || path_rad > 0.0),
    }
}

/// Waits until `found` is something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return Ok(found);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{what}: not within {} s", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(TICK);
    }
}

/// What was counted at the near end.
#[derive(Default)]
struct Counted {
    closed: u32,
    closed_most: Duration,
    refused_before_handshake: u32,
    handshakes: u32,
    handshake_most_us: u64,
    held: u32,
    released: u32,
    stale_sent: u32,
}

/// The near end: drives the arm, pulls the cable out, and begins again.
fn drive(hand: &mut Hand, cable: Cable, unplugs: u32, seen: &Mutex<Seen>) -> Result<(), Failure> {
    let mut counted = Counted::default();
    // The last command of the session before.
    let mut last: Option<Command> = None;
    let begun = Instant::now();
    for number in 1..=unplugs {
        let mut link = plug_in(hand, cable)?;
        if let Err(LinkError::NoSession { .. }) = link.send_set_point(&[0.0; JOINTS], 1, 1) {
            counted.refused_before_handshake += 1;
        }
        if let Some(last) = &last {
            send_again(&mut link, last, seen)?;
            counted.stale_sent += 2;
        }
        let info = link.handshake()?;
        counted.handshakes += 1;
        counted.handshake_most_us = counted.handshake_most_us.max(info.round_trip_us);
        wait_for("an arm at rest", || {
            link.poll().ok()?;
            (lock(seen).phase == Phase::AtRest).then_some(())
        })?;
        // Longer than the arm would need to begin to move.
        let rest = Instant::now();
        while rest.elapsed() < 4 * PERIOD {
            link.poll()?;
            std::thread::sleep(TICK);
        }
        let command = move_about(&mut link, 6 + number % 7, seen)?;
        {
            let mut seen = lock(seen);
            (seen.phase, seen.unplugged) = (Phase::Stopping, Instant::now());
        }
        hand.plug(false)?;
        until_closed(link, &command.set_point_rad, &mut counted)?;
        last = Some(command);
        println!("| {number} | {:.1} s |", begun.elapsed().as_secs_f64());
        if number % AT_ONCE_EVERY == 0 {
            continue;
        }
        wait_for("an arm at rest", || {
            (lock(seen).phase == Phase::AtRest).then_some(())
        })?;
        if number % LONG_EVERY == 0 {
            wait_for("an arm that lets go", || {
                (lock(seen).state == FirmwareState::Released).then_some(())
            })?;
        }
        match lock(seen).state {
            FirmwareState::Held => counted.held += 1,
            FirmwareState::Released => counted.released += 1,
            other => return Err(format!("the arm rests in state {other:?}").into()),
        }
    }
    wait_for("an arm at rest", || {
        (lock(seen).phase == Phase::AtRest).then_some(())
    })?;
    report(unplugs, &counted, &lock(seen));
    Ok(())
}

/// Plugs the cable in until there is a port, and opens that. The emulator refuses for a moment where the last port is not quite gone.
fn plug_in(hand: &mut Hand, cable: Cable) -> Result<SerialLink, Failure> {
    let begun = Instant::now();
    hand.plug(true)?;
    loop {
        let plugged = Instant::now();
        let mut error = "there is no port".to_owned();
        while plugged.elapsed() < AGAIN {
            match cable.near().map(|port| open(&port)) {
                Some(Ok(link)) => return Ok(link),
                Some(Err(refused)) => error = refused.to_string(),
                None => std::thread::sleep(TICK),
            }
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("a port that was plugged in does not open: {error}").into());
        }
        // Refused where it is in already.
        let _ = hand.plug(true);
    }
}

fn open(port: &Path) -> Result<SerialLink, LinkError> {
    SerialLink::open(&SerialOptions {
        port: port.display().to_string(),
        baud: BAUD,
        joints: JOINTS,
        handshake_timeout: PATIENCE,
    })
}

/// Sends what a buffer on the way might have kept: the last command of the session before, and one after it that is too old.
fn send_again(link: &mut SerialLink, last: &Command, seen: &Mutex<Seen>) -> Result<(), Failure> {
    let before = lock(seen).refused;
    let next = Command {
        seq: last.seq.wrapping_add(1),
        ..last.clone()
    };
    let mut frame = [0; MAX_FRAME_BYTES];
    for command in [last.clone(), next] {
        let bytes = encode(&HostToArm::Command(command), &mut frame)?;
        link.stream_mut().write(bytes)?;
    }
    wait_for("an arm that refuses old commands", || {
        (lock(seen).refused >= before + 2).then_some(())
    })
}

/// Moves the arm for so many periods; returns the last command.
fn move_about(link: &mut SerialLink, periods: u32, seen: &Mutex<Seen>) -> Result<Command, Failure> {
    let report = wait_for("a report of the arm", || link.poll().ok()?)?;
    let mut set_point_rad = report.set_point_rad;
    let (mut state, mut sent) = (ArmState::Unheard, None);
    let move_time_us = PERIOD.as_micros() as u32;
    {
        let mut seen = lock(seen);
        (seen.phase, seen.path_rad) = (Phase::Driven, 0.0);
    }
    // Away from the limits.
    let step_rad = -STEP_RAD.copysign(set_point_rad[0]);
    let begun = Instant::now();
    let mut period = 0;
    // On until the arm follows: where this machine was held up, its watchdog may have stopped it meanwhile.
    while period < periods || state != ArmState::Active {
        for rad in &mut set_point_rad {
            *rad += step_rad;
        }
        match link.send_set_point(&set_point_rad, move_time_us, 3 * move_time_us) {
            Ok(seq) => sent = Some(seq),
            // It is behind, and is left out this time.
            Err(LinkError::InFlight { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        std::thread::sleep(PERIOD);
        if let Some(report) = link.poll()? {
            state = report.state;
            if state != ArmState::Active {
                set_point_rad = report.set_point_rad;
            }
        }
        period += 1;
        if begun.elapsed() > PATIENCE {
            return Err(format!("the arm does not follow, and is {state:?}").into());
        }
    }
    if lock(seen).path_rad == 0.0 {
        return Err("the arm says that it follows, and does not move".into());
    }
    Ok(Command {
        seq: sent.ok_or("no command was sent")?,
        host_time_us: 0,
        // Long ago.
        valid_until_us: 1,
        move_time_us,
        set_point_rad,
        // Of no session that is open when it is sent again.
        session_nonce: 1,
    })
}

/// Goes on driving until the link says that the port is closed.
fn until_closed(mut link: SerialLink, set_point_rad: &[f32], counted: &mut Counted) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let sent = match link.send_set_point(set_point_rad, 50_000, 100_000) {
            Ok(_) | Err(LinkError::InFlight { .. } | LinkError::WriteTimeout { .. }) => {
                link.poll().map(|_| ())
            }
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) if begun.elapsed() > PATIENCE => return Err("an unplugged port is not reported".into()),
            Ok(()) => std::thread::sleep(TICK),
            Err(LinkError::Closed { .. }) => {
                counted.closed += 1;
                counted.closed_most = counted.closed_most.max(begun.elapsed());
                return Ok(());
            }
            Err(error) => return Err(format!("an unplugged port is not called closed: {error}").into()),
        }
    }
}

fn report(unplugs: u32, counted: &Counted, seen: &Seen) {
    let ms = |time: Duration| 1e3 * time.as_secs_f64();
    println!(
        "figures: unplugs {unplugs}, closed {}, closed_most_ms {:.0}, stop_most_ms {:.0}, held {}, released {}, handshakes {}, \
         handshake_most_ms {:.0}, refused_before_handshake {}, stale_sent {}, stale_refused {}, unarmed_motions {}",
        counted.closed,
        ms(counted.closed_most),
        ms(seen.stop_most),
        counted.held,
        counted.released,
        counted.handshakes,
        counted.handshake_most_us as f64 / 1e3,
        counted.refused_before_handshake,
        counted.stale_sent,
        seen.refused,
        seen.unarmed_motions
    );
}
