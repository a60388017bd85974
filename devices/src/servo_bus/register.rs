//! Registers of servos as data: where each is, how wide, how it is signed and what its number means.

/// How a negative number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// Never negative.
    Unsigned,
    /// Two's complement.
    TwosComplement,
    /// The bit of this number is the sign, the bits below it the magnitude.
    Bit(u8),
}

/// Where a register is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Survives power-off; wears out.
    Eeprom,
    /// Lost at power-off.
    Ram,
}

/// Who may write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// The servo.
    ReadOnly,
    /// Servo and host.
    ReadWrite,
}

/// What one step of [`Register::scale`] times the number is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A code or a flag.
    None,
    /// Steps of the encoder.
    Ticks,
    /// Steps of the encoder a second.
    TicksPerSecond,
    /// Steps of the encoder a second, a second.
    TicksPerSecond2,
    /// Volts.
    Volts,
    /// Degrees Celsius.
    Celsius,
    /// Amperes.
    Amperes,
    /// A share of the most there is, 0 to 1.
    Share,
    /// Seconds.
    Seconds,
}

/// One register.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Register {
    /// Its name, as in the makers' tables.
    pub name: &'static str,
    /// Address of its first byte.
    pub address: u16,
    /// Bytes: 1, 2 or 4, the lowest first.
    pub width: u8,
    /// How a negative number is written.
    pub sign: Sign,
    /// What is measured.
    pub unit: Unit,
    /// How much of it one step is.
    pub scale: f32,
    /// Where it is kept.
    pub memory: Memory,
    /// Who may write it.
    pub access: Access,
}

/// A number that a register cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{value} does not fit the register {register}, which takes {low} to {high}")]
pub struct ValueOutOfRange {
    /// The register's name.
    pub register: &'static str,
    /// The number.
    pub value: i64,
    /// The least it takes.
    pub low: i64,
    /// The most it takes.
    pub high: i64,
}

impl Register {
    /// A register that the host writes, unsigned and without unit; the rest is said by the methods below.
    pub const fn new(name: &'static str, address: u16, width: u8, memory: Memory) -> Self {
        Self {
            name,
            address,
            width,
            sign: Sign::Unsigned,
            unit: Unit::None,
            scale: 1.0,
            memory,
            access: Access::ReadWrite,
        }
    }

    /// The same, signed so.
    #[must_use]
    pub const fn signed(mut self, sign: Sign) -> Self {
        self.sign = sign;
        self
    }

    /// The same, in steps of `scale` units.
    #[must_use]
    pub const fn in_steps(mut self, scale: f32, unit: Unit) -> Self {
        self.scale = scale;
        self.unit = unit;
        self
    }

    /// The same, written by the servo alone.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.access = Access::ReadOnly;
        self
    }

    /// The address behind its last byte.
    pub const fn end(&self) -> u16 {
        self.address + self.width as u16
    }

    /// The least and the most it holds, in steps.
    pub fn range(&self) -> (i64, i64) {
        let bits = u32::from(self.width.clamp(1, 4)) * 8;
        match self.sign {
            Sign::Unsigned => (0, (1 << bits) - 1),
            Sign::TwosComplement => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            Sign::Bit(bit) => {
                let most = (1 << u32::from(bit).min(bits - 1)) - 1;
                (-most, most)
            }
        }
    }

    /// The bytes that say `value` steps, of which [`Register::width`] count.
    ///
    /// # Errors
    /// [`ValueOutOfRange`].
    pub fn encode(&self, value: i64) -> Result<[u8; 4], ValueOutOfRange> {
        let (low, high) = self.range();
        if !(low..=high).contains(&value) {
            return Err(ValueOutOfRange {
                register: self.name,
                value,
                low,
                high,
            });
        }
        let word = match self.sign {
            Sign::Unsigned | Sign::TwosComplement => value as u32,
            Sign::Bit(bit) => value.unsigned_abs() as u32 | (u32::from(value < 0) << bit),
        };
        Ok(word.to_le_bytes())
    }

    /// The steps that `bytes` say. `None` if they are not as many as the register has.
    pub fn decode(&self, bytes: &[u8]) -> Option<i64> {
        if bytes.len() != usize::from(self.width) || bytes.len() > 4 {
            return None;
        }
        let mut word = [0; 4];
        word[..bytes.len()].copy_from_slice(bytes);
        let word = u32::from_le_bytes(word);
        Some(match self.sign {
            Sign::Unsigned => i64::from(word),
            Sign::TwosComplement => {
                let unused = 32 - u32::from(self.width) * 8;
                i64::from(((word << unused) as i32) >> unused)
            }
            Sign::Bit(bit) => {
                let magnitude = i64::from(word & ((1 << bit) - 1));
                if word >> bit & 1 == 1 {
                    -magnitude
                } else {
                    magnitude
                }
            }
        })
    }

    /// The steps in `block`, which holds registers from `address` on. `None` if the register lies outside of it.
    pub fn within(&self, address: u16, block: &[u8]) -> Option<i64> {
        let begin = usize::from(self.address.checked_sub(address)?);
        self.decode(block.get(begin..begin + usize::from(self.width))?)
    }

    /// So many steps in the register's unit.
    pub fn scaled(&self, steps: i64) -> f32 {
        steps as f32 * self.scale
    }
}
