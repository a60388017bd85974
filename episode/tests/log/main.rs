//! The run log through its public interface: what goes in comes out, whatever happened to the file in between.

mod absurd;
mod camera;
mod cuts;
mod damage;
mod durable;
mod format;
mod pictures;
mod round_trip;
mod sample;
mod training;
