//! Output of another program, waited for with a limit.

use std::io::{Error, ErrorKind, Read, Result};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// A pipe whose reader gives up when nothing comes for a while.
#[derive(Debug)]
pub(super) struct Patient<R> {
    pipe: R,
    patience: PollTimeout,
    limit: Duration,
}

impl<R: AsFd + Read> Patient<R> {
    /// Waits for each piece for `limit`, which is below a month.
    pub(super) fn new(pipe: R, limit: Duration) -> Self {
        Self {
            pipe,
            patience: PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX),
            limit,
        }
    }
}

impl<R: AsFd + Read> Read for Patient<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            match poll(
                &mut [PollFd::new(self.pipe.as_fd(), PollFlags::POLLIN)],
                self.patience,
            ) {
                Ok(0) => {
                    let problem = format!("it gave nothing for {} s", self.limit.as_secs());
                    return Err(Error::new(ErrorKind::TimedOut, problem));
                }
                Ok(_) => return self.pipe.read(into),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::Patient;

    #[test]
    fn what_comes_is_read_and_silence_ends_the_wait() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut pipe = Patient::new(near, Duration::from_millis(20));
        far.write_all(b"frame").unwrap();
        let mut bytes = [0; 5];
        pipe.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"frame");
        let error = pipe.read_exact(&mut bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(far);
        assert_eq!(pipe.read(&mut bytes).unwrap(), 0, "the end is no silence");
    }
}
