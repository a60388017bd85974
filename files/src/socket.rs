//! Sockets with names in the file system.

use std::io::Result;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};

/// What a socket's name lets others do: its owner may connect, nobody else.
const OWNER_ONLY: u32 = 0o600;

/// Listens at `path`, which must be free, so that only the owner of the file can connect, whatever the umask is.
///
/// # Errors
/// What the operating system says; [`std::io::ErrorKind::AddrInUse`] if something has this name.
pub fn listen_privately(path: &Path) -> Result<UnixListener> {
    let address = UnixAddr::new(path)?;
    let unbound = socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None)?;
    // Linux gives the name the mode of the socket, less the umask: there is no moment in which others could connect. The umask itself
    // belongs to all threads and is left as it is.
    let mode = Mode::from_bits_truncate(OWNER_ONLY as nix::libc::mode_t);
    let _ = fchmod(&unbound, mode);
    let listener = UnixListener::from(unbound);
    close_on_exec(&listener)?;
    bind(listener.as_raw_fd(), &address)?;
    // A umask can take the owner's own rights away, and other systems do not look at the socket's mode.
    std::fs::set_permissions(path, PermissionsExt::from_mode(OWNER_ONLY))?;
    listen(&listener, Backlog::MAXCONN)?;
    Ok(listener)
}

/// Programs that this one starts do not inherit the socket.
fn close_on_exec(listener: &UnixListener) -> Result<()> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    fcntl(listener, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}
