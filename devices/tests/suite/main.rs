//! Servo buses, through public interfaces.

mod codec;
mod damage;
mod peers;
