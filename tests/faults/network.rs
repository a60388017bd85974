//! The network, and peers that mean harm.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use devices::{FrameError, FrameSocket};
use firmware_bridge::frames::{BridgeInfo, FrameCause, FrameHeader, Reply, Welcome, write_header};
use robot::Frame;
use robot::device::{FrameSource, Picture};
use robot::philox::Stream;

use crate::beside::Sim;
use crate::frame_socket;
use crate::process::program;
use crate::row::{Outcome, Scale};
use crate::side_by_side::side_by_side;

/// Tables of the kernel's in which every socket of a network is.
const TABLES: [&str; 9] = [
    "tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "packet",
];

/// Flag of a socket that listens, in the kernel's table of sockets within the machine.
const LISTENS: u32 = 1 << 16;

/// The process, and those that it has started.
fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let parents: Vec<(u32, u32)> = files::list(Path::new("/proc"))
        .unwrap_or_default()
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?;
            Some((pid, parent.trim().parse().ok()?))
        })
        .collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            parents
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found
}

/// Numbers of a process's sockets.
fn sockets(pid: u32) -> BTreeSet<String> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return BTreeSet::new();
    };
    descriptors
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(name.to_owned())
        })
        .collect()
}

/// Sockets of a process that belong to a network, or that somebody else on this machine could connect to.
fn open_to_others(pid: u32) -> Vec<String> {
    let own = sockets(pid);
    let mut found = Vec::new();
    for table in TABLES {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            if line.split_whitespace().skip(8).any(|word| own.contains(word)) {
                found.push(format!("{table}: {}", line.trim()));
            }
        }
    }
    let text = fs::read_to_string(format!("/proc/{pid}/net/unix")).unwrap_or_default();
    for line in text.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(flags), Some(number)) = (words.get(3), words.get(6)) else {
            continue;
        };
        let listens = u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & LISTENS != 0);
        if !listens || !own.contains(*number) {
            continue;
        }
        let name = words.get(7).copied().unwrap_or_default();
        let path = fs::read_link(format!("/proc/{pid}/cwd"))
            .unwrap_or_default()
            .join(name);
        // One without a file has no owner. One that has just been removed is reached by nobody.
        let private = !name.starts_with('@')
            && fs::metadata(&path).map_or(true, |metadata| metadata.permissions().mode() & 0o077 == 0);
        if !private {
            found.push(format!("unix: {name}"));
        }
    }
    found
}

/// What the scan finds of this program, once it does listen: otherwise the scan shows nothing.
fn control() -> Result<(), String> {
    let before = open_to_others(std::process::id()).len();
    let tcp = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let udp = UdpSocket::bind("[::1]:0").or_else(|_| UdpSocket::bind("127.0.0.1:0"));
    let udp = udp.map_err(|error| error.to_string())?;
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = dir.path().join("open");
    let unix = UnixListener::bind(&path).map_err(|error| error.to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).map_err(|error| error.to_string())?;
    let found = open_to_others(std::process::id());
    drop((tcp, udp, unix));
    if found.len() == before + 3 {
        Ok(())
    } else {
        Err(format!("the scan does not see what listens: {found:?}"))
    }
}

/// Scans a program from its start to its end.
fn scan(child: &mut Child, name: &str, outcome: &mut Outcome) {
    loop {
        for pid in tree(child.id()) {
            let found = open_to_others(pid);
            outcome.tried(if found.is_empty() {
                Ok(())
            } else {
                Err(format!("{name}: {}", found.join("; ")))
            });
            outcome.measured += sockets(pid).len() as u64;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn armillary(arguments: &[&str], out: &Path) -> Child {
    Command::new(program())
        .args(arguments)
        .arg("--out")
        .arg(out)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// No program opens a socket of a network, or one that others could connect to.
pub(crate) fn scans(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.tried(control());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for trial in 0..scale.trials(5, 1) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut sim = Sim::start(&program(), &root);
        let mut run = sim
            .run(program(), &[], &format!("run-{trial}"), "8")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        scan(&mut run, "run", &mut outcome);
        for pid in tree(sim.child.id()) {
            let found = open_to_others(pid);
            outcome.tried(if found.is_empty() {
                Ok(())
            } else {
                Err(format!("sim: {}", found.join("; ")))
            });
            outcome.measured += sockets(pid).len() as u64;
        }
        drop(sim.child.try_wait());
        let model = [
            "--robot",
            "configs/sim-planar.ron",
            "--bundle",
            "models/reach-planar",
        ];
        for (name, more) in [
            (
                "record",
                &["--policy", "planner", "--episodes", "2", "--ticks", "8"][..],
            ),
            ("eval", &["--agents", "agent", "--episodes", "2", "--ticks", "8"]),
        ] {
            let arguments = [&[name], &model[..], more].concat();
            let mut child = armillary(&arguments, &dir.path().join(name));
            scan(&mut child, name, &mut outcome);
            let ended = child.wait();
            outcome.tried(match ended {
                Ok(status) if status.success() => Ok(()),
                other => Err(format!("{name}: {other:?}")),
            });
        }
    }
    outcome.worst = format!("{} sockets looked at, all within the machine", outcome.measured);
    outcome
}

/// Longest wait of a client for an answer.
const ANSWER: Duration = Duration::from_millis(40);

/// Answers that a client waits for in a trial, each for [`ANSWER`] at most, and what a busy machine adds.
const BOUND: Duration = Duration::from_secs(5);

/// What a server does after what it says at first.
#[derive(Debug, Clone, Copy)]
enum Then {
    Closes,
    IsSilent,
    /// Says things that nobody has asked for, for as long as anybody listens.
    Floods,
    /// Promises the largest picture, and never ends it.
    Trickles,
}

fn header(cause: FrameCause, side: u16) -> Reply {
    Reply::Frame(FrameHeader {
        seq: 1,
        device_time_us: 2,
        captured_monotonic_ns: 3,
        reward: f32::NAN,
        cause,
        ended: false,
        width: side,
        height: side,
    })
}

/// What a server says: a conversation with changes, or a sound beginning of one.
fn says(random: &mut Stream, sound: &[Vec<u8>]) -> Vec<u8> {
    let welcome = Reply::Welcome(Welcome {
        protocol_version: 2,
        earlier: None,
    });
    let mut bytes = Vec::new();
    if random.below(2) == 0 {
        write_header(&welcome, &mut bytes);
        if random.below(2) == 0 {
            let info = BridgeInfo {
                lockstep: random.below(2) == 0,
                period_us: random.next_u32(),
                joints: random.next_u32() as u8,
            };
            write_header(&Reply::Bridge(info), &mut bytes);
        }
        return bytes;
    }
    bytes.extend_from_slice(&sound[random.below(sound.len())][1..]);
    for _ in 0..random.below(6) {
        let at = random.below(bytes.len());
        match random.below(3) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes.truncate(at.max(1)),
            _ => bytes.insert(at, random.next_u32() as u8),
        }
    }
    bytes
}

/// Serves one client.
fn serve(stream: &mut UnixStream, random: &mut Stream, sound: &[Vec<u8>], then: Then) {
    // A client that has seen enough closes, and writing ends by an error.
    let _ = stream.write_all(&says(random, sound));
    match then {
        Then::Closes => {}
        Then::IsSilent => {
            let _ = std::io::copy(stream, &mut std::io::sink());
        }
        Then::Floods => {
            let mut bytes = Vec::new();
            for _ in 0..200 {
                write_header(&header(FrameCause::Stream, 0), &mut bytes);
            }
            while stream.write_all(&bytes).is_ok() {}
        }
        Then::Trickles => {
            let mut bytes = Vec::new();
            write_header(&header(FrameCause::Reset, 4096), &mut bytes);
            let _ = stream.write_all(&bytes);
            while stream.write_all(&[7]).is_ok() {
                std::thread::park_timeout(Duration::from_millis(1));
            }
        }
    }
}

/// Everything that a client asks.
fn talk(path: &Path) -> Result<(), FrameError> {
    let mut frame = Frame::new(32);
    let mut socket = FrameSocket::connect(path, ANSWER)?;
    socket.describe()?;
    socket.reset(1, &mut frame)?;
    let _ = socket.step(1, &mut frame)?;
    let (mut camera, _task) = socket.split();
    let mut picture = Picture::default();
    for _ in 0..50 {
        if camera.poll(&mut picture).is_err() {
            break;
        }
    }
    Ok(())
}

/// Servers of pictures that lie, flood, fall silent in the middle, or never end: an error, soon.
pub(crate) fn servers(scale: Scale) -> Outcome {
    let sound = frame_socket::Check::default().seeds();
    let results = side_by_side(8, scale.trials(1_000, 60), |trial| {
        let mut random = Stream::new(trial, 0x5E21);
        let then = [Then::Closes, Then::IsSilent, Then::Floods, Then::Trickles][random.below(4)];
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("camera");
        let listener = UnixListener::bind(&path).expect("a socket");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                if let Ok((mut stream, _)) = listener.accept() {
                    serve(&mut stream, &mut random, &sound, then);
                }
            });
            let begun = Instant::now();
            let talked = std::panic::catch_unwind(|| talk(&path));
            // A server that nobody has reached waits for somebody.
            drop(UnixStream::connect(&path));
            let took = begun.elapsed();
            match talked {
                Err(_) => Err(format!("trial {trial}, then {then:?}: panics")),
                Ok(_) if took > BOUND => Err(format!("trial {trial}, then {then:?}: {took:?}")),
                Ok(Err(error)) if !error.to_string().contains("camera") => {
                    Err(format!("trial {trial}: the error names no socket: {error}"))
                }
                Ok(_) => Ok(took),
            }
        })
    });
    let mut outcome = Outcome::default();
    let mut worst = Duration::ZERO;
    for result in results {
        outcome.tried(result.map(|took| worst = worst.max(took)));
    }
    outcome.worst = format!("over within {:.2} s", worst.as_secs_f64());
    outcome
}

/// Clients of `sim` that send anything: it goes on, and serves the next.
pub(crate) fn clients(scale: Scale) -> Outcome {
    let mut outcome = Outcome::default();
    let sound = frame_socket::Check::default().seeds();
    let mut sim = Sim::start(&program(), &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    let path = sim.dir.path().join("camera");
    for trial in 0..scale.trials(2_000, 100) {
        let mut random = Stream::new(trial, 0xC11E);
        let mut bytes = says(&mut random, &sound);
        // A request to end the simulator is its owner's right.
        bytes.retain(|byte| *byte != 2);
        let connected = UnixStream::connect(&path).map(|mut client| {
            // A simulator that has understood enough closes while this is written.
            let _ = client.write_all(&bytes);
            let mut welcome = [0; 2];
            let _ = client.set_read_timeout(Some(BOUND));
            client.read_exact(&mut welcome)
        });
        outcome.tried(match connected {
            Ok(Ok(())) => Ok(()),
            other => Err(format!("trial {trial}: not served: {other:?}")),
        });
    }
    let run = sim.run(program(), &[], "after", "3").output();
    let alive = matches!(sim.child.try_wait(), Ok(None));
    outcome.tried(match run {
        Ok(run) if run.status.success() && alive => Ok(()),
        other => Err(format!(
            "the simulator lives: {alive}; a run afterwards: {other:?}"
        )),
    });
    outcome.worst = "serves an arm afterwards".to_owned();
    outcome
}
