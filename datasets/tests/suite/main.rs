//! Data sets to logs and back, and what is done about those that do not agree with themselves.

mod damage;
mod export;
mod npz;
mod round_trip;
mod set;
mod words;
