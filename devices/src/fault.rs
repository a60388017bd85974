//! Faults on purpose: a stream that loses, repeats, delays and damages what passes through it, or is deaf at first, the same way
//! every time.

use std::collections::VecDeque;

use robot::philox::Stream;

use crate::link::ByteStream;
use robot::device::LinkError;

/// How likely each fault is. All probabilities are in [0, 1].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct FaultRates {
    /// A bit of a byte flips, per byte, in either direction.
    pub bit_flip: f32,
    /// A written frame is lost.
    pub drop: f32,
    /// A written frame is sent twice.
    pub duplicate: f32,
    /// A written frame loses its tail, delimiter included.
    pub truncate: f32,
    /// A written frame is delayed by [`FaultRates::delay_us`]; what follows may overtake it.
    pub delay: f32,
    /// How long a delayed frame waits, in microseconds.
    pub delay_us: u64,
    /// Nothing passes in either direction for so long after the stream was opened, in microseconds: the board boots.
    pub deaf_us: u64,
}

/// A [`ByteStream`] with faults drawn from a seed.
#[derive(Debug)]
pub struct FaultInjector<S> {
    inner: S,
    rates: FaultRates,
    random: Stream,
    delayed: VecDeque<(u64, Vec<u8>)>,
    opened_us: u64,
    injected: u64,
}

impl<S: ByteStream> FaultInjector<S> {
    /// Puts faults between the caller and `inner`.
    pub fn new(inner: S, rates: FaultRates, seed: u64) -> Self {
        Self {
            opened_us: inner.now_us(),
            inner,
            rates,
            random: Stream::new(seed, 0xFA17),
            delayed: VecDeque::new(),
            injected: 0,
        }
    }

    /// The stream underneath.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// The stream underneath.
    pub fn inner_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Changes the rates from here on.
    pub fn set_rates(&mut self, rates: FaultRates) {
        self.rates = rates;
    }

    /// Faults so far, so that a test can tell that it tested something.
    pub fn injected(&self) -> u64 {
        self.injected
    }

    fn is_deaf(&self) -> bool {
        self.inner.now_us().saturating_sub(self.opened_us) < self.rates.deaf_us
    }

    fn strikes(&mut self, probability: f32) -> bool {
        let strikes = probability > 0.0 && self.random.uniform() < probability;
        self.injected += u64::from(strikes);
        strikes
    }

    fn damage(&mut self, bytes: &mut [u8]) {
        if self.rates.bit_flip > 0.0 {
            for byte in bytes {
                if self.strikes(self.rates.bit_flip) {
                    *byte ^= 1 << self.random.below(8);
                }
            }
        }
    }

    /// Sends what has been delayed long enough.
    fn release(&mut self) -> Result<(), LinkError> {
        while self
            .delayed
            .front()
            .is_some_and(|(due_us, _)| *due_us <= self.inner.now_us())
        {
            if let Some((_, bytes)) = self.delayed.pop_front() {
                self.inner.write(&bytes)?;
            }
        }
        Ok(())
    }
}

impl<S: ByteStream> ByteStream for FaultInjector<S> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn now_us(&self) -> u64 {
        self.inner.now_us()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.release()?;
        if self.is_deaf() {
            self.injected += 1;
            return Ok(());
        }
        if self.strikes(self.rates.drop) {
            return Ok(());
        }
        let mut bytes = bytes.to_vec();
        self.damage(&mut bytes);
        if self.strikes(self.rates.truncate) {
            let keep = self.random.below(bytes.len().max(1));
            bytes.truncate(keep);
        }
        if self.strikes(self.rates.delay) {
            let due_us = self.inner.now_us() + self.rates.delay_us;
            self.delayed.push_back((due_us, bytes));
            return Ok(());
        }
        self.inner.write(&bytes)?;
        if self.strikes(self.rates.duplicate) {
            self.inner.write(&bytes)?;
        }
        Ok(())
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, LinkError> {
        self.release()?;
        let count = self.inner.read(into)?;
        if self.is_deaf() {
            return Ok(0);
        }
        self.damage(&mut into[..count]);
        Ok(count)
    }

    fn wait(&mut self, timeout_us: u64) -> Result<(), LinkError> {
        self.release()?;
        self.inner.wait(timeout_us)
    }
}
