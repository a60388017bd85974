//! The socket by which other programs reach the emergency stop of the program that drives an arm.
//!
//! Whoever may open the socket (the same user: mode 0600 in a folder of mode 0700) writes `e-stop` and a line feed, and reads one line:
//! what the arm said. Nothing else is understood, and nothing else can be asked for.

use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

/// What asks for the emergency stop.
pub const REQUEST: &[u8] = b"e-stop\n";

/// How an answer begins that tells of a confirmed stop.
pub const CONFIRMED: &str = "confirmed: ";

/// A program that drives an arm answers within this, unless it stands still or its arm does not answer it.
pub const SOON: Duration = Duration::from_secs(1);

/// The longest answer that is read.
const ANSWER_BYTES_MAX: usize = 4096;

/// The folder in which the folders of all users are. It depends on nothing that differs between two terminals, a service and a job of cron of
/// one user, and stays when the user logs out while a program drives on.
const FOLDERS: &str = "/tmp";

/// Folder for the sockets of this user. It is made if it is not there.
///
/// # Errors
/// The operating system's, and a folder that others can open.
fn folder(folders: &Path) -> io::Result<PathBuf> {
    let uid = Uid::effective();
    let folder = folders.join(format!("armillary-{uid}"));
    match std::fs::DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let meta = std::fs::symlink_metadata(&folder)?;
    if meta.is_dir() && meta.uid() == uid.as_raw() && meta.mode() & 0o077 == 0 {
        return Ok(folder);
    }
    Err(io::Error::other(format!(
        "{}: is not a folder of this user alone; remove it",
        folder.display()
    )))
}

/// The socket of whoever drives the arm at `port`. All names of one port lead to the same socket.
///
/// # Errors
/// As [`path_in`].
pub fn path(port: &Path) -> io::Result<PathBuf> {
    path_in(Path::new(FOLDERS), port)
}

/// The same where the folders of all users are in `folders`.
///
/// # Errors
/// The operating system's, and a folder of this user's name that others can open.
pub fn path_in(folders: &Path, port: &Path) -> io::Result<PathBuf> {
    let port = port.canonicalize().unwrap_or_else(|_| port.to_owned());
    let name: String = port
        .to_string_lossy()
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
        .collect();
    // Two ports may have the same letters, or the same tail: a number tells them apart (FNV-1a).
    let number = port
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |number, byte| {
            (number ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    // A socket's whole path has 107 bytes.
    let tail = name.len().saturating_sub(40);
    let tail = (tail..name.len())
        .find(|at| name.is_char_boundary(*at))
        .unwrap_or(0);
    let tail = name[tail..].trim_start_matches('-');
    Ok(folder(folders)?.join(format!("{tail}-{number:016x}.e-stop")))
}

/// The end that the driving program listens at. Its socket goes with it.
#[derive(Debug)]
pub struct Channel {
    listener: UnixListener,
    path: PathBuf,
}

impl Channel {
    /// Listens for whoever asks for the emergency stop of the arm at `port`. Never waits later on.
    ///
    /// # Errors
    /// The operating system's, and another program that listens already.
    pub fn open(port: &Path) -> io::Result<Self> {
        let path = path(port)?;
        if std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.file_type().is_socket()) {
            if UnixStream::connect(&path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    format!(
                        "{}: another program listens there, and drives the arm or is about to",
                        path.display()
                    ),
                ));
            }
            // Of a program that was killed: nobody listens. The folder is this user's alone.
            std::fs::remove_file(&path)?;
        }
        let listener = files::listen_privately(&path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path })
    }

    /// The listener, to wait for.
    pub fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // If it is gone, there is nothing to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Asks the program that drives the arm at `port` for the emergency stop, and waits for the arm's word for `patience` at most. Calls
/// `doubt` once if there is no answer after [`SOON`]. Returns the answer; `None` if no program listens.
///
/// # Errors
/// A program that listens and does not answer.
pub fn ask(port: &Path, patience: Duration, doubt: impl FnOnce()) -> io::Result<Option<String>> {
    let Ok(mut stream) = path(port).and_then(UnixStream::connect) else {
        return Ok(None);
    };
    let begun = Instant::now();
    stream.set_write_timeout(Some(SOON))?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(REQUEST)?;
    let mut doubt = Some(doubt);
    let mut answer = Vec::new();
    let mut bytes = [0; 256];
    while answer.len() < ANSWER_BYTES_MAX {
        match stream.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error)
                if begun.elapsed() < patience
                    && matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                if let Some(doubt) = doubt.take() {
                    doubt();
                }
            }
            Err(error) => return Err(error),
        }
    }
    let answer = String::from_utf8_lossy(&answer).trim().to_owned();
    if answer.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the program that drives the arm ended without an answer",
        ));
    }
    Ok(Some(answer))
}
