//! Adam (Kingma and Ba 2015) on plain tensors: `tch`'s own cannot save its moments, and resuming needs them.

use tch::{Kind, Tensor, no_grad};

/// First and second moments of every parameter, and the step count.
#[derive(Debug)]
pub struct Adam {
    /// First moments.
    pub m: Vec<Tensor>,
    /// Second moments.
    pub v: Vec<Tensor>,
    /// Steps taken.
    pub step: u64,
    pub(crate) epsilon: f64,
}

const BETA_1: f64 = 0.9;
const BETA_2: f64 = 0.999;

impl Adam {
    /// Zero moments for `params`.
    pub fn new(params: &[(String, Tensor)], epsilon: f64) -> Self {
        let zeros = || params.iter().map(|(_, p)| p.detach().zeros_like()).collect();
        Self {
            m: zeros(),
            v: zeros(),
            step: 0,
            epsilon,
        }
    }

    /// One update from the gradients held by `params`, clipped to a global norm. Returns the norm before clipping; one that
    /// is not finite changes nothing.
    pub fn step(&mut self, params: &[(String, Tensor)], rate: f64, clip: f64) -> f64 {
        no_grad(|| {
            let grads: Vec<Tensor> = params.iter().map(|(_, p)| p.grad()).collect();
            let norms: Vec<Tensor> = grads
                .iter()
                .filter(|g| g.defined())
                .map(|g| g.square().sum(Kind::Float))
                .collect();
            let norm = Tensor::stack(&norms, 0).sum(Kind::Float).sqrt().double_value(&[]);
            if !norm.is_finite() {
                return norm;
            }
            let scale = if norm > clip { clip / norm } else { 1.0 };
            self.step += 1;
            let correction_1 = 1.0 - BETA_1.powi(self.step.min(i32::MAX as u64) as i32);
            let correction_2 = 1.0 - BETA_2.powi(self.step.min(i32::MAX as u64) as i32);
            for (((_, p), g), (m, v)) in params.iter().zip(&grads).zip(self.m.iter_mut().zip(&mut self.v)) {
                if !g.defined() {
                    continue;
                }
                let g = g * scale;
                let _ = m.lerp_(&g, 1.0 - BETA_1);
                let _ = v.lerp_(&g.square(), 1.0 - BETA_2);
                let denominator = (&*v / correction_2).sqrt() + self.epsilon;
                let update = &*m / denominator * (-rate / correction_1);
                let mut p = p.detach();
                let _ = p.g_add_(&update);
            }
            norm
        })
    }
}
