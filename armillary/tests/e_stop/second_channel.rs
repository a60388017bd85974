//! The socket by which other programs ask, without any other program.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::Builder;
use std::time::Duration;

use armillary::e_stop::channel::{self, CONFIRMED, Channel, REQUEST, SOON};
use armillary::e_stop::{Ending, Watch};
use robot::device::e_stop::Pressed;
use robot::device::{EStopLine, LinkError, Signals, Stopped};

/// A way to an arm that confirms at once.
struct Willing;

impl EStopLine for Willing {
    fn port(&self) -> &str {
        "willing"
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn press(&mut self, _wait: Duration) -> Result<Pressed, LinkError> {
        Ok(Pressed::Confirmed(Stopped::LetGo))
    }
}

/// A port of a folder of its own: no other test has it.
fn port() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let port = dir.path().join("arm");
    (dir, port)
}

fn never() {
    panic!("there is no doubt");
}

#[test]
fn one_program_listens_for_a_port_and_none_after_it_has_ended() {
    let (_dir, port) = port();
    let first = Channel::open(&port).expect("a socket");
    let error = Channel::open(&port).expect_err("it is taken");
    assert!(error.to_string().contains("another program listens"), "{error}");
    drop(first);
    assert!(matches!(channel::ask(&port, SOON, never), Ok(None)));
    // A killed program leaves its socket behind.
    let path = channel::path(&port).expect("a folder");
    drop(UnixListener::bind(&path).expect("a socket"));
    drop(Channel::open(&port).expect("nobody listens"));
    assert!(!path.exists());
}

#[test]
fn two_ports_have_two_sockets_and_all_names_of_one_port_have_one() {
    let (dir, port) = port();
    let path = |port: &Path| channel::path(port).expect("a folder");
    assert_ne!(path(Path::new("/dev/arm-1")), path(Path::new("/dev/arm_1")));
    let long = |first: &str| PathBuf::from(format!("/{first}/{}", "arm".repeat(40)));
    assert_ne!(path(&long("left")), path(&long("right")));
    fs::write(&port, "").expect("a file");
    let other = dir.path().join("other");
    std::os::unix::fs::symlink(&port, &other).expect("a link");
    assert_eq!(path(&port), path(&other));
}

/// The number in the name is FNV-1a of the port, by its published examples.
#[test]
fn a_socket_has_the_tail_of_its_port_and_a_number_of_the_whole() {
    let (dir, _) = port();
    for (port, name) in [
        ("a", "a-af63dc4c8601ec8c.e-stop"),
        ("foobar", "foobar-85944171f73967e8.e-stop"),
    ] {
        let path = channel::path_in(dir.path(), Path::new(port)).expect("a folder");
        assert_eq!(path.file_name(), Some(name.as_ref()));
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_the_systems_error() {
    // The kernel's folder is there, and nothing can be made in it, whoever asks.
    let error = channel::path_in(Path::new("/sys"), Path::new("arm")).expect_err("no folder");
    assert_ne!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
}

#[test]
fn a_folder_that_others_can_open_is_refused() {
    let folders = tempfile::tempdir().expect("temporary folder");
    let port = Path::new("/dev/ttyUSB0");
    let path = channel::path_in(folders.path(), port).expect("a new folder");
    let folder = path.parent().expect("it is in one");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o750)).expect("mine");
    let error = channel::path_in(folders.path(), port).expect_err("others can open it");
    assert!(error.to_string().contains("remove it"), "{error}");
}

#[test]
fn a_program_that_does_not_answer_is_doubted_and_then_given_up() {
    let (_dir, port) = port();
    let channel = Channel::open(&port).expect("a socket");
    let mut doubts = 0;
    let patience = SOON + SOON / 2;
    let error = channel::ask(&port, patience, || doubts += 1).expect_err("nobody answers");
    assert_eq!(doubts, 1, "{error}");
    // One that ends without a word.
    let listener = channel.listener().try_clone().expect("a descriptor");
    listener.set_nonblocking(false).expect("a descriptor");
    let ends = Builder::new().name("asked".to_owned()).spawn(move || {
        // The first is of the question before.
        for _ in 0..2 {
            let (mut client, _) = listener.accept().expect("somebody asks");
            let mut asked = [0; REQUEST.len()];
            client.read_exact(&mut asked).expect("a question");
            assert_eq!(asked, REQUEST);
        }
    });
    let ends = ends.expect("a thread");
    let error = channel::ask(&port, patience, never).expect_err("it ends");
    assert!(error.to_string().contains("without an answer"), "{error}");
    ends.join().expect("it was asked");
}

/// It is not waited for whether more comes.
#[test]
fn an_answer_ends_where_the_longest_one_does() {
    let (_dir, port) = port();
    let channel = Channel::open(&port).expect("a socket");
    let listener = channel.listener().try_clone().expect("a descriptor");
    listener.set_nonblocking(false).expect("a descriptor");
    let talks = Builder::new().name("asked".to_owned()).spawn(move || {
        let (mut client, _) = listener.accept().expect("somebody asks");
        client.write_all(&[b'a'; 4096]).expect("it listens");
        // Until the other side has closed.
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
    });
    let talks = talks.expect("a thread");
    let answer = channel::ask(&port, SOON, never).expect("it answers");
    assert_eq!(answer.map(|answer| answer.len()), Some(4096));
    talks.join().expect("it was asked");
}

/// Whoever connects and asks for nothing, or for something else, keeps nobody out.
#[test]
fn the_emergency_stop_is_asked_for_by_its_word_alone_and_by_anybody_who_connects_later() {
    let (_dir, port) = port();
    let signals = Signals::default();
    let mut watch = Watch::start(&signals, &crate::realtime()).expect("signals");
    watch.listen(&port).expect("a socket");
    watch.listen(&port).expect("the socket of before");
    let path = channel::path(&port).expect("a folder");
    let connect = || UnixStream::connect(&path).expect("it listens");
    let mut other = connect();
    other.write_all(b"e-stop?").expect("it reads");
    let mut answer = Vec::new();
    other.read_to_end(&mut answer).expect("it is left alone");
    assert!(answer.is_empty(), "{answer:?}");
    assert!(!watch.asked());
    let mut idle: Vec<UnixStream> = (0..12).map(|_| connect()).collect();
    watch.guard(Box::new(Willing));
    let answer = channel::ask(&port, Duration::from_secs(60), never).expect("it answers");
    let answer = answer.expect("it listens");
    assert!(answer.starts_with(CONFIRMED), "{answer}");
    assert!(answer.contains("switches torque on again"), "{answer}");
    // It came first, and eight may wait.
    let mut answer = Vec::new();
    idle[0].read_to_end(&mut answer).expect("it is left alone");
    assert!(answer.is_empty(), "{answer:?}");
    assert!(matches!(
        watch.end(),
        Ending::Confirmed {
            stopped: Stopped::LetGo,
            ..
        }
    ));
}
