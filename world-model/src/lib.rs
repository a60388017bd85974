//! world-model
