//! Files and folders that a user names: how they are opened, listed and made, so that nothing of the user's is lost.
//!
//! - [`open`] opens regular files only. A FIFO would make the program wait for a writer, and opening a device can do something.
//! - [`list`] passes over hidden entries, whose names begin with a dot.
//! - [`NewFolder`] is an output folder that gets its name when it is whole.
//! - [`put`] and [`replace`] write a file in one step. [`put`] replaces only a file that this program made.
//! - [`read_inside`] reads what a file of somebody else's names, and only from that file's own folder.
//! - [`guarded`] is a fence around the libraries that parse such files.
//! - [`listen_privately`] makes a socket that only its owner can connect to.
//!
//! # What is removed or replaced
//! Only what this program made. Everything that is being made lies in a scratch folder beside its destination. The folder is
//! created exclusively under a name that cannot be guessed, and a marker inside names it and what is made in it. Of what a killed
//! program left, the next program that works in the same place removes the one file that the marker names, if nobody holds the
//! marker's lock. A half-made folder stays, and a warning names it.

mod error;
mod fence;
mod folder;
mod input;
mod inside;
mod listing;
mod mark;
mod output;
mod scratch;
mod socket;
mod text;

pub use error::OutputError;
pub use fence::{Panicked, guarded};
pub use folder::NewFolder;
pub use input::{TEXT_BYTES_MAX, kind_of, open, read, read_to_string};
pub use inside::{is_plain_name, read_at_most, read_inside};
pub use listing::{is_hidden, list};
pub use mark::{MARK, gif_comment, is_marked, png};
pub use output::{check, put, put_with, replace, sync_folder_of};
pub use socket::listen_privately;
pub use text::text;
