//! The rollout that this project exists for: a tile of candidates goes through all its steps without leaving the
//! cache, in the widest registers the CPU has.
//!
//! Values are laid out `[feature][candidate]`. Each output of a matrix product accumulates over its inputs in the one
//! order that [`crate::scalar`] has, for whole vectors of candidates at once; several outputs share each load of an
//! input. Activations, noise and the reward head follow in the same vectors. In `f32` arithmetic every bit is the one
//! that `scalar` computes, whatever the vectors.
//!
//! What all candidates share at step 0, they share: the belief's part of the first layer and of the gates is computed
//! once a plan.

mod convolve;
mod dense;
mod gru;
mod network;
mod pack;
mod peak;
mod single;
mod step;
mod tile;

use std::fmt::Debug;
use std::sync::Arc;

use convolve::Convolutions;
pub(crate) use convolve::Convolve;
pub use peak::peak_flops;
use single::Single;
pub(crate) use single::{Beliefs, Gaussian};
use tile::Tiles;

use crate::arithmetic::PortableSingle;
#[cfg(target_arch = "x86_64")]
use crate::arithmetic::{Avx2Single, Avx512Single, Bf16};
use crate::belief::Belief;
pub use crate::instructions::{INSTRUCTIONS, Instructions, Unsupported};
use crate::noise::NoiseKey;
use crate::rollout::Rollout;
use crate::weights::{Convolution, Dense, LatentWeights};

/// Rollouts by fused kernels.
pub struct KernelRollout {
    instructions: Instructions,
    tiles: Box<dyn Kernel>,
}

impl Debug for KernelRollout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KernelRollout({})", self.instructions.name())
    }
}

/// What is left of a kernel's type when its vectors are forgotten.
trait Kernel: Send {
    fn begin(&mut self, start: &Belief);
    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    );
}

impl KernelRollout {
    /// Packs the weights and sizes all buffers; nothing is allocated afterwards.
    ///
    /// # Errors
    /// [`Unsupported`] on a CPU without these instructions.
    pub fn new(weights: &Arc<LatentWeights>, instructions: Instructions) -> Result<Self, Unsupported> {
        if !instructions.supported() {
            return Err(Unsupported(instructions));
        }
        let tiles: Box<dyn Kernel> = match instructions {
            Instructions::Portable => Box::new(Tiles::<PortableSingle, 2, 6>::new(weights)),
            // Vectors a tile x outputs a block: as many sums as the registers hold beside inputs and weights.
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Box::new(Tiles::<Avx2Single, 2, 6>::new(weights)),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Box::new(Tiles::<Avx512Single, 2, 12>::new(weights)),
            #[cfg(target_arch = "x86_64")]
            Instructions::Bf16 => Box::new(Tiles::<Bf16, 2, 12>::new(weights)),
            #[cfg(not(target_arch = "x86_64"))]
            _ => return Err(Unsupported(instructions)),
        };
        Ok(Self { instructions, tiles })
    }
}

impl Rollout for KernelRollout {
    fn name(&self) -> &'static str {
        self.instructions.name()
    }

    fn begin(&mut self, start: &Belief) {
        self.tiles.begin(start);
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String> {
        self.tiles
            .returns(actions, horizon, noise, first_candidate, returns);
        Ok(())
    }
}

/// The executor of one belief in instructions that this CPU has.
///
/// # Errors
/// [`Unsupported`] on a CPU without them, or if they are not of the `f32` family.
pub(crate) fn beliefs(
    weights: &Arc<LatentWeights>,
    posterior: &[Dense; 2],
    instructions: Instructions,
) -> Result<Box<dyn Beliefs>, Unsupported> {
    if !instructions.supported() {
        return Err(Unsupported(instructions));
    }
    Ok(match instructions {
        Instructions::Portable => Box::new(Single::<PortableSingle, 6>::new(weights, posterior)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => Box::new(Single::<Avx2Single, 6>::new(weights, posterior)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => Box::new(Single::<Avx512Single, 12>::new(weights, posterior)),
        _ => return Err(Unsupported(instructions)),
    })
}

/// The executor of convolutions in instructions that this CPU has.
///
/// # Errors
/// [`Unsupported`] on a CPU without them, or if they are not of the `f32` family.
pub(crate) fn convolve(
    layers: &[Convolution],
    instructions: Instructions,
) -> Result<Box<dyn Convolve>, Unsupported> {
    if !instructions.supported() {
        return Err(Unsupported(instructions));
    }
    Ok(match instructions {
        Instructions::Portable => Box::new(Convolutions::<PortableSingle, 2, 6>::new(layers)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => Box::new(Convolutions::<Avx2Single, 2, 6>::new(layers)),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => Box::new(Convolutions::<Avx512Single, 2, 12>::new(layers)),
        _ => return Err(Unsupported(instructions)),
    })
}
