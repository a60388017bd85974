//! Candidates in tiles, each through all its steps before the next begins. Plain loops for the reason given in
//! [`super::dense`].

use std::sync::Arc;

use super::Kernel;
use super::network::Network;
use super::step::{Scratch, WIDEST};
use crate::arithmetic::{Arithmetic, Job};
use crate::belief::Belief;
use crate::lanes::Lanes;
use crate::noise::NoiseKey;
use crate::weights::LatentWeights;

/// Packed weights, and what a tile needs. `N` vectors a tile, at most `MOST` outputs a block.
pub(super) struct Tiles<A: Arithmetic, const N: usize, const MOST: usize> {
    network: Network<A>,
    wide: Scratch<A, N, MOST>,
    /// For what is left of a budget when one vector holds it.
    narrow: Scratch<A, 1, MOST>,
    returns: [f32; WIDEST],
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Tiles<A, N, MOST> {
    const WIDTH: usize = N * A::Lanes::COUNT;

    pub(super) fn new(weights: &Arc<LatentWeights>) -> Self {
        assert!(
            Self::WIDTH <= WIDEST,
            "a tile is at most {WIDEST} candidates wide"
        );
        let network = Network::new(weights, MOST);
        Self {
            wide: Scratch::new(&network),
            narrow: Scratch::new(&network),
            network,
            returns: [0.0; WIDEST],
        }
    }
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Kernel for Tiles<A, N, MOST> {
    fn begin(&mut self, start: &Belief) {
        let network = &self.network;
        A::enter(&mut Begin {
            network,
            scratch: &mut self.wide,
            start,
        });
        A::enter(&mut Begin {
            network,
            scratch: &mut self.narrow,
            start,
        });
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) {
        let stride = horizon * self.network.action;
        for (tile, chunk) in returns.chunks_mut(Self::WIDTH).enumerate() {
            let first = tile * Self::WIDTH;
            let tile = Tile {
                actions: &actions[first * stride..(first + chunk.len()) * stride],
                horizon,
                noise,
                first_candidate: first_candidate + first as u32,
            };
            let (network, returns) = (&self.network, &mut self.returns);
            if chunk.len() <= A::Lanes::COUNT {
                let scratch = &mut self.narrow;
                A::enter(&mut Returns {
                    network,
                    scratch,
                    tile,
                    returns,
                });
            } else {
                let scratch = &mut self.wide;
                A::enter(&mut Returns {
                    network,
                    scratch,
                    tile,
                    returns,
                });
            }
            chunk.copy_from_slice(&self.returns[..chunk.len()]);
        }
    }
}

struct Begin<'a, A: Arithmetic, const N: usize, const MOST: usize> {
    network: &'a Network<A>,
    scratch: &'a mut Scratch<A, N, MOST>,
    start: &'a Belief,
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Job for Begin<'_, A, N, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        self.scratch.begin(self.network, self.start);
    }
}

/// Candidates that go side by side.
#[derive(Clone, Copy)]
struct Tile<'a> {
    actions: &'a [f32],
    horizon: usize,
    noise: NoiseKey,
    first_candidate: u32,
}

struct Returns<'a, A: Arithmetic, const N: usize, const MOST: usize> {
    network: &'a Network<A>,
    scratch: &'a mut Scratch<A, N, MOST>,
    tile: Tile<'a>,
    returns: &'a mut [f32],
}

impl<A: Arithmetic, const N: usize, const MOST: usize> Job for Returns<'_, A, N, MOST> {
    #[inline(always)]
    fn run(&mut self) {
        let (network, scratch) = (self.network, &mut *self.scratch);
        scratch.load_start();
        let mut sums = [A::Lanes::splat(0.0); N];
        let Tile {
            actions,
            horizon,
            noise,
            first_candidate,
        } = self.tile;
        for step in 0..horizon {
            scratch.set_actions(network, actions, horizon, step);
            scratch.advance(network, step == 0);
            let noise = noise.sampled.then_some((noise, first_candidate, step as u32));
            scratch.take_latent(network, noise);
            let rewards = scratch.reward(network);
            for n in 0..N {
                sums[n] = sums[n] + rewards[n];
            }
        }
        for (sum, chunk) in sums
            .into_iter()
            .zip(self.returns.chunks_exact_mut(A::Lanes::COUNT))
        {
            sum.store(chunk);
        }
    }
}
