//! Servo buses, through public interfaces.

mod bus;
mod codec;
mod damage;
mod hosted;
mod joints;
mod peers;
