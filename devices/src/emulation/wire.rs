//! The wire: bytes take time, answers take turns, and whoever speaks while another does spoils both.

use std::collections::VecDeque;

use robot::philox::Stream;

use super::layout::Emulated;
use super::servo::EmulatedServo;
use crate::servo_bus::{Answer, BROADCAST_ID, Decoder, Frame, Instruction, PACKET_BYTES_MAX, PacketBytes};

/// A wire with servos on it, at time 0 when it is made.
#[derive(Debug)]
pub struct EmulatedBus<P> {
    /// The servos, in any order.
    pub servos: Vec<EmulatedServo<P>>,
    /// Damages answers, with this probability each: one byte becomes another.
    pub damage: f32,
    /// Whether the host hears what it sends.
    pub echo: bool,
    /// Whether a servo that is silent silences those behind it in a sync read.
    pub chained: bool,
    /// Whether a terminal's wire ([`super::serve`]) has the rate that the host sets at its end. Otherwise it is that of
    /// [`EmulatedBus::new`], whatever the host sets.
    pub follows_host: bool,
    /// Nothing that is said after so many writes is heard: the program of the host was ended there.
    pub deaf_after_writes: Option<u32>,
    byte_ns: u64,
    /// Servos that are set to another rate hear nothing that makes sense. `None`: everybody hears.
    host_baud: Option<u32>,
    decoder: Decoder<P>,
    /// What is on its way to the host, by the time when it is there; not always in order.
    outgoing: VecDeque<(u64, u8)>,
    /// The host's bytes are on the wire until then.
    host_ns: u64,
    /// Servos speak until then.
    servos_ns: u64,
    random: Stream,
    damaged: u32,
    collisions: u32,
    requests: u32,
    writes: u32,
}

/// A request as servos see it.
struct Heard {
    id: u8,
    code: u8,
    body: PacketBytes,
}

impl<P: Emulated> EmulatedBus<P> {
    /// A wire of `baud` bits a second.
    pub fn new(baud: u32, servos: Vec<EmulatedServo<P>>) -> Self {
        Self {
            servos,
            damage: 0.0,
            random: Stream::new(0, 0xDA3A),
            damaged: 0,
            echo: false,
            chained: false,
            follows_host: false,
            deaf_after_writes: None,
            host_baud: None,
            byte_ns: 10_000_000_000 / u64::from(baud.max(1)),
            decoder: Decoder::default(),
            // Room for what a host asks at once, so that nothing allocates later.
            outgoing: VecDeque::with_capacity(16 * PACKET_BYTES_MAX),
            host_ns: 0,
            servos_ns: 0,
            collisions: 0,
            requests: 0,
            writes: 0,
        }
    }

    /// The servo of this id, the first if there are several.
    ///
    /// # Panics
    /// If there is none.
    pub fn servo(&mut self, id: u8) -> &mut EmulatedServo<P> {
        self.servos
            .iter_mut()
            .find(|servo| servo.id() == id)
            .expect("a servo of this id")
    }

    /// How often the host spoke while a servo did.
    pub fn collisions(&self) -> u32 {
        self.collisions
    }

    /// Answers that [`EmulatedBus::damage`] has damaged.
    pub fn damaged(&self) -> u32 {
        self.damaged
    }

    /// Requests that arrived undamaged.
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Requests among those that change something: writes and restarts.
    pub fn writes(&self) -> u32 {
        self.writes
    }

    /// The host sends and listens at `baud` bits a second from here on: servos that are set to another rate hear nothing.
    pub fn set_host_baud(&mut self, baud: u32) {
        self.host_baud = Some(baud);
        self.byte_ns = 10_000_000_000 / u64::from(baud.max(1));
    }

    /// The latest time that the wire or a servo has seen, in microseconds.
    pub fn now_us(&self) -> u64 {
        let servos_us = self.servos.iter().map(EmulatedServo::now_us).max().unwrap_or(0);
        servos_us.max(self.host_ns.max(self.servos_ns).div_ceil(1_000))
    }

    /// Lets the servos' time pass until `now_us`.
    pub fn advance(&mut self, now_us: u64) {
        for servo in &mut self.servos {
            servo.advance(now_us);
        }
    }

    /// The host sends `bytes` at `now_us`.
    pub fn write(&mut self, bytes: &[u8], now_us: u64) {
        // What the host sent before goes first.
        let mut at_ns = self.host_ns.max(now_us * 1_000);
        if at_ns < self.servos_ns {
            // Two speak at once: what a servo says is spoilt.
            self.collisions += 1;
            for (due_ns, byte) in &mut self.outgoing {
                if *due_ns > at_ns && *due_ns <= self.servos_ns {
                    *byte ^= 0x5A;
                }
            }
        }
        for byte in bytes {
            at_ns += self.byte_ns;
            if self.echo {
                self.outgoing.push_back((at_ns, *byte));
            }
            self.decoder.push(*byte);
            let heard = self.decoder.take().map(|frame| Heard::of(&frame));
            let deaf = self.deaf_after_writes.is_some_and(|writes| self.writes >= writes);
            if let Some(heard) = heard.filter(|_| !deaf) {
                self.requests += 1;
                self.carry_out(&heard, at_ns);
            }
        }
        self.host_ns = at_ns;
    }

    /// The host takes what has arrived by `now_us`.
    pub fn read(&mut self, into: &mut [u8], now_us: u64) -> usize {
        let mut count = 0;
        while count < into.len() {
            let Some(next) = self
                .next()
                .filter(|next| self.outgoing[*next].0 <= now_us * 1_000)
            else {
                break;
            };
            if let Some((_, byte)) = self.outgoing.remove(next) {
                into[count] = byte;
                count += 1;
            }
        }
        count
    }

    /// When something arrives next, in microseconds.
    pub fn next_arrival_us(&self) -> Option<u64> {
        self.next().map(|next| self.outgoing[next].0.div_ceil(1_000))
    }

    /// The byte that arrives first.
    fn next(&self) -> Option<usize> {
        (0..self.outgoing.len()).min_by_key(|index| self.outgoing[*index].0)
    }

    fn carry_out(&mut self, heard: &Heard, at_ns: u64) {
        self.advance(at_ns / 1_000);
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .rev()
                .fold(0, |number, byte| number << 8 | u16::from(*byte))
        };
        let width = P::ADDRESS_BYTES;
        let address = number(heard.body.get(..width).unwrap_or_default());
        let rest = heard.body.get(width..).unwrap_or_default();
        let length = usize::from(number(rest.get(..width).unwrap_or_default()));
        let listed = rest.get(width..).unwrap_or_default();
        let to_all = heard.id == BROADCAST_ID;
        let mut free_ns = at_ns;
        let instruction = Instruction::from_code(heard.code);
        if matches!(
            instruction,
            Some(Instruction::Write | Instruction::SyncWrite | Instruction::Reboot)
        ) {
            self.writes += 1;
        }
        let host_baud = self.host_baud;
        match instruction {
            Some(Instruction::SyncRead) => {
                for id in listed {
                    let answered =
                        self.answer_all(*id, &mut free_ns, false, |servo| (servo.read(address, length), 0));
                    if !answered && self.chained {
                        break;
                    }
                }
            }
            Some(Instruction::SyncWrite) => {
                for part in listed.chunks_exact(length + 1) {
                    for servo in self
                        .servos
                        .iter_mut()
                        .filter(|servo| servo.id() == part[0] && servo.hears(host_baud))
                    {
                        servo.hear();
                        servo.write(address, &part[1..]);
                    }
                }
            }
            Some(Instruction::Read) if !to_all => {
                self.answer_all(heard.id, &mut free_ns, false, |servo| {
                    (servo.read(address, length), 0)
                });
            }
            Some(Instruction::Write) => {
                for servo in &mut self.servos {
                    if to_all && servo.hears(host_baud) {
                        servo.hear();
                        servo.write(address, rest);
                    }
                }
                if !to_all {
                    self.answer_all(heard.id, &mut free_ns, true, |servo| {
                        let refusal = servo.write(address, rest);
                        (&[], refusal)
                    });
                }
            }
            Some(Instruction::Ping) if !to_all => {
                self.answer_all(heard.id, &mut free_ns, false, |_| (&[], 0));
            }
            Some(Instruction::Reboot) if !to_all => {
                self.answer_all(heard.id, &mut free_ns, false, |servo| {
                    servo.power_cycle();
                    (&[], 0)
                });
            }
            _ => {}
        }
        if free_ns > at_ns {
            self.servos_ns = self.servos_ns.max(free_ns);
        }
    }

    /// Every servo of this id does as asked and answers, `quietly` if its response level asks for more than reads; returns whether there was one. Two of one id spoil each other's answer if they
    /// speak at once.
    fn answer_all(
        &mut self,
        id: u8,
        free_ns: &mut u64,
        quietly: bool,
        act: impl Fn(&mut EmulatedServo<P>) -> (&[u8], u8),
    ) -> bool {
        let Self {
            servos,
            outgoing,
            byte_ns,
            damage,
            random,
            damaged,
            host_baud,
            ..
        } = self;
        let host_baud = *host_baud;
        let mut packet = PacketBytes::new();
        let begin_ns = *free_ns;
        let mut spoken_ns = begin_ns;
        let mut speakers = 0;
        for servo in servos
            .iter_mut()
            .filter(|servo| servo.id() == id && servo.hears(host_baud))
        {
            servo.hear();
            let mut data = PacketBytes::new();
            let (read, refusal) = act(servo);
            // No more than a packet holds was asked for.
            let _ = data.extend_from_slice(read);
            let answer = Answer {
                id,
                error: servo.error_byte(refusal),
                data: &data,
            };
            let mute = quietly && servo.get(P::ROLES.response_level) < P::RESPONSE_ALL.into();
            if mute || P::frame_answer(answer, &mut packet).is_err() {
                continue;
            }
            speakers += 1;
            let delay_ns = servo.return_delay_us() * 1_000;
            if begin_ns + delay_ns < spoken_ns {
                for (_, byte) in outgoing
                    .iter_mut()
                    .filter(|(due_ns, _)| *due_ns > begin_ns + delay_ns)
                {
                    *byte ^= 0x5A;
                }
                continue;
            }
            let faults = &servo.faults;
            let mut at_ns = begin_ns + delay_ns;
            let mut say = |bytes: &[u8], late_us: u64, gap_us: u64| {
                for byte in bytes {
                    at_ns += *byte_ns + gap_us * 1_000;
                    outgoing.push_back((at_ns + late_us * 1_000, *byte));
                }
            };
            say(&faults.noise, 0, 0);
            if let Some(id) = faults.foreign_id {
                let mut foreign = PacketBytes::new();
                if P::frame_answer(Answer { id, ..answer }, &mut foreign).is_ok() {
                    say(&foreign, 0, 0);
                }
            }
            if let Some(byte) = faults.corrupt_byte.and_then(|index| packet.get_mut(index)) {
                *byte ^= 0x10;
            }
            if *damage > 0.0 && random.uniform() < *damage {
                let at = random.below(packet.len());
                packet[at] ^= 1 + random.below(255) as u8;
                *damaged += 1;
            }
            packet.truncate(faults.cut_after_bytes.unwrap_or(PACKET_BYTES_MAX));
            say(&packet, faults.late_us, faults.trickle_us);
            (*free_ns, spoken_ns) = (at_ns, at_ns);
        }
        speakers > 0
    }
}

impl Heard {
    fn of(frame: &Frame<'_>) -> Self {
        // A body is no longer than a packet.
        let body = frame.body.iter().copied().collect();
        Self {
            id: frame.id,
            code: frame.code,
            body,
        }
    }
}
