//! Where a camera is and how its lens bends lines, by pictures of a board with a known pattern.
//!
//! ```text
//!  picture --Finder--> corners --intrinsics::solve--> Lens + Verdict
//!                         \--pose::of_board--> board in the camera --hand_eye::solve--> camera in the arm's base + Verdict
//! ```
//!
//! The pattern is a ChArUco board: a chessboard whose white squares hold markers, so that a part of it is enough. Corners are found by the crate
//! `calib-targets-charuco`; what is solved from them is here.
//!
//! # Frames
//! A board's origin is its top left corner, x to the right, y down, z away from who looks at it. A camera's frame is at its centre of projection, x to the right of
//! the picture, y down, z forward. `a_in_b` is the pose of frame a in frame b: it takes a point's coordinates in a to those in b.

mod board;
pub mod collect;
pub mod coverage;
mod file;
mod find;
pub mod hand_eye;
pub mod intrinsics;
mod least_squares;
pub mod pose;
mod project;
pub mod synthetic;

pub use board::Board;
pub use collect::apart_px;
pub use file::{CameraFile, CameraFileError, Mounted, Pose};
pub use find::{Corner, Finder, FinderError};
pub use project::project;
