//! Adam (Kingma and Ba 2015): `tch`'s own cannot save its moments, and resuming needs them. On a CPU it is one pass over each
//! parameter with its gradient and moments, without temporaries; on a GPU it is tensor operations.

use tch::{Device, Kind, Tensor, no_grad};

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

/// What a step does to a number, the same for all.
#[derive(Debug, Clone, Copy)]
struct Rates {
    /// Gradients are multiplied by this: what clipping leaves of them.
    scale: f32,
    /// `-rate / (1 - beta_1^t)`.
    along: f32,
    /// `1 / (1 - beta_2^t)`.
    correction_2: f32,
    epsilon: f32,
}

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

    /// One update from `grads`, one a parameter (undefined ones are skipped), clipped to a global norm. Returns the norm
    /// before clipping; one that is not finite changes nothing.
    pub fn step(&mut self, params: &[(String, Tensor)], grads: &[Tensor], rate: f64, clip: f64) -> f64 {
        no_grad(|| {
            // In the parameters' own order in memory, so that both can be walked side by side.
            let grads: Vec<Tensor> = grads
                .iter()
                .map(|grad| {
                    if grad.defined() {
                        grad.contiguous()
                    } else {
                        Tensor::new()
                    }
                })
                .collect();
            let norm = global_norm(&grads);
            if !norm.is_finite() {
                return norm;
            }
            self.step += 1;
            let steps = self.step.min(i32::MAX as u64) as i32;
            let rates = Rates {
                scale: if norm > clip { (clip / norm) as f32 } else { 1.0 },
                along: (-rate / (1.0 - BETA_1.powi(steps))) as f32,
                correction_2: (1.0 / (1.0 - BETA_2.powi(steps))) as f32,
                epsilon: self.epsilon as f32,
            };
            let moments = self.m.iter_mut().zip(&mut self.v);
            for (((_, p), g), (m, v)) in params.iter().zip(&grads).zip(moments) {
                if !g.defined() {
                    continue;
                }
                let mut p = p.detach();
                match (numbers(&mut p), numbers(m), numbers(v), read(g)) {
                    (Some(p), Some(m), Some(v), Some(g)) => walk(p, g, m, v, rates),
                    _ => operate(&mut p, g, m, v, rates),
                }
            }
            norm
        })
    }
}

/// The root of the sum of all squares, added up in one order, in double precision.
fn global_norm(grads: &[Tensor]) -> f64 {
    let mut on_device = Vec::new();
    let mut sum = 0.0;
    for grad in grads.iter().filter(|grad| grad.defined()) {
        match read(grad) {
            Some(grad) => {
                // Eight sums side by side, for the vector unit.
                let mut lanes = [0f64; 8];
                let chunks = grad.chunks_exact(8);
                for (lane, value) in lanes.iter_mut().zip(chunks.remainder()) {
                    *lane += f64::from(*value) * f64::from(*value);
                }
                for chunk in chunks {
                    for (lane, value) in lanes.iter_mut().zip(chunk) {
                        *lane += f64::from(*value) * f64::from(*value);
                    }
                }
                sum += lanes.iter().sum::<f64>();
            }
            None => on_device.push(grad.square().sum(Kind::Double)),
        }
    }
    if !on_device.is_empty() {
        sum += Tensor::stack(&on_device, 0).sum(Kind::Double).double_value(&[]);
    }
    sum.sqrt()
}

/// One pass: equations of Algorithm 1, number by number.
fn walk(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], rates: Rates) {
    let (keep_1, keep_2) = (BETA_1 as f32, BETA_2 as f32);
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * rates.scale;
        *m = keep_1 * *m + (1.0 - keep_1) * g;
        *v = keep_2 * *v + (1.0 - keep_2) * (g * g);
        *p += rates.along * *m / ((*v * rates.correction_2).sqrt() + rates.epsilon);
    }
}

/// The same as operations on tensors, wherever they are.
fn operate(p: &mut Tensor, g: &Tensor, m: &mut Tensor, v: &mut Tensor, rates: Rates) {
    let g = g * f64::from(rates.scale);
    let _ = m.lerp_(&g, 1.0 - BETA_1);
    let _ = v.lerp_(&g.square(), 1.0 - BETA_2);
    let denominator = (&*v * f64::from(rates.correction_2)).sqrt() + f64::from(rates.epsilon);
    let update = &*m / denominator * f64::from(rates.along);
    let _ = p.g_add_(&update);
}

/// The numbers of a tensor in this process's memory.
fn read(tensor: &Tensor) -> Option<&[f32]> {
    let plain = tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous();
    // SAFETY: a contiguous `f32` tensor on the CPU holds `numel` of them from its data pointer on, for as long as it lives.
    plain.then(|| unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<f32>(), tensor.numel()) })
}

/// The same to write to. Nothing else writes to a learner's parameters or moments.
fn numbers(tensor: &mut Tensor) -> Option<&mut [f32]> {
    let plain = tensor.device() == Device::Cpu && tensor.kind() == Kind::Float && tensor.is_contiguous();
    // SAFETY: as above; parameters, moments and gradients are storages of their own.
    plain.then(|| unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<f32>(), tensor.numel()) })
}
