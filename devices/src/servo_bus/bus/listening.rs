//! Sending, and making sense of what comes back in a given time.

use super::{Bus, BusError};
use crate::servo_bus::decoder::SUSPECT_NOISE_BYTES;
use crate::servo_bus::line::Line;
use crate::servo_bus::protocol::{Answer, Protocol, Request};
use crate::servo_bus::readings::Readings;

/// Bytes that are listened to for one request, at most: a line that never falls silent ends an exchange, too.
const LISTEN_BYTES_MAX: usize = 4096;

/// Longest time between two looks at whether something more urgent is to be sent, in microseconds.
const LOOK_US: u64 = 1_000;

/// How a listening ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Everything that was waited for.
    All,
    /// Time is up, or the line is quiet.
    Some,
}

/// Who is listened to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Who<'a> {
    /// Servos of these ids, each in its turn.
    InTurn(&'a [u8]),
    /// Whoever has not answered in this exchange.
    Late,
    /// This one, counted as in the readings.
    Only(usize),
}

impl<'a> Who<'a> {
    fn may_answer(self, servo: usize) -> bool {
        match self {
            Who::InTurn(_) | Who::Late => true,
            Who::Only(only) => servo == only,
        }
    }

    /// Those whose turn comes after that of `id`.
    fn after(self, id: u8) -> &'a [u8] {
        match self {
            Who::InTurn(ids) => ids
                .iter()
                .position(|other| *other == id)
                .map_or(&[], |turn| &ids[turn + 1..]),
            Who::Late | Who::Only(_) => &[],
        }
    }
}

impl<P: Protocol, L: Line> Bus<P, L> {
    /// Listens until the line is quiet if an answer is owed, drops what nobody asked for, and sends.
    pub(super) fn send(
        &mut self,
        request: &Request<'_>,
        answer_length: usize,
        deadline_us: u64,
    ) -> Result<(), BusError> {
        request.encode::<P>(&mut self.sent)?;
        self.hush(self.timing.quiet_us, deadline_us)?;
        // An answer, or what was sent heard again, is no longer than this.
        self.decoder
            .reset(P::answer_bytes_max(answer_length).max(self.sent.len()));
        self.line.write(&self.sent)?;
        self.sent_us = self.sent_us.max(self.line.now_us()) + self.wire_us(self.sent.len());
        self.echo_due = true;
        self.counts.requests = self.counts.requests.wrapping_add(1);
        Ok(())
    }

    /// Drops what has come; if an answer is owed, until nothing comes for `quiet_us`.
    pub(super) fn hush(&mut self, quiet_us: u64, deadline_us: u64) -> Result<(), BusError> {
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
            let until_us = (quiet_since_us + quiet_us).min(deadline_us);
            if !self.owed || now_us >= until_us || left == 0 || self.is_interrupted() {
                break;
            }
            self.line.wait((until_us - now_us).min(self.look_us()))?;
        }
        self.owed = false;
        Ok(())
    }

    /// Longest wait at a time.
    fn look_us(&self) -> u64 {
        if self.interrupt.is_some() {
            LOOK_US
        } else {
            u64::MAX
        }
    }

    /// When answers that take `answers_us` on the wire must be there.
    pub(super) fn answer_until_us(&self, answers_us: u64) -> u64 {
        self.sent_us + self.timing.turnaround_us + answers_us
    }

    /// Puts answers into `readings` until nobody is left to answer.
    pub(super) fn collect(
        &mut self,
        until_us: u64,
        quiet_us: Option<u64>,
        who: Who<'_>,
        readings: &mut Readings,
    ) -> Result<Heard, BusError> {
        let done = |readings: &Readings| match who {
            Who::InTurn(_) | Who::Late => readings.complete(),
            Who::Only(servo) => readings.answered(servo),
        };
        if done(readings) {
            return Ok(Heard::All);
        }
        let length = usize::from(readings.block().length);
        let (mut answers, mut foreign, mut suspect) = (0_u32, 0_u32, 0_u32);
        // Who answered last.
        let mut last = None;
        let heard = self.listen(until_us, quiet_us, |answer, noise_bytes| {
            if noise_bytes >= SUSPECT_NOISE_BYTES
                && let Some(servo) = last.take()
            {
                readings.revoke(servo);
                suspect += 1;
            }
            let Some(answer) = answer else {
                return done(readings);
            };
            let servo = readings.ids().iter().position(|id| *id == answer.id);
            let asked = servo.filter(|servo| who.may_answer(*servo) && answer.data.len() == length);
            last = asked;
            match asked {
                Some(servo) if !readings.answered(servo) => {
                    // Those whose turn comes later and who have answered already did not: that was somebody else.
                    for early in who.after(answer.id) {
                        let early = readings.ids().iter().position(|id| id == early);
                        if let Some(early) = early.filter(|early| readings.answered(*early)) {
                            readings.revoke(early);
                            foreign += 1;
                        }
                    }
                    readings.get_mut(servo).put(answer.data, answer.error);
                    answers += 1;
                }
                Some(servo) if matches!(who, Who::InTurn(_)) => {
                    // Two answers where one was asked for: nobody knows which is right.
                    readings.revoke(servo);
                    foreign += 1;
                }
                _ => foreign += 1,
            }
            done(readings)
        })?;
        self.counts.answers = self.counts.answers.wrapping_add(answers);
        self.counts.foreign = self.counts.foreign.wrapping_add(foreign);
        self.counts.suspect = self.counts.suspect.wrapping_add(suspect);
        self.owed |= heard == Heard::Some;
        Ok(heard)
    }

    /// Hands every answer over, with the bytes of noise before it, until `take` says that it was the last, until `until_us`, or until
    /// the line has been quiet for `quiet_us`. `None` is handed over once at the end, with the noise behind the last answer.
    pub(super) fn listen(
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
                if now_us >= until_us || self.is_interrupted() {
                    break;
                }
                self.line.wait((until_us - now_us).min(self.look_us()))?;
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
