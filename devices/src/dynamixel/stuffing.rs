//! Keeps the header out of a packet's body: `FF FF FD` there becomes `FF FF FD FD`.

/// How much of `FF FF FD` the last bytes are.
#[derive(Default)]
struct Matched(u8);

impl Matched {
    /// Whether `byte` makes it whole.
    fn advance(&mut self, byte: u8) -> bool {
        self.0 = match (self.0, byte) {
            (2, 0xFF) => 2,
            (matched, 0xFF) if matched < 2 => matched + 1,
            (2, 0xFD) => 3,
            (_, 0xFF) => 1,
            _ => 0,
        };
        self.0 == 3
    }
}

/// Hands over `bytes`, stuffed.
pub(super) fn stuff(bytes: &[u8], mut put: impl FnMut(u8)) {
    let mut matched = Matched::default();
    for byte in bytes {
        put(*byte);
        if matched.advance(*byte) {
            put(0xFD);
            matched = Matched::default();
        }
    }
}

/// Hands over `bytes` without what [`stuff`] added.
pub(super) fn unstuff(bytes: &[u8], mut put: impl FnMut(u8)) {
    let mut matched = Matched::default();
    let mut whole = false;
    for byte in bytes {
        if std::mem::take(&mut whole) && *byte == 0xFD {
            matched = Matched::default();
            continue;
        }
        put(*byte);
        whole = matched.advance(*byte);
    }
}
