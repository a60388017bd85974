//! One exchange: a request, and the answers that come within a budget of time.
//!
//! No answer says which request it answers. So what comes counts only if id and length are those asked for, and after any time-out
//! the line is listened to until it is quiet before anything else is asked. What a servo says later than that is told by its length,
//! if the exchanges that follow each other ask for different ones.

use super::decoder::{Decoder, SUSPECT_NOISE_BYTES};
use super::line::{Line, LineError};
use super::protocol::{Answer, BROADCAST_ID, EncodeError, PacketBytes, Protocol, Request};
use super::readings::{BLOCK_BYTES_MAX, Block, Readings, SERVOS_MAX};

/// Bytes that are listened to for one request, at most: a line that never falls silent ends an exchange, too.
const LISTEN_BYTES_MAX: usize = 4096;

/// How long things take on a bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Bits a second; a byte takes ten.
    pub baud: u32,
    /// From the end of a request to the beginning of its answer, at most: the servo's return delay and the adapter.
    pub turnaround_us: u64,
    /// Between the answers of two servos, at most.
    pub gap_us: u64,
    /// Silence after which nothing more is expected.
    pub quiet_us: u64,
    /// How often a servo is asked again within one exchange.
    pub retries: u8,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            baud: 1_000_000,
            turnaround_us: 2_000,
            gap_us: 200,
            quiet_us: 500,
            retries: 2,
        }
    }
}

/// What a bus has met since it was made. Counters wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Requests sent.
    pub requests: u32,
    /// Answers that were believed.
    pub answers: u32,
    /// Requests heard again by the one who sent them.
    pub echoes: u32,
    /// Answers of a wrong id or length, or given twice.
    pub foreign: u32,
    /// Answers that were not believed for the noise behind them.
    pub suspect: u32,
    /// Servos that were asked again.
    pub retries: u32,
    /// Servos that did not answer in an exchange.
    pub misses: u32,
    /// Bytes that nobody had asked for.
    pub unasked_bytes: u32,
}

/// Why nothing can be said about a servo.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The line is at fault.
    #[error(transparent)]
    Line(#[from] LineError),
    /// The request is.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It does not answer.
    #[error("{line}: servo {id} does not answer; check its cable, its power and its id")]
    Silent {
        /// The line.
        line: String,
        /// Its id.
        id: u8,
    },
    /// It refuses.
    #[error("{line}: servo {id} refuses (reason {reason} of its protocol)")]
    Refused {
        /// The line.
        line: String,
        /// Its id.
        id: u8,
        /// The number that it gave.
        reason: u8,
    },
}

/// A bus of servos that speak protocol `P` on line `L`.
#[derive(Debug)]
pub struct Bus<P, L> {
    line: L,
    timing: Timing,
    decoder: Decoder<P>,
    sent: PacketBytes,
    /// What was sent may still be heard again.
    echo_due: bool,
    /// An answer is owed that may yet come.
    owed: bool,
    counts: BusCounts,
}

/// How a listening ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Everything that was waited for.
    All,
    /// Time is up, or the line is quiet.
    Some,
}

impl<P: Protocol, L: Line> Bus<P, L> {
    /// A bus on `line`.
    pub fn new(line: L, timing: Timing) -> Self {
        Self {
            line,
            timing,
            decoder: Decoder::default(),
            sent: PacketBytes::new(),
            echo_due: false,
            // Whoever had the line before may have asked.
            owed: true,
            counts: BusCounts::default(),
        }
    }

    /// The line.
    pub fn line(&self) -> &L {
        &self.line
    }

    /// The line, to reach emulated servos behind it.
    pub fn line_mut(&mut self) -> &mut L {
        &mut self.line
    }

    /// How long things take.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// What it has met.
    pub fn counts(&self) -> BusCounts {
        self.counts
    }

    /// How long `bytes` are on the wire.
    pub fn wire_us(&self, bytes: usize) -> u64 {
        (bytes as u64 * 10_000_000).div_ceil(u64::from(self.timing.baud.max(1)))
    }

    /// Reads `block` of every servo of `readings` within `budget_us`. One that does not answer, not even when asked again, is marked
    /// as missed; it costs nobody else's reading.
    ///
    /// # Errors
    /// A line error, or a block that cannot be asked for. A silent servo is no error.
    pub fn sync_read(
        &mut self,
        block: Block,
        budget_us: u64,
        readings: &mut Readings,
    ) -> Result<(), BusError> {
        let deadline_us = self.line.now_us() + budget_us;
        if usize::from(block.length) > BLOCK_BYTES_MAX {
            return Err(EncodeError::TooLong.into());
        }
        // Servos wait for those named before them, so one that was silent is named last.
        let mut order: heapless::Vec<u8, SERVOS_MAX> = heapless::Vec::new();
        for silent in [false, true] {
            for (servo, reading) in readings.iter().enumerate() {
                if (reading.missed() > 0) == silent {
                    // As many as there are servos.
                    let _ = order.push(readings.ids()[servo]);
                }
            }
        }
        readings.begin(block);
        let length = usize::from(block.length);
        let answers_us =
            order.len() as u64 * (self.wire_us(P::answer_bytes_max(length)) + self.timing.gap_us);
        let request = Request::SyncRead {
            ids: &order,
            address: block.address,
            length: block.length,
        };
        self.send(&request, length, deadline_us)?;
        let until_us = self.answer_until_us(answers_us).min(deadline_us);
        if self.collect(until_us, None, readings)? == Heard::Some {
            self.ask_again(deadline_us, readings)?;
        }
        let missed = readings.iter().filter(|reading| reading.missed() > 0).count();
        self.counts.misses = self.counts.misses.wrapping_add(missed as u32);
        Ok(())
    }

    /// Asks those that have not answered, one by one, while there is time.
    fn ask_again(&mut self, deadline_us: u64, readings: &mut Readings) -> Result<(), BusError> {
        let block = readings.block();
        let length = usize::from(block.length);
        for _ in 0..self.timing.retries {
            for servo in 0..readings.ids().len() {
                if readings.get(servo).is_none_or(|reading| reading.missed() == 0) {
                    continue;
                }
                // What comes meanwhile is an answer of this exchange.
                let quiet = Some(self.timing.quiet_us);
                if self.collect(deadline_us, quiet, readings)? == Heard::All {
                    return Ok(());
                }
                if readings.get(servo).is_some_and(|reading| reading.missed() == 0) {
                    continue;
                }
                let request = Request::Read {
                    id: readings.ids()[servo],
                    address: block.address,
                    length: block.length,
                };
                let answer_us = self.wire_us(P::answer_bytes_max(length));
                let least_us = self.wire_us(2 * P::ANSWER_BYTES) + answer_us;
                if self.line.now_us() + least_us > deadline_us {
                    return Ok(());
                }
                self.owed = false;
                self.send(&request, length, deadline_us)?;
                self.counts.retries = self.counts.retries.wrapping_add(1);
                let until_us = self.answer_until_us(answer_us).min(deadline_us);
                let wanted =
                    |readings: &Readings| readings.get(servo).is_some_and(|reading| reading.missed() == 0);
                if self.collect_until(until_us, None, readings, wanted)? == Heard::Some {
                    self.owed = true;
                }
            }
        }
        Ok(())
    }

    /// Writes `data`, `length` bytes a servo, to every servo of `ids`. None answers.
    ///
    /// # Errors
    /// A line error, or data that do not fit.
    pub fn sync_write(
        &mut self,
        ids: &[u8],
        address: u16,
        length: u8,
        data: &[u8],
        budget_us: u64,
    ) -> Result<(), BusError> {
        let deadline_us = self.line.now_us() + budget_us;
        self.send(
            &Request::SyncWrite {
                ids,
                address,
                length,
                data,
            },
            0,
            deadline_us,
        )
    }

    /// Reads registers of one servo into `into`; returns the error byte.
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn read(&mut self, id: u8, address: u16, into: &mut [u8], budget_us: u64) -> Result<u8, BusError> {
        let length = u8::try_from(into.len()).map_err(|_| EncodeError::TooLong)?;
        self.ask(&Request::Read { id, address, length }, id, into, budget_us)
    }

    /// Writes registers of one servo, or of all by [`BROADCAST_ID`], of which none answers; returns the error byte.
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn write(&mut self, id: u8, address: u16, data: &[u8], budget_us: u64) -> Result<u8, BusError> {
        let request = Request::Write { id, address, data };
        if id == BROADCAST_ID {
            let deadline_us = self.line.now_us() + budget_us;
            return self.send(&request, 0, deadline_us).map(|()| 0);
        }
        self.ask(&request, id, &mut [], budget_us)
    }

    /// Starts a servo anew, which clears an overload (Dynamixel).
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn reboot(&mut self, id: u8, budget_us: u64) -> Result<u8, BusError> {
        self.ask(&Request::Reboot { id }, id, &mut [], budget_us)
    }

    /// The model number of a servo. This, and no ping, is how a servo is looked for: on a line that hears itself, a ping in Feetech's
    /// protocol looks like the answer to it.
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn model(&mut self, id: u8, budget_us: u64) -> Result<u16, BusError> {
        let mut bytes = [0; 2];
        self.read(id, P::MODEL_ADDRESS, &mut bytes, budget_us)?;
        Ok(u16::from_le_bytes(bytes))
    }

    /// How many answers come when one servo is asked for its model, and whether anything damaged came: two servos of one id answer
    /// both, or spoil each other's answer. Listens for the whole of an answer's time.
    ///
    /// # Errors
    /// A line error.
    pub fn count_answers(&mut self, id: u8, budget_us: u64) -> Result<(usize, bool), BusError> {
        let deadline_us = self.line.now_us() + budget_us;
        self.send(
            &Request::Read {
                id,
                address: P::MODEL_ADDRESS,
                length: 2,
            },
            2,
            deadline_us,
        )?;
        let before = self.decoder.counts();
        let mut count = 0;
        let until_us = self
            .answer_until_us(2 * self.wire_us(P::answer_bytes_max(2)))
            .min(deadline_us);
        self.listen(until_us, None, |answer, _| {
            count += usize::from(answer.is_some_and(|answer| answer.id == id && answer.data.len() == 2));
            false
        })?;
        let after = self.decoder.counts();
        let spoilt = after.damaged != before.damaged || after.noise_bytes != before.noise_bytes;
        Ok((count, spoilt))
    }

    /// Sends a request to one servo and waits for its answer, asking again within the budget.
    fn ask(
        &mut self,
        request: &Request<'_>,
        id: u8,
        into: &mut [u8],
        budget_us: u64,
    ) -> Result<u8, BusError> {
        let deadline_us = self.line.now_us() + budget_us;
        let answer_us = self.wire_us(P::answer_bytes_max(into.len()));
        for turn in 0..=self.timing.retries {
            self.send(request, into.len(), deadline_us)?;
            if turn > 0 {
                self.counts.retries = self.counts.retries.wrapping_add(1);
            }
            let until_us = self.answer_until_us(answer_us).min(deadline_us);
            let mut error = None;
            let mut foreign = 0;
            self.listen(until_us, None, |answer, _| {
                let Some(answer) = answer else { return false };
                // A refusal brings no data.
                let refused = P::refusal(answer.error).is_some() && answer.data.is_empty();
                if answer.id == id && (answer.data.len() == into.len() || refused) {
                    if !refused {
                        into.copy_from_slice(answer.data);
                    }
                    error = Some(answer.error);
                    return true;
                }
                foreign += 1;
                false
            })?;
            self.counts.foreign = self.counts.foreign.wrapping_add(foreign);
            match error {
                Some(error) => {
                    self.counts.answers = self.counts.answers.wrapping_add(1);
                    return match P::refusal(error) {
                        Some(reason) => Err(BusError::Refused {
                            line: self.line.name().to_owned(),
                            id,
                            reason,
                        }),
                        None => Ok(error),
                    };
                }
                None => self.owed = true,
            }
            if self.line.now_us() >= deadline_us {
                break;
            }
        }
        self.counts.misses = self.counts.misses.wrapping_add(1);
        Err(BusError::Silent {
            line: self.line.name().to_owned(),
            id,
        })
    }

    /// Listens until the line is quiet if an answer is owed, drops what nobody asked for, and sends.
    fn send(
        &mut self,
        request: &Request<'_>,
        answer_length: usize,
        deadline_us: u64,
    ) -> Result<(), BusError> {
        request.encode::<P>(&mut self.sent)?;
        let mut quiet_since_us = self.line.now_us();
        let mut bytes = [0; 64];
        let mut left = LISTEN_BYTES_MAX;
        loop {
            let count = self.line.read(&mut bytes)?;
            self.counts.unasked_bytes = self.counts.unasked_bytes.wrapping_add(count as u32);
            left = left.saturating_sub(count);
            let now_us = self.line.now_us();
            if count > 0 && left > 0 {
                quiet_since_us = now_us;
                continue;
            }
            let until_us = (quiet_since_us + self.timing.quiet_us).min(deadline_us);
            if !self.owed || now_us >= until_us || left == 0 {
                break;
            }
            self.line.wait(until_us - now_us)?;
        }
        self.owed = false;
        // An answer, or what was sent heard again, is no longer than this.
        self.decoder
            .reset(P::answer_bytes_max(answer_length).max(self.sent.len()));
        self.line.write(&self.sent)?;
        self.echo_due = true;
        self.counts.requests = self.counts.requests.wrapping_add(1);
        Ok(())
    }

    /// When answers that take `answers_us` on the wire must be there.
    fn answer_until_us(&self, answers_us: u64) -> u64 {
        self.line.now_us() + self.wire_us(self.sent.len()) + self.timing.turnaround_us + answers_us
    }

    fn collect(
        &mut self,
        until_us: u64,
        quiet_us: Option<u64>,
        readings: &mut Readings,
    ) -> Result<Heard, BusError> {
        let all = |readings: &Readings| readings.iter().all(|reading| reading.missed() == 0);
        if all(readings) {
            return Ok(Heard::All);
        }
        let heard = self.collect_until(until_us, quiet_us, readings, all)?;
        self.owed |= heard == Heard::Some;
        Ok(heard)
    }

    /// Puts answers into `readings` until `done`.
    fn collect_until(
        &mut self,
        until_us: u64,
        quiet_us: Option<u64>,
        readings: &mut Readings,
        done: impl Fn(&Readings) -> bool,
    ) -> Result<Heard, BusError> {
        let length = usize::from(readings.block().length);
        let (mut answers, mut foreign, mut suspect) = (0_u32, 0_u32, 0_u32);
        // The servo that answered last, and what it had missed before.
        let mut last: Option<(usize, u32)> = None;
        let heard = self.listen(until_us, quiet_us, |answer, noise_bytes| {
            if noise_bytes >= SUSPECT_NOISE_BYTES
                && let Some((servo, missed)) = last.take()
            {
                readings.revoke(servo, missed);
                suspect += 1;
            }
            let Some(answer) = answer else {
                return done(readings);
            };
            let servo = readings.ids().iter().position(|id| *id == answer.id);
            match servo {
                Some(servo) if answer.data.len() == length => {
                    let reading = readings.get_mut(servo);
                    last = Some((servo, reading.missed()));
                    if reading.missed() > 0 {
                        reading.put(answer.data, answer.error);
                        answers += 1;
                    } else {
                        // Two answers where one was asked for: nobody knows which is right.
                        readings.revoke(servo, 1);
                        foreign += 1;
                    }
                }
                _ => {
                    last = None;
                    foreign += 1;
                }
            }
            done(readings)
        })?;
        self.counts.answers = self.counts.answers.wrapping_add(answers);
        self.counts.foreign = self.counts.foreign.wrapping_add(foreign);
        self.counts.suspect = self.counts.suspect.wrapping_add(suspect);
        Ok(heard)
    }

    /// Hands every answer over, with the bytes of noise before it, until `take` says that it was the last, until `until_us`, or until
    /// the line has been quiet for `quiet_us`. `None` is handed over once at the end, with the noise behind the last answer.
    fn listen(
        &mut self,
        until_us: u64,
        quiet_us: Option<u64>,
        mut take: impl FnMut(Option<Answer<'_>>, usize) -> bool,
    ) -> Result<Heard, BusError> {
        let mut bytes = [0; 64];
        let mut left = LISTEN_BYTES_MAX;
        let mut heard_us = self.line.now_us();
        while left > 0 {
            let now_us = self.line.now_us();
            let until_us = quiet_us.map_or(until_us, |quiet_us| until_us.min(heard_us + quiet_us));
            let count = self.line.read(&mut bytes)?;
            if count == 0 {
                if now_us >= until_us {
                    break;
                }
                self.line.wait(until_us - now_us)?;
                continue;
            }
            heard_us = now_us;
            left = left.saturating_sub(count);
            let mut done = false;
            for byte in &bytes[..count] {
                self.decoder.push(*byte);
                done |= self.hand_over(&mut take);
            }
            if done {
                return Ok(Heard::All);
            }
            // A peer that trickles does not lengthen this.
            if now_us >= until_us {
                break;
            }
        }
        while self.decoder.give_up() {
            if self.hand_over(&mut take) {
                return Ok(Heard::All);
            }
        }
        let noise_bytes = self.decoder.noise_bytes();
        Ok(if take(None, noise_bytes) {
            Heard::All
        } else {
            Heard::Some
        })
    }

    /// Hands over what the decoder holds; whether one was the last.
    fn hand_over(&mut self, take: &mut impl FnMut(Option<Answer<'_>>, usize) -> bool) -> bool {
        let mut done = false;
        while let Some(frame) = self.decoder.take() {
            if self.echo_due && frame.raw == self.sent.as_slice() {
                self.echo_due = false;
                self.counts.echoes = self.counts.echoes.wrapping_add(1);
            } else if let Some(answer) = P::answer(frame) {
                done |= take(Some(answer), frame.noise_before_bytes);
            }
        }
        done
    }
}
