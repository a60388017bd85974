//! Frames to embeddings.

use robot::Frame;

use crate::image::{ImageForm, to_planes};
use crate::kernel::{Convolve, Instructions, Unsupported, convolve};
use crate::weights::Convolution;

/// The convolutional encoder (PlaNet, appendix A). Allocates nothing once it is made; the same bits on every CPU. That of a
/// model that sees no pictures has no layers, and writes nothing.
pub struct Encoder {
    convolutions: Option<Box<dyn Convolve>>,
    form: ImageForm,
    planes: Vec<f32>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoder")
    }
}

impl Encoder {
    /// Packs the weights and sizes all buffers; frames are of `form`.
    ///
    /// # Errors
    /// [`Unsupported`] on a CPU without these instructions, and for `bf16`.
    pub fn new(
        layers: &[Convolution],
        form: ImageForm,
        instructions: Instructions,
    ) -> Result<Self, Unsupported> {
        Ok(Self {
            convolutions: match layers {
                [] => None,
                layers => Some(convolve(layers, instructions)?),
            },
            form,
            planes: vec![0.0; form.numbers()],
        })
    }

    /// Numbers of an image.
    pub(crate) fn image_numbers(&self) -> usize {
        self.planes.len()
    }

    /// Writes the embedding of `frame`.
    ///
    /// # Panics
    /// If the frame is not of the model's side, or `embedding` not as long as the manifest says.
    pub fn encode(&mut self, frame: &Frame, embedding: &mut [f32]) {
        if let Some(convolutions) = &mut self.convolutions {
            to_planes(frame, self.form, &mut self.planes);
            convolutions.run(&self.planes, embedding);
        }
    }

    /// The same for planes `[3][side][side]` that are there already.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn encode_planes(&mut self, planes: &[f32], embedding: &mut [f32]) {
        assert_eq!(planes.len(), self.planes.len(), "planes hold one image");
        if let Some(convolutions) = &mut self.convolutions {
            convolutions.run(planes, embedding);
        }
    }
}
