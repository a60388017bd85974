//! A firmware core in virtual time, and the host that speaks to it.

use firmware_bridge::wire::{
    ArmToHost, Command, Decoder, Framed, HelloAck, HostToArm, MAX_FRAME_BYTES, NO_SESSION, PROTOCOL_VERSION,
    encode,
};
use firmware_bridge::{Drive, FirmwareCore, FirmwareOptions, FirmwareState, Telemetry};

use crate::common::{PERIOD_US, TICK_US, firmware_options, vec};

/// `message` as it is on the line.
pub(crate) fn framed<M: Framed>(message: &M) -> Vec<u8> {
    let mut buffer = [0; MAX_FRAME_BYTES];
    encode(message, &mut buffer).unwrap().to_vec()
}

/// A firmware core whose motors do as they are told, and its clock.
pub(crate) struct Bench {
    pub(crate) core: FirmwareCore,
    pub(crate) now_us: u64,
    pub(crate) position_rad: Vec<f32>,
    seq: u32,
    /// Nonce of the session.
    pub(crate) nonce: u64,
    hellos: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::of(firmware_options())
    }

    pub(crate) fn of(options: FirmwareOptions) -> Self {
        Self {
            core: FirmwareCore::new(options),
            now_us: 0,
            position_rad: vec![0.0; 2],
            seq: 0,
            nonce: NO_SESSION,
            hellos: 0,
        }
    }

    /// Past handshake and first command.
    pub(crate) fn active() -> Self {
        let mut bench = Self::new();
        bench.tick();
        bench.hello();
        bench.command(&[0.0, 0.0]);
        assert_eq!(bench.core.state(), FirmwareState::Active);
        bench
    }

    pub(crate) fn say(&mut self, message: &HostToArm) {
        self.core.on_bytes(self.now_us, &framed(message));
    }

    pub(crate) fn hello(&mut self) -> HelloAck {
        self.hellos += 1;
        self.hello_with(self.hellos)
    }

    /// Opens a session, and goes on with its nonce.
    pub(crate) fn hello_with(&mut self, host_nonce: u64) -> HelloAck {
        self.seq = 0;
        self.say(&HostToArm::Hello {
            protocol_version: PROTOCOL_VERSION,
            host_time_us: 0,
            host_nonce,
        });
        let ack = self
            .heard()
            .into_iter()
            .find_map(|message| match message {
                ArmToHost::HelloAck(ack) => Some(ack),
                _ => None,
            })
            .expect("an answer");
        assert_eq!(ack.host_nonce_echo, host_nonce);
        self.nonce = ack.session_nonce;
        ack
    }

    /// What the arm has to say.
    pub(crate) fn heard(&mut self) -> Vec<ArmToHost> {
        let mut decoder = Decoder::default();
        let mut heard = Vec::new();
        let mut buffer = [0; MAX_FRAME_BYTES];
        loop {
            let frame = self.core.poll_transmit(&mut buffer);
            if frame.is_empty() {
                assert_eq!(decoder.bad_frames(), 0);
                return heard;
            }
            heard.extend(frame.iter().filter_map(|byte| decoder.push(*byte)));
        }
    }

    pub(crate) fn ping(&self) -> HostToArm {
        HostToArm::Ping {
            host_time_us: 1,
            session_nonce: self.nonce,
        }
    }

    pub(crate) fn release(&self) -> HostToArm {
        HostToArm::Release {
            session_nonce: self.nonce,
        }
    }

    pub(crate) fn clearance(&self) -> HostToArm {
        HostToArm::ClearEStop {
            session_nonce: self.nonce,
        }
    }

    pub(crate) fn command(&mut self, set_point_rad: &[f32]) {
        self.seq += 1;
        self.command_with(self.seq, self.now_us + PERIOD_US, set_point_rad);
    }

    pub(crate) fn command_with(&mut self, seq: u32, valid_until_us: u64, set_point_rad: &[f32]) {
        self.say(&HostToArm::Command(Command {
            seq,
            host_time_us: self.now_us,
            valid_until_us,
            move_time_us: PERIOD_US as u32,
            set_point_rad: vec(set_point_rad),
            session_nonce: self.nonce,
        }));
    }

    pub(crate) fn tick(&mut self) -> Drive {
        self.now_us += TICK_US;
        let drive = self.core.tick(self.now_us, &self.position_rad, &[0.0; 2]);
        self.position_rad = drive.set_point_rad.to_vec();
        drive
    }

    pub(crate) fn tick_until(&mut self, state: FirmwareState) -> u64 {
        let start = self.now_us;
        while self.core.state() != state {
            self.tick();
            assert!(
                self.now_us - start < 10_000_000,
                "never {state:?}, still {:?}",
                self.core.state()
            );
        }
        self.now_us - start
    }

    pub(crate) fn telemetry(&self) -> Telemetry {
        self.core.telemetry()
    }
}
