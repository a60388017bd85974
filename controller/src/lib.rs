//! The control loop. Data flows one way, through seven stages that name modules, log channels and report rows:
//! [`capture`], [`encode`], [`filter`], [`plan`], [`guard`], [`actuate`], [`record`]. [`tick`] is where they meet.

pub mod actuate;
pub mod capture;
pub mod encode;
pub mod eval;
pub mod filter;
pub mod guard;
pub mod lockstep;
pub mod oracle;
pub mod plan;
pub mod record;
pub mod session;
pub mod tick;
