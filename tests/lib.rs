//! The integration tests; see `main.rs`.
