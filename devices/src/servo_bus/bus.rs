//! One exchange: a request, and the answers that come within a budget of time.
//!
//! No answer says which request it answers. So what comes counts only if id and length are those asked for, and after any time-out
//! the line is listened to until it is quiet before anything else is asked. What a servo says later than that is told by its length,
//! if the exchanges that follow each other ask for different ones.

mod error;
mod listening;
mod rate;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use error::{BusCounts, BusError};
use listening::{Heard, Who};

use super::decoder::{Decoder, SUSPECT_NOISE_BYTES};
use super::line::Line;
use super::protocol::{BROADCAST_ID, EncodeError, PacketBytes, Protocol, Request};
use super::readings::{BLOCK_BYTES_MAX, Block, Readings, SERVOS_MAX};

/// How long things take on a bus. An adapter that hands bytes over every 16 ms, as FTDI's do unless their latency timer is set to 1 ms,
/// needs a longer turnaround than a control period has.
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

/// A bus of servos that speak protocol `P` on line `L`.
#[derive(Debug)]
pub struct Bus<P, L> {
    line: L,
    timing: Timing,
    decoder: Decoder<P>,
    sent: PacketBytes,
    /// When the last byte sent leaves the adapter.
    sent_us: u64,
    /// What was sent may still be heard again.
    echo_due: bool,
    /// An answer is owed that may yet come.
    owed: bool,
    /// Set when something more urgent is to be sent.
    interrupt: Option<Arc<AtomicBool>>,
    counts: BusCounts,
}

impl<P: Protocol, L: Line> Bus<P, L> {
    /// A bus on `line`.
    pub fn new(line: L, timing: Timing) -> Self {
        Self {
            line,
            timing,
            decoder: Decoder::default(),
            sent: PacketBytes::new(),
            sent_us: 0,
            echo_due: false,
            // Whoever had the line before may have asked.
            owed: true,
            interrupt: None,
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

    /// The line, for whoever has another use for it.
    pub fn into_line(self) -> L {
        self.line
    }

    /// Makes exchanges give up waiting as soon as `interrupt` is set. `None`: they wait for as long as they may.
    pub fn set_interrupt(&mut self, interrupt: Option<Arc<AtomicBool>>) {
        self.interrupt = interrupt;
    }

    fn is_interrupted(&self) -> bool {
        let interrupt = self.interrupt.as_ref();
        interrupt.is_some_and(|interrupt| interrupt.load(Ordering::SeqCst))
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

    /// Listens until the line has been quiet for `quiet_us`, ten times as long at most: nobody owes an answer then.
    ///
    /// # Errors
    /// A line error.
    pub fn settle(&mut self, quiet_us: u64) -> Result<(), BusError> {
        let deadline_us = self.line.now_us() + 10 * quiet_us;
        self.owed = true;
        self.hush(quiet_us, deadline_us)
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
        if self.collect(until_us, None, Who::InTurn(&order), readings)? == Heard::Some {
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
                if readings.answered(servo) {
                    continue;
                }
                // What comes meanwhile is an answer of this exchange.
                let quiet = Some(self.timing.quiet_us);
                if self.collect(deadline_us, quiet, Who::Late, readings)? == Heard::All {
                    return Ok(());
                }
                if readings.answered(servo) {
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
                self.collect(until_us, None, Who::Only(servo), readings)?;
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

    /// As [`Bus::read`], without a word about a servo that does not answer.
    ///
    /// # Errors
    /// A line error.
    pub fn try_read(
        &mut self,
        id: u8,
        address: u16,
        into: &mut [u8],
        budget_us: u64,
    ) -> Result<Option<u8>, BusError> {
        let length = u8::try_from(into.len()).map_err(|_| EncodeError::TooLong)?;
        let deadline_us = self.line.now_us() + budget_us;
        self.ask(&Request::Read { id, address, length }, id, into, deadline_us)
    }

    /// Reads registers of one servo into `into`; returns the error byte.
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn read(&mut self, id: u8, address: u16, into: &mut [u8], budget_us: u64) -> Result<u8, BusError> {
        let length = u8::try_from(into.len()).map_err(|_| EncodeError::TooLong)?;
        self.insist(&Request::Read { id, address, length }, id, into, budget_us)
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
        self.insist(&request, id, &mut [], budget_us)
    }

    /// Starts a servo anew, which clears an overload (Dynamixel).
    ///
    /// # Errors
    /// [`BusError::Silent`] if it does not answer within `budget_us`, or refuses.
    pub fn reboot(&mut self, id: u8, budget_us: u64) -> Result<u8, BusError> {
        self.insist(&Request::Reboot { id }, id, &mut [], budget_us)
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
        self.count_answers_and_others(id, budget_us, |_| {})
    }

    /// As [`Bus::count_answers`]; `other` hears the ids of servos that answer, and were not asked now: those that are late.
    ///
    /// # Errors
    /// A line error.
    pub fn count_answers_and_others(
        &mut self,
        id: u8,
        budget_us: u64,
        mut other: impl FnMut(u8),
    ) -> Result<(usize, bool), BusError> {
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
            match answer.filter(|answer| answer.data.len() == 2) {
                Some(answer) if answer.id == id => count += 1,
                Some(answer) => other(answer.id),
                None => {}
            }
            false
        })?;
        let after = self.decoder.counts();
        let noise_bytes = after.noise_bytes.wrapping_sub(before.noise_bytes) as usize;
        // A line that changes hands may spike.
        let spoilt = after.damaged != before.damaged || noise_bytes >= SUSPECT_NOISE_BYTES;
        Ok((count, spoilt))
    }

    /// As [`Bus::ask`]; no answer and a refusal are errors.
    fn insist(
        &mut self,
        request: &Request<'_>,
        id: u8,
        into: &mut [u8],
        budget_us: u64,
    ) -> Result<u8, BusError> {
        let deadline_us = self.line.now_us() + budget_us;
        let error = self.ask(request, id, into, deadline_us)?;
        let line = || self.line.name().to_owned();
        match error.map(|error| (error, P::refusal(error))) {
            None => Err(BusError::Silent { line: line(), id }),
            Some((_, Some(reason))) => Err(BusError::Refused {
                line: line(),
                id,
                reason,
            }),
            Some((error, None)) => Ok(error),
        }
    }

    /// Sends a request to one servo and waits for its answer, asking again until `deadline_us`. Returns the error byte, if it answers.
    fn ask(
        &mut self,
        request: &Request<'_>,
        id: u8,
        into: &mut [u8],
        deadline_us: u64,
    ) -> Result<Option<u8>, BusError> {
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
            if error.is_some() {
                self.counts.answers = self.counts.answers.wrapping_add(1);
                return Ok(error);
            }
            self.owed = true;
            if self.line.now_us() >= deadline_us {
                break;
            }
        }
        self.counts.misses = self.counts.misses.wrapping_add(1);
        Ok(None)
    }
}
