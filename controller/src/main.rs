//! The `armillary` command.
fn main() {}
