//! What a host can ask of servos, and what a protocol must know to carry it.

/// The id that every servo hears and none answers, a ping aside.
pub const BROADCAST_ID: u8 = 0xFE;

/// The longest packet that is sent or believed, in bytes. The makers' programs stop at 250.
pub const PACKET_BYTES_MAX: usize = 250;

/// The bytes of one packet.
pub type PacketBytes = heapless::Vec<u8, PACKET_BYTES_MAX>;

/// The code of a request. Both protocols number them alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Instruction {
    /// Are you there?
    Ping = 1,
    /// Registers of one servo.
    Read = 2,
    /// Registers of one servo.
    Write = 3,
    /// Starts the servo anew, which clears an overload (Dynamixel).
    Reboot = 8,
    /// The same registers of several servos; each answers in turn.
    SyncRead = 0x82,
    /// The same registers of several servos; none answers.
    SyncWrite = 0x83,
}

impl Instruction {
    /// The instruction of this code.
    pub fn from_code(code: u8) -> Option<Self> {
        [
            Self::Ping,
            Self::Read,
            Self::Write,
            Self::Reboot,
            Self::SyncRead,
            Self::SyncWrite,
        ]
        .into_iter()
        .find(|instruction| *instruction as u8 == code)
    }
}

/// What the host asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// Are you there?
    Ping {
        /// Whom.
        id: u8,
    },
    /// Starts the servo anew.
    Reboot {
        /// Whom.
        id: u8,
    },
    /// Registers of one servo.
    Read {
        /// Whom.
        id: u8,
        /// First register.
        address: u16,
        /// How many bytes.
        length: u8,
    },
    /// Registers of one servo, or of all by [`BROADCAST_ID`].
    Write {
        /// Whom.
        id: u8,
        /// First register.
        address: u16,
        /// What to put there.
        data: &'a [u8],
    },
    /// The same registers of several servos.
    SyncRead {
        /// Whom; they answer in this order.
        ids: &'a [u8],
        /// First register.
        address: u16,
        /// How many bytes of each.
        length: u8,
    },
    /// The same registers of several servos.
    SyncWrite {
        /// Whom.
        ids: &'a [u8],
        /// First register.
        address: u16,
        /// How many bytes of each.
        length: u8,
        /// `length` bytes a servo, in the order of `ids`.
        data: &'a [u8],
    },
}

/// Why a request cannot be put into a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The packet would be longer than servos take.
    #[error("a packet of more than {PACKET_BYTES_MAX} bytes; ask for fewer servos or registers at once")]
    TooLong,
    /// No servo can have this id.
    #[error("id {0} is not one that a servo can have")]
    Id(u8),
    /// The protocol has no such register.
    #[error("address {0} is beyond the registers of this protocol")]
    Address(u16),
    /// The data of a sync write do not divide among the servos.
    #[error("{bytes} bytes are not {length} for each of {servos} servos")]
    Uneven {
        /// Bytes given.
        bytes: usize,
        /// Bytes a servo.
        length: u8,
        /// Servos named.
        servos: usize,
    },
}

/// A packet whose checksum is right, taken apart. A request and an answer look alike in the Feetech protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Whom it is for, or from.
    pub id: u8,
    /// Instruction, or error bits in an answer of the Feetech protocol.
    pub code: u8,
    /// What follows, unstuffed.
    pub body: &'a [u8],
    /// The packet as it came.
    pub raw: &'a [u8],
    /// Bytes between this packet and the one before it that belong to none; 0 if they began like one.
    pub noise_before_bytes: usize,
}

/// What one servo answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Who answers.
    pub id: u8,
    /// Error bits (Feetech), or error number with the alert bit (Dynamixel).
    pub error: u8,
    /// Contents of registers, if some were asked for.
    pub data: &'a [u8],
}

/// What some bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// So many bytes (one or more) that begin no packet.
    Noise(usize),
    /// What may become a packet, and is not whole.
    Unfinished,
    /// A packet whose checksum is wrong.
    Damaged,
    /// A packet of so many bytes.
    Packet(usize),
}

/// How packets are framed.
pub trait Protocol: std::fmt::Debug + Send + Sized + 'static {
    /// What to call it in messages.
    const NAME: &'static str;
    /// The highest id of a servo.
    const ID_MAX: u8;
    /// Bytes of an address and of a length in a request: 1 or 2.
    const ADDRESS_BYTES: usize;
    /// Bytes of an answer without data.
    const ANSWER_BYTES: usize;
    /// Where the model number is, in two bytes.
    const MODEL_ADDRESS: u16;

    /// Puts header, length and checksum around `params`.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    fn frame(id: u8, code: u8, params: &[u8], into: &mut PacketBytes) -> Result<(), EncodeError>;

    /// Puts an answer into a packet, as a servo does.
    ///
    /// # Errors
    /// [`EncodeError::TooLong`].
    fn frame_answer(answer: Answer<'_>, into: &mut PacketBytes) -> Result<(), EncodeError>;

    /// Says what `bytes` begin with. A packet of more than `longest` bytes is noise.
    fn look(bytes: &[u8], longest: usize) -> Look;

    /// Takes apart a packet that [`Protocol::look`] found whole: writes its body, returns id and code.
    fn open(packet: &[u8], body: &mut PacketBytes) -> (u8, u8);

    /// The frame as an answer; `None` if it cannot be one.
    fn answer(frame: Frame<'_>) -> Option<Answer<'_>>;

    /// The number of the reason for which a servo did not do as asked, if the error byte of its answer has one.
    fn refusal(error: u8) -> Option<u8>;

    /// The longest packet of an answer with `length` bytes of data.
    fn answer_bytes_max(length: usize) -> usize;
}

impl Request<'_> {
    /// Puts the request into a packet of protocol `P`.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode<P: Protocol>(&self, into: &mut PacketBytes) -> Result<(), EncodeError> {
        let mut params = PacketBytes::new();
        let (id, instruction) = match *self {
            Request::Ping { id } => (checked::<P>(id, true)?, Instruction::Ping),
            Request::Reboot { id } => (checked::<P>(id, false)?, Instruction::Reboot),
            Request::Read { id, address, length } => {
                number::<P>(address, &mut params)?;
                number::<P>(u16::from(length), &mut params)?;
                (checked::<P>(id, false)?, Instruction::Read)
            }
            Request::Write { id, address, data } => {
                number::<P>(address, &mut params)?;
                append(&mut params, data)?;
                (checked::<P>(id, true)?, Instruction::Write)
            }
            Request::SyncRead { ids, address, length } => {
                number::<P>(address, &mut params)?;
                number::<P>(u16::from(length), &mut params)?;
                for &id in ids {
                    append(&mut params, &[checked::<P>(id, false)?])?;
                }
                (BROADCAST_ID, Instruction::SyncRead)
            }
            Request::SyncWrite {
                ids,
                address,
                length,
                data,
            } => {
                if data.len() != ids.len() * usize::from(length) {
                    return Err(EncodeError::Uneven {
                        bytes: data.len(),
                        length,
                        servos: ids.len(),
                    });
                }
                number::<P>(address, &mut params)?;
                number::<P>(u16::from(length), &mut params)?;
                for (&id, data) in ids.iter().zip(data.chunks_exact(usize::from(length).max(1))) {
                    append(&mut params, &[checked::<P>(id, false)?])?;
                    append(&mut params, data)?;
                }
                (BROADCAST_ID, Instruction::SyncWrite)
            }
        };
        P::frame(id, instruction as u8, &params, into)
    }
}

/// Appends bytes to a packet.
pub(crate) fn append(packet: &mut PacketBytes, bytes: &[u8]) -> Result<(), EncodeError> {
    packet.extend_from_slice(bytes).map_err(|_| EncodeError::TooLong)
}

fn checked<P: Protocol>(id: u8, or_all: bool) -> Result<u8, EncodeError> {
    let known = id <= P::ID_MAX || (or_all && id == BROADCAST_ID);
    known.then_some(id).ok_or(EncodeError::Id(id))
}

fn number<P: Protocol>(number: u16, params: &mut PacketBytes) -> Result<(), EncodeError> {
    let bytes = number.to_le_bytes();
    if P::ADDRESS_BYTES == 1 && bytes[1] != 0 {
        return Err(EncodeError::Address(number));
    }
    append(params, &bytes[..P::ADDRESS_BYTES])
}
