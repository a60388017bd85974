//! The names at which a bridge can be found: a link to its pty, and its frame socket.
//!
//! A name that is taken is left as it is, unless it is what a bridge that was killed left behind. Such a link carries a mark in its
//! target, `/dev/pts/./N`: the system reads that as `/dev/pts/N`, and nothing else writes it so. Such a socket is one that
//! nobody listens at; it holds nothing. At its end a bridge removes a name only while it is still its own.

use std::ffi::OsString;
use std::fs::Metadata;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use super::{BridgeError, io_error};
use crate::frames::check_length;

/// The folder of pseudo-terminals, as the target of a bridge's link begins.
const MARK: &str = "/dev/pts/./";

/// The link that gives a pty a lasting name.
#[derive(Debug)]
pub(super) struct LinkName {
    path: PathBuf,
    target: OsString,
}

impl LinkName {
    /// Makes the name ready to be taken: removes the link of a bridge that was killed. To be called before a pty is made, which
    /// may get the number that the killed bridge's had.
    pub(super) fn clear(path: &Path) -> Result<(), BridgeError> {
        let Some(metadata) = look(path)? else {
            return Ok(());
        };
        if !metadata.is_symlink() {
            return Err(taken(
                path,
                files::kind_of(&metadata).unwrap_or("a file").to_owned(),
            ));
        }
        let target = std::fs::read_link(path).map_err(|source| not_made(path, "a link", source))?;
        if !target.as_os_str().as_bytes().starts_with(MARK.as_bytes()) {
            return Err(taken(path, format!("a link to {}", target.display())));
        }
        if target.exists() {
            return Err(BridgeError::InUse {
                path: path.to_owned(),
                found: format!(
                    "leads to the port of a bridge that may still run ({} exists)",
                    target.display()
                ),
            });
        }
        std::fs::remove_file(path).map_err(|source| not_made(path, "a link", source))
    }

    /// Gives the pty `device` the name `path`, which must be free.
    pub(super) fn make(path: &Path, device: &Path) -> Result<Self, BridgeError> {
        let target = marked(device);
        symlink(&target, path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => taken(path, "something that appeared a moment ago".to_owned()),
            _ => not_made(path, "a link", source),
        })?;
        Ok(Self {
            path: path.to_owned(),
            target,
        })
    }

    /// Gives the name to another pty, in one step, so that there is no moment without it.
    pub(super) fn point(&mut self, device: &Path) -> Result<(), BridgeError> {
        if !self.is_ours() {
            // Removed: made anew. Replaced: refused.
            self.target = Self::make(&self.path, device)?.release();
            return Ok(());
        }
        let target = marked(device);
        let beside = beside(&self.path);
        let made = symlink(&target, &beside).and_then(|()| {
            std::fs::rename(&beside, &self.path).inspect_err(|_| {
                // It was made a moment ago, under a name that nothing had.
                let _ = std::fs::remove_file(&beside);
            })
        });
        made.map_err(|source| not_made(&self.path, "a link", source))?;
        self.target = target;
        Ok(())
    }

    /// The name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn is_ours(&self) -> bool {
        std::fs::read_link(&self.path).is_ok_and(|target| target.as_os_str() == self.target)
    }

    /// Leaves the link where it is and returns its target.
    fn release(mut self) -> OsString {
        // Without a path nothing is removed.
        self.path = PathBuf::new();
        std::mem::take(&mut self.target)
    }
}

impl Drop for LinkName {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The target of a link to `device`, with the mark where it is a pty of Linux.
fn marked(device: &Path) -> OsString {
    match device.strip_prefix("/dev/pts") {
        Ok(number) => {
            let mut target = OsString::from(MARK);
            target.push(number);
            target
        }
        Err(_) => device.as_os_str().to_owned(),
    }
}

/// A name in the same folder that nothing has.
fn beside(path: &Path) -> PathBuf {
    let number = RandomState::new().build_hasher().finish();
    path.with_file_name(format!(".armillary-{number:016x}"))
}

/// A listening frame socket and its name.
#[derive(Debug)]
pub(super) struct FrameListener {
    listener: UnixListener,
    path: PathBuf,
    /// What is ours to remove.
    identity: Option<Identity>,
}

impl FrameListener {
    /// Listens at `path`, replacing a socket that nobody listens at any more. Only the owner of this process can connect.
    pub(super) fn bind(path: &Path) -> Result<Self, BridgeError> {
        check_length(path)?;
        if let Some(metadata) = look(path)? {
            clear_socket(path, &metadata)?;
        }
        let listener = files::listen_privately(path).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => taken(path, "something that appeared a moment ago".to_owned()),
            _ => not_made(path, "a socket", source),
        })?;
        let bound = Self {
            listener,
            path: path.to_owned(),
            identity: std::fs::symlink_metadata(path)
                .ok()
                .map(|metadata| Identity::of(&metadata)),
        };
        bound
            .listener
            .set_nonblocking(true)
            .map_err(|source| io_error("making the frame socket non-blocking", source))?;
        Ok(bound)
    }

    /// The socket's name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The next client that waits, without waiting for one.
    pub(super) fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.listener.accept()
    }
}

impl Drop for FrameListener {
    fn drop(&mut self) {
        let there = std::fs::symlink_metadata(&self.path).ok();
        if self.identity.is_some() && there.as_ref().map(Identity::of) == self.identity {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket that nobody listens at, and nothing else.
fn clear_socket(path: &Path, metadata: &Metadata) -> Result<(), BridgeError> {
    if !metadata.file_type().is_socket() {
        return Err(taken(
            path,
            files::kind_of(metadata).unwrap_or("a file").to_owned(),
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BridgeError::InUse {
            path: path.to_owned(),
            found: "another bridge listens here".to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(|source| not_made(path, "a socket", source))
        }
        // Another kind of socket, or one of another user.
        Err(error) => Err(taken(
            path,
            format!("a socket that is in use or not a bridge's ({error})"),
        )),
    }
}

/// Tells a socket's name from another that took its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    is_socket: bool,
    device: u64,
    inode: u64,
    /// The number of an inode is given again soon; its time is not.
    changed_s: i64,
    changed_ns: i64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            is_socket: metadata.file_type().is_socket(),
            device: metadata.dev(),
            inode: metadata.ino(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        }
    }
}

/// What is at `path`, links not followed; `None` if nothing is.
fn look(path: &Path) -> Result<Option<Metadata>, BridgeError> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(not_made(path, "a link or a socket", source)),
    }
}

fn taken(path: &Path, found: String) -> BridgeError {
    BridgeError::PathTaken {
        path: path.to_owned(),
        found,
    }
}

fn not_made(path: &Path, what: &'static str, source: io::Error) -> BridgeError {
    BridgeError::Name {
        path: path.to_owned(),
        what,
        source,
    }
}
