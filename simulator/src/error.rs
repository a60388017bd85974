//! What can go wrong while a simulator is built; a built one does not fail.

/// The embedded scene could not be used.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    /// The scene is not MJCF that the loader understands.
    #[error("scene of `{task}` is not valid MJCF")]
    Parse {
        /// Which task's scene.
        task: crate::Task,
        /// The parser's complaint.
        #[source]
        source: rapier3d_mjcf::mjcf_rs::ParseError,
    },
    /// Something that the task needs is not in the scene.
    #[error("scene lacks {what} named `{name}`")]
    Missing {
        /// Kind of element.
        what: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// A geom has a shape that the renderer cannot draw.
    #[error("geom `{name}`: only plane, box, capsule, cylinder and sphere can be drawn")]
    Shape {
        /// The geom's name, if it has one.
        name: String,
    },
}
