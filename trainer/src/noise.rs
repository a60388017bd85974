//! Where a loss gets its randomness: from LibTorch's generator, or, where definitions are checked, from a list.

use std::collections::VecDeque;

use tch::{Device, Kind, Tensor};

/// A source of noise.
#[derive(Debug)]
pub enum Noise {
    /// LibTorch's generator, which [`tch::manual_seed`] names.
    Generator,
    /// These tensors, in this order, whatever kind of noise is asked for.
    Given(VecDeque<Tensor>),
}

impl Noise {
    /// Standard normal, in the shape of `like`.
    ///
    /// # Panics
    /// If the list has come to its end, or has another shape next.
    pub fn normal(&mut self, like: &Tensor) -> Tensor {
        match self {
            Self::Generator => like.randn_like(),
            Self::Given(list) => given(list, like),
        }
    }

    /// Uniform in [0, 1), in the shape of `like`.
    ///
    /// # Panics
    /// As [`Self::normal`].
    pub fn uniform(&mut self, like: &Tensor) -> Tensor {
        match self {
            Self::Generator => like.rand_like(),
            Self::Given(list) => given(list, like),
        }
    }

    /// `count` integers below `limit`.
    ///
    /// # Panics
    /// As [`Self::normal`].
    pub fn below(&mut self, limit: i64, count: i64) -> Tensor {
        let kind = (Kind::Int64, Device::Cpu);
        match self {
            Self::Generator => Tensor::randint(limit, [count], kind),
            Self::Given(list) => given(list, &Tensor::zeros([count], kind)),
        }
    }

    /// The integers below `limit` in random order; as they are, if the noise is given.
    pub fn permutation(&mut self, limit: i64) -> Tensor {
        let kind = (Kind::Int64, Device::Cpu);
        match self {
            Self::Generator => Tensor::randperm(limit, kind),
            Self::Given(_) => Tensor::arange(limit, kind),
        }
    }
}

fn given(list: &mut VecDeque<Tensor>, like: &Tensor) -> Tensor {
    let next = list.pop_front();
    assert!(
        next.as_ref().is_some_and(|next| next.size() == like.size()),
        "wanted noise of shape {:?}, not {next:?}",
        like.size()
    );
    next.unwrap_or_default()
}
