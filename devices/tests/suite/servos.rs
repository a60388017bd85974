//! Servo buses, through public interfaces.

mod bus;
mod codec;
mod damage;
mod joints;
mod peers;
