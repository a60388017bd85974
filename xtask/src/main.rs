//! Set-up, tests, demo and the learning loop.
fn main() {}
