//! Named parameters in a fixed order, and the layers made of them.

use tch::{Device, Kind, Tensor};

/// All trainable tensors of a model, in the order in which they were made.
#[derive(Debug)]
pub struct Params {
    entries: Vec<(String, Tensor)>,
    device: Device,
}

impl Params {
    /// None yet; they will be on `device`.
    pub fn on(device: Device) -> Self {
        Self {
            entries: Vec::new(),
            device,
        }
    }

    /// Adds a tensor drawn uniformly from Glorot's interval for the given fans.
    fn glorot(&mut self, name: String, shape: &[i64], fan_in: i64, fan_out: i64) -> Tensor {
        let bound = (6.0 / (fan_in + fan_out) as f64).sqrt();
        let tensor = Tensor::zeros(shape, (Kind::Float, Device::Cpu)).uniform_(-bound, bound);
        self.add(name, tensor)
    }

    fn add(&mut self, name: String, tensor: Tensor) -> Tensor {
        // Drawn on the CPU: a seed gives the same weights everywhere.
        let tensor = tensor.to_device(self.device).set_requires_grad(true);
        self.entries.push((name, tensor.shallow_clone()));
        tensor
    }

    fn zeros(&mut self, name: String, shape: &[i64]) -> Tensor {
        self.add(name, Tensor::zeros(shape, (Kind::Float, Device::Cpu)))
    }

    /// Names and tensors, in order of creation.
    pub fn entries(&self) -> &[(String, Tensor)] {
        &self.entries
    }

    /// A dense layer: weight `[out, in]`, bias `[out]`.
    pub fn linear(&mut self, name: &str, input: i64, output: i64) -> Linear {
        Linear {
            weight: self.glorot(format!("{name}.weight"), &[output, input], input, output),
            bias: self.zeros(format!("{name}.bias"), &[output]),
        }
    }

    /// A square, unpadded convolution: weight `[out, in, k, k]`.
    pub fn conv(&mut self, name: &str, input: i64, output: i64, kernel: i64) -> Linear {
        let area = kernel * kernel;
        Linear {
            weight: self.glorot(
                format!("{name}.weight"),
                &[output, input, kernel, kernel],
                input * area,
                output * area,
            ),
            bias: self.zeros(format!("{name}.bias"), &[output]),
        }
    }

    /// A square, unpadded transposed convolution: weight `[in, out, k, k]`.
    pub fn deconv(&mut self, name: &str, input: i64, output: i64, kernel: i64) -> Linear {
        let area = kernel * kernel;
        Linear {
            weight: self.glorot(
                format!("{name}.weight"),
                &[input, output, kernel, kernel],
                input * area,
                output * area,
            ),
            bias: self.zeros(format!("{name}.bias"), &[output]),
        }
    }

    /// A GRU cell: weights `[3 state, in]` and `[3 state, state]`, gates in the order reset, update, new.
    pub fn gru(&mut self, name: &str, input: i64, state: i64) -> Gru {
        Gru {
            w_input: self.glorot(format!("{name}.w_input"), &[3 * state, input], input, state),
            w_state: self.glorot(format!("{name}.w_state"), &[3 * state, state], state, state),
            b_input: self.zeros(format!("{name}.b_input"), &[3 * state]),
            b_state: self.zeros(format!("{name}.b_state"), &[3 * state]),
        }
    }
}

/// Weight and bias of a dense or convolutional layer.
#[derive(Debug)]
pub struct Linear {
    /// Weight.
    pub weight: Tensor,
    /// Bias.
    pub bias: Tensor,
}

impl Linear {
    /// The same tensors.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self {
            weight: self.weight.shallow_clone(),
            bias: self.bias.shallow_clone(),
        }
    }

    /// `x W^T + b` over the last dimension.
    pub fn dense(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, Some(&self.bias))
    }

    /// Convolution with stride 2, no padding, in the precision of `x`.
    pub fn conv2(&self, x: &Tensor) -> Tensor {
        let (weight, bias) = self.of_kind(x.kind());
        x.conv2d(&weight, Some(&bias), [2, 2], [0, 0], [1, 1], 1)
    }

    /// Transposed convolution with stride 2, no padding, in the precision of `x`.
    pub fn deconv2(&self, x: &Tensor) -> Tensor {
        let (weight, bias) = self.of_kind(x.kind());
        x.conv_transpose2d(&weight, Some(&bias), [2, 2], [0, 0], [0, 0], 1, [1, 1])
    }

    fn of_kind(&self, kind: Kind) -> (Tensor, Tensor) {
        (self.weight.to_kind(kind), self.bias.to_kind(kind))
    }
}

/// Weights of a GRU cell (Cho et al. 2014, with the reset gate applied after the recurrent product):
/// `n = tanh(W_n x + b + r * (U_n h + c))`, `h' = (1 - z) n + z h`.
#[derive(Debug)]
pub struct Gru {
    /// Input weights, `[3 state, in]`.
    pub w_input: Tensor,
    /// Recurrent weights, `[3 state, state]`.
    pub w_state: Tensor,
    /// Input bias, `[3 state]`.
    pub b_input: Tensor,
    /// Recurrent bias, `[3 state]`.
    pub b_state: Tensor,
}

impl Gru {
    /// The same tensors.
    #[must_use]
    pub fn shallow_clone(&self) -> Self {
        Self {
            w_input: self.w_input.shallow_clone(),
            w_state: self.w_state.shallow_clone(),
            b_input: self.b_input.shallow_clone(),
            b_state: self.b_state.shallow_clone(),
        }
    }

    /// One step for a batch: `x` is `[B, in]`, `h` is `[B, state]`.
    pub fn step(&self, x: &Tensor, h: &Tensor) -> Tensor {
        x.gru_cell(
            h,
            &self.w_input,
            &self.w_state,
            Some(&self.b_input),
            Some(&self.b_state),
        )
    }
}
