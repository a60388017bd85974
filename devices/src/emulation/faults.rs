//! What can be wrong with a servo.

/// The faults of one servo. None by default. Those of its answers last until they are taken back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Faults {
    /// It neither hears nor answers.
    pub silent: bool,
    /// Its answers reach the host so much later; others may overtake them.
    pub late_us: u64,
    /// This byte of its answers is damaged, counted from the first.
    pub corrupt_byte: Option<usize>,
    /// Its answers end after so many bytes.
    pub cut_after_bytes: Option<usize>,
    /// An answer of this id comes before each of its own.
    pub foreign_id: Option<u8>,
    /// These bytes come before each of its answers.
    pub noise: Vec<u8>,
    /// So much time passes between the bytes of its answers.
    pub trickle_us: u64,
    /// Its motor does not turn.
    pub stuck: bool,
    /// Bits that its status register shows, whatever it measures.
    pub status: u8,
    /// What it measures of its supply, in volts.
    pub voltage_v: Option<f32>,
    /// How hot it is, in degrees Celsius.
    pub temperature_c: Option<f32>,
    /// The load that it measures, as a share of the most.
    pub load: Option<f32>,
}
