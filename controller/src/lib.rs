//! The control loop. Data flows one way, through seven stages that name modules, log channels and report rows:
//! [`capture`], [`encode`], [`filter`], [`plan`], [`guard`], [`actuate`], [`record`]. [`tick`] is where they meet.

pub mod actuate;
pub mod beliefs;
pub mod bench;
pub mod capture;
pub mod course;
pub mod encode;
pub mod eval;
mod exchange;
pub mod filter;
pub mod guard;
pub mod jobs;
pub mod live;
pub mod lockstep;
pub mod oracle;
pub mod picture;
pub mod plan;
pub mod realtime;
pub mod record;
pub mod replay;
pub mod report;
pub mod session;
pub mod stall;
pub mod tick;
pub mod tune;
pub mod world;
