//! The control loop. Data flows one way, through seven stages that name modules, log channels and report rows:
//! [`capture`], [`encode`], [`filter`], [`plan`], [`guard`], [`actuate`], [`record`]. [`tick`] is where they meet. What is outside
//! comes through the traits of [`robot::device`].

pub mod actuate;
pub mod beliefs;
pub mod capture;
pub mod course;
pub mod encode;
pub mod filter;
pub mod listen;
pub mod live;
pub mod lockstep;
pub mod park;
pub mod plan;
pub mod record;
pub mod replay;
pub mod session;
pub mod stall;
pub mod tick;

pub use guard;
