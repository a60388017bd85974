//! Servo buses, through public interfaces.

mod bus;
mod calibrated;
mod codec;
mod damage;
mod emulation;
mod hosted;
mod hosted_e_stop;
mod joints;
mod let_go;
mod paced;
mod peers;
mod pty;
mod setup;
mod survey;
