//! Bundles that were damaged, or made by somebody who means harm: each is refused with an error that names the file.

mod confined;
mod flips;
mod hostile;
mod pixels;
mod small;
