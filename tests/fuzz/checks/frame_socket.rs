//! The frame socket, read from both ends.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use devices::{FrameError, FrameSocket};
use firmware_bridge::frames::{
    BridgeInfo, FrameCause, FrameHeader, MAX_PICTURE_BYTES, MessageReader, Refusal, Reply, Request, Welcome,
    WithBody, write_header,
};
use robot::Frame;
use robot::device::{FrameSource, Picture, Task};

/// Nobody is waited for: whoever is asked has said everything and has closed. Far longer than a busy machine takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whatever comes over a frame socket is a message or an error, soon.
pub(crate) struct Check {
    dir: tempfile::TempDir,
    /// What the server shall say to the next client.
    say: SyncSender<Vec<u8>>,
}

impl Default for Check {
    fn default() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let listener = UnixListener::bind(dir.path().join("camera")).expect("a socket");
        let (say, said) = sync_channel::<Vec<u8>>(1);
        // It ends when `say` is gone.
        let serve = move || {
            for bytes in said {
                let Ok((mut stream, _)) = listener.accept() else {
                    return;
                };
                // A client that has seen enough closes while this is written.
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(Shutdown::Write);
                let _ = io::copy(&mut stream, &mut io::sink());
            }
        };
        std::thread::Builder::new()
            .name("server".to_owned())
            .spawn(serve)
            .expect("a thread");
        Self { dir, say }
    }
}

impl Check {
    /// # Panics
    /// If a reader does, or waits for somebody who has closed.
    pub(crate) fn check(&mut self, data: &[u8]) {
        let Some((&piece, bytes)) = data.split_first() else {
            return;
        };
        let piece = 1 + usize::from(piece);
        read_all::<Request>(bytes, piece, false);
        read_all::<Reply>(bytes, piece, false);
        read_all::<Reply>(bytes, piece, true);
        self.say.send(bytes.to_vec()).expect("the server runs");
        let result = self.talk(u64::from(bytes.first().copied().unwrap_or(0)));
        if let Err(error) = result {
            let said = error.to_string();
            assert!(said.contains("camera"), "the error names no socket: {said}");
            assert!(!matches!(error, FrameError::Timeout { .. }), "{said}");
        }
    }

    /// Everything that a client asks.
    fn talk(&self, seed: u64) -> Result<(), FrameError> {
        let mut frame = Frame::new(32);
        let mut socket = FrameSocket::connect(&self.dir.path().join("camera"), PATIENCE)?;
        socket.describe()?;
        let delivered = socket.reset(seed, &mut frame)?;
        assert!(delivered.reward.is_none_or(f32::is_finite));
        socket.step(1, &mut frame)?;
        while socket.newest(&mut frame)?.is_some() {}
        let (mut camera, task) = socket.split();
        let mut picture = Picture::default();
        // The server has closed by now, or does so next.
        while let Ok(Some(_)) = camera.poll(&mut picture) {
            assert_eq!(
                picture.bytes.len(),
                3 * picture.width as usize * picture.height as usize
            );
            assert!(task.reward().is_none_or(f32::is_finite));
        }
        Ok(())
    }

    /// Inputs from which a fuzzer begins: whole conversations of servers of both versions, and of clients.
    pub(crate) fn seeds(&self) -> Vec<Vec<u8>> {
        let welcome = Reply::Welcome(Welcome {
            protocol_version: 2,
            earlier: None,
        });
        let bridge = Reply::Bridge(BridgeInfo {
            lockstep: true,
            period_us: 100_000,
            joints: 2,
        });
        let frame = |cause: FrameCause, seq: u64, side: u16| {
            let header = FrameHeader {
                seq,
                device_time_us: 2,
                captured_monotonic_ns: 3,
                reward: 0.5,
                cause,
                ended: false,
                width: side,
                height: side,
            };
            let mut bytes = Vec::new();
            write_header(&Reply::Frame(header), &mut bytes);
            bytes.resize(bytes.len() + header.picture_bytes(), 9);
            bytes
        };
        let messages = |replies: &[Reply]| {
            let mut bytes = vec![200];
            for reply in replies {
                write_header(reply, &mut bytes);
            }
            bytes
        };
        let whole = [
            messages(&[welcome, bridge]),
            frame(FrameCause::Reset, 1, 32),
            frame(FrameCause::Step, 2, 32),
            frame(FrameCause::Stream, 3, 32),
            frame(FrameCause::Stream, 4, 2),
        ]
        .concat();
        let small = [
            messages(&[welcome, bridge]),
            frame(FrameCause::Reset, 1, 1),
            frame(FrameCause::Step, u64::MAX, 0),
        ]
        .concat();
        // A welcome of version 1 tells of the arm at once.
        let earlier = vec![9, 6, 0, 0, 1, 0, 160, 141, 6, 2];
        let mut requests = vec![3];
        for request in [
            Request::Describe,
            Request::Reset { seed: 7 },
            Request::Step { command_seq: Some(9) },
            Request::Quit,
        ] {
            write_header(&request, &mut requests);
        }
        vec![
            whole,
            small,
            earlier,
            requests,
            messages(&[welcome, Reply::Refused(Refusal::NotABridge)]),
            messages(&[Reply::Refused(Refusal::Occupied)]),
        ]
    }
}

/// Bytes that come in pieces, and then no more.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.piece.min(self.bytes.len()).min(into.len());
        into[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// Reads everything that there is.
fn read_all<M: WithBody>(bytes: &[u8], piece: usize, earlier: bool) {
    let mut reader = MessageReader::<M>::new();
    reader.earlier = earlier;
    let mut pieces = Pieces { bytes, piece };
    while let Ok(Some((header, body))) = reader.next(&mut pieces) {
        assert_eq!(body.len(), header.body_bytes());
        assert!(body.len() <= MAX_PICTURE_BYTES);
    }
}
