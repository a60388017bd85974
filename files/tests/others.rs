//! What came from others: names that lead elsewhere, libraries that panic, and who may connect to a socket.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::{Command, Output};

/// Runs one test of this file in a process of its own.
fn alone(test: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .output()
        .unwrap()
}

#[test]
fn a_panic_becomes_an_error_on_every_thread_at_once() {
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn(move || {
                    (0..200)
                        .map(|round| {
                            files::guarded(|| {
                                assert!(round % 2 == 0, "thread {number}\nround {round}");
                                round
                            })
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (number, thread) in results.iter().enumerate() {
        for (round, result) in thread.iter().enumerate() {
            match result {
                Ok(value) => assert!(*value == round && round % 2 == 0),
                Err(panic) => assert!(
                    panic
                        .to_string()
                        .contains(&format!("thread {number} round {round}")),
                    "{panic}"
                ),
            }
        }
    }
}

#[test]
fn a_fence_within_a_fence_keeps_what_the_outer_one_has() {
    let outer = files::guarded(|| {
        let inner = files::guarded(|| -> u8 { panic!("inner") });
        assert!(inner.unwrap_err().to_string().contains("inner"));
        panic!("outer")
    });
    let outer: Result<(), _> = outer;
    assert!(outer.unwrap_err().to_string().contains("outer"));
}

/// Started by the next test in a process of its own, whose standard error it reads.
#[test]
#[ignore = "part of another test"]
fn panics_inside_and_outside() {
    let _ = files::guarded(|| -> u8 { panic!("inside of the fence") });
    let _ = std::panic::catch_unwind(|| panic!("outside of the fence"));
}

#[test]
fn only_panics_outside_of_a_fence_are_printed() {
    let output = alone("panics_inside_and_outside");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("outside of the fence"), "{said}");
    assert!(!said.contains("inside of the fence"), "{said}");
}

#[test]
fn a_name_is_read_only_within_its_folder() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::write(parent.path().join("secret"), "secret").unwrap();
    fs::write(folder.join("own"), "own").unwrap();
    symlink("own", folder.join("link")).unwrap();
    symlink("../secret", folder.join("out")).unwrap();
    symlink(".", folder.join("here")).unwrap();
    let absolute = parent.path().join("secret").display().to_string();
    for name in ["own", "link"] {
        assert_eq!(files::read_inside(&folder, name, 3).unwrap(), b"own", "{name}");
    }
    for name in [
        absolute.as_str(),
        "../secret",
        "out",
        "here/own",
        "./own",
        "own/",
        "",
        ".",
        "..",
    ] {
        let error = files::read_inside(&folder, name, 100).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{name}: {error}");
    }
    assert_eq!(
        files::read_inside(&folder, "none", 9).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        files::read_inside(&folder, "own", 2).unwrap_err().kind(),
        ErrorKind::FileTooLarge
    );
}

/// Started by the next test in a process of its own: the umask belongs to all threads.
#[test]
#[ignore = "part of another test"]
fn sockets_under_every_umask() {
    let dir = tempfile::tempdir().unwrap();
    for umask in [0o000, 0o022, 0o077, 0o777] {
        let path = dir.path().join(format!("{umask:o}"));
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(umask));
        let listener = files::listen_privately(&path);
        nix::sys::stat::umask(before);
        let listener = listener.unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "umask {umask:o}");
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
        let error = files::listen_privately(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
    println!("every umask was tried");
}

#[test]
fn a_socket_is_its_owners_whatever_the_umask() {
    let output = alone("sockets_under_every_umask");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("every umask was tried"),
        "{said}"
    );
}
