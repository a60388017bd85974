//! Finds packets among bytes.

use std::marker::PhantomData;

use super::protocol::{Frame, Look, PACKET_BYTES_MAX, PacketBytes, Protocol};

const BUFFER_BYTES: usize = 2 * PACKET_BYTES_MAX;

/// What a decoder has met since it was made. Counters wrap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DecoderCounts {
    /// Packets with a right checksum.
    pub packets: u32,
    /// What looked like a packet and had a wrong checksum.
    pub damaged: u32,
    /// Bytes that belonged to no packet.
    pub noise_bytes: u32,
}

/// So many bytes right behind an answer that begin no packet may be the rest of another, whose beginning was taken for the end of this
/// one: neither is to be believed. Fewer are the spikes of a line that changes hands.
pub const SUSPECT_NOISE_BYTES: usize = 3;

/// Finds packets in a stream of bytes. After noise or a damaged packet it looks again from the next byte on, so that a header which
/// was none costs no packet that follows it.
#[derive(Debug)]
pub struct Decoder<P> {
    bytes: [u8; BUFFER_BYTES],
    /// The bytes that have not been looked through are `bytes[start..end]`.
    start: usize,
    end: usize,
    body: PacketBytes,
    longest: usize,
    /// Noise since the last packet, unless a header came right behind it.
    noise_bytes: usize,
    /// Whether a header came right behind it, of a packet that was damaged or not whole.
    header_seen: bool,
    counts: DecoderCounts,
    protocol: PhantomData<P>,
}

impl<P: Protocol> Default for Decoder<P> {
    fn default() -> Self {
        Self {
            bytes: [0; BUFFER_BYTES],
            start: 0,
            end: 0,
            body: PacketBytes::new(),
            longest: PACKET_BYTES_MAX,
            noise_bytes: 0,
            header_seen: false,
            counts: DecoderCounts::default(),
            protocol: PhantomData,
        }
    }
}

impl<P: Protocol> Decoder<P> {
    /// Forgets what has not been looked through, and takes packets of more than `longest` bytes for noise from here on.
    pub fn reset(&mut self, longest: usize) {
        self.counts.noise_bytes = self
            .counts
            .noise_bytes
            .wrapping_add((self.end - self.start) as u32);
        (self.start, self.end) = (0, 0);
        self.noise_bytes = 0;
        self.header_seen = false;
        self.longest = longest.min(PACKET_BYTES_MAX);
    }

    /// Takes one byte in. Call [`Decoder::take`] until it returns `None` after each: the buffer holds what cannot be decided yet
    /// and loses its oldest byte when it is full.
    pub fn push(&mut self, byte: u8) {
        if self.end == BUFFER_BYTES {
            if self.start == 0 {
                self.skip(1);
            }
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        self.bytes[self.end] = byte;
        self.end += 1;
    }

    /// The next packet among the bytes taken in, if one is whole.
    pub fn take(&mut self) -> Option<Frame<'_>> {
        // Every turn but the last takes a byte away.
        while self.start < self.end {
            match P::look(&self.bytes[self.start..self.end], self.longest) {
                Look::Unfinished => return None,
                Look::Noise(count) => self.skip(count.max(1)),
                Look::Damaged => {
                    self.counts.damaged = self.counts.damaged.wrapping_add(1);
                    self.header_seen |= self.noise_bytes == 0;
                    self.skip(1);
                }
                Look::Packet(length) => {
                    let begin = self.start;
                    self.start = (begin + length).min(self.end);
                    self.counts.packets = self.counts.packets.wrapping_add(1);
                    let raw = &self.bytes[begin..self.start];
                    let (id, code) = P::open(raw, &mut self.body);
                    let noise_before_bytes = std::mem::take(&mut self.noise_bytes);
                    self.header_seen = false;
                    return Some(Frame {
                        id,
                        code,
                        body: &self.body,
                        raw,
                        noise_before_bytes,
                    });
                }
            }
        }
        None
    }

    /// Gives up what looks like the beginning of a packet: nothing more will come. Returns whether there was one; then
    /// [`Decoder::take`] may find packets behind it.
    pub fn give_up(&mut self) -> bool {
        let waiting = self.start < self.end;
        if waiting {
            self.header_seen |= self.noise_bytes == 0 && self.end - self.start > 1;
            self.skip(1);
        }
        waiting
    }

    /// Bytes since the last packet that belong to none, as far as is decided; 0 if they began like one.
    pub fn noise_bytes(&self) -> usize {
        self.noise_bytes
    }

    /// What it has met.
    pub fn counts(&self) -> DecoderCounts {
        self.counts
    }

    fn skip(&mut self, count: usize) {
        let count = count.min(self.end - self.start);
        self.start += count;
        if !self.header_seen {
            self.noise_bytes += count;
        }
        self.counts.noise_bytes = self.counts.noise_bytes.wrapping_add(count as u32);
    }
}
