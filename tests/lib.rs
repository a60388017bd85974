//! The integration tests, one binary: see `main.rs`.
