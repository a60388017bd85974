//! What each servo answered, and how long ago.

/// The most servos that are read at once.
pub const SERVOS_MAX: usize = robot::MAX_JOINTS;

/// The most bytes of a servo that are read at once.
pub const BLOCK_BYTES_MAX: usize = 32;

/// Registers that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Address of the first byte.
    pub address: u16,
    /// How many bytes, [`BLOCK_BYTES_MAX`] at most.
    pub length: u8,
}

/// One servo's part of an exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    data: heapless::Vec<u8, BLOCK_BYTES_MAX>,
    error: u8,
    missed: u32,
    /// What `missed` is if no answer of this exchange counts.
    missed_else: u32,
}

impl Reading {
    /// What was read in the last exchange; `None` if this servo did not answer in it, whatever it answered before.
    pub fn fresh(&self) -> Option<&[u8]> {
        (self.missed == 0).then_some(&self.data)
    }

    /// The error byte of that answer; `None` as above.
    pub fn error(&self) -> Option<u8> {
        (self.missed == 0).then_some(self.error)
    }

    /// Exchanges since it answered last: 0 = it answered in the last one.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    pub(super) fn put(&mut self, data: &[u8], error: u8) {
        self.data.clear();
        // Nothing longer was asked for.
        let _ = self.data.extend_from_slice(data);
        self.error = error;
        self.missed = 0;
    }
}

/// What the servos of an exchange answered, in the order in which they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readings {
    ids: heapless::Vec<u8, SERVOS_MAX>,
    block: Block,
    each: heapless::Vec<Reading, SERVOS_MAX>,
}

impl Readings {
    /// Of servos `ids`, none of which has answered yet. Servos beyond [`SERVOS_MAX`] are left out.
    pub fn new(ids: &[u8]) -> Self {
        let ids: heapless::Vec<u8, SERVOS_MAX> = ids.iter().copied().take(SERVOS_MAX).collect();
        Self {
            each: ids
                .iter()
                .map(|_| Reading {
                    missed: u32::MAX,
                    missed_else: u32::MAX,
                    ..Reading::default()
                })
                .collect(),
            ids,
            block: Block {
                address: 0,
                length: 0,
            },
        }
    }

    /// Whose.
    pub fn ids(&self) -> &[u8] {
        &self.ids
    }

    /// What was asked for in the last exchange.
    pub fn block(&self) -> Block {
        self.block
    }

    /// One servo's part.
    pub fn get(&self, servo: usize) -> Option<&Reading> {
        self.each.get(servo)
    }

    /// The parts of all.
    pub fn iter(&self) -> impl Iterator<Item = &Reading> {
        self.each.iter()
    }

    /// Begins an exchange: no answer of before counts any more.
    pub(super) fn begin(&mut self, block: Block) {
        self.block = block;
        for reading in &mut self.each {
            reading.missed = reading.missed.saturating_add(1);
            reading.missed_else = reading.missed;
        }
    }

    /// One servo's answer is not believed after all.
    pub(super) fn revoke(&mut self, servo: usize) {
        let reading = &mut self.each[servo];
        reading.missed = reading.missed_else;
    }

    /// Whether a servo has answered in this exchange.
    pub(super) fn answered(&self, servo: usize) -> bool {
        self.each.get(servo).is_some_and(|reading| reading.missed == 0)
    }

    /// Whether all have.
    pub(super) fn complete(&self) -> bool {
        self.each.iter().all(|reading| reading.missed == 0)
    }

    pub(super) fn get_mut(&mut self, servo: usize) -> &mut Reading {
        &mut self.each[servo]
    }
}
