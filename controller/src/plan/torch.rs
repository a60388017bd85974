//! Rollouts by LibTorch, on its CPU or on a GPU: all candidates of an iteration as one batch. With the feature `libtorch`.

use tch::{Device, Kind, TchError, Tensor};
use world_model::noise::Purpose;
use world_model::weights::{Cell, Dense, LatentWeights};
use world_model::{Belief, NoiseKey, Rollout};

/// A dense layer on the device: weight `[out, in]`, bias `[out]`.
#[derive(Debug)]
struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(layer: &Dense, device: Device) -> Result<Self, TchError> {
        let shape = [layer.output as i64, layer.input as i64];
        Ok(Self {
            weight: Tensor::f_from_slice(&layer.weight)?
                .f_reshape(shape)?
                .f_to_device(device)?,
            bias: Tensor::f_from_slice(&layer.bias)?.f_to_device(device)?,
        })
    }

    fn run(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

/// The latent model on a device.
#[derive(Debug)]
pub struct TorchRollout {
    device: Device,
    name: &'static str,
    action: usize,
    stochastic: usize,
    min_std: f64,
    input: Linear,
    cell: Cell,
    gru_input: Linear,
    gru_state: Linear,
    prior: [Linear; 2],
    reward: Vec<Linear>,
    /// `[1, belief]` and `[1, stochastic]`.
    start: [Tensor; 2],
    noise: Vec<f32>,
}

impl TorchRollout {
    /// Copies the weights to the device: a GPU if `cuda`, else the CPU with as many threads.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn new(weights: &LatentWeights, cuda: bool, threads: usize) -> Result<Self, String> {
        let device = if cuda { gpu()? } else { Device::Cpu };
        tch::set_num_threads(threads as i32);
        Self::on(weights, device).map_err(|error| format!("LibTorch: {error}"))
    }

    fn on(weights: &LatentWeights, device: Device) -> Result<Self, TchError> {
        let d = weights.dimensions;
        let linear = |layer: &Dense| Linear::new(layer, device);
        let zeros = |n: usize| Tensor::f_zeros([1, n as i64], (Kind::Float, device));
        let mut reward = Vec::new();
        for layer in &weights.reward {
            reward.push(linear(layer)?);
        }
        Ok(Self {
            device,
            name: if device == Device::Cpu {
                "libtorch"
            } else {
                "libtorch-cuda"
            },
            action: d.action,
            stochastic: d.stochastic,
            min_std: weights.min_std.into(),
            input: linear(&weights.input)?,
            cell: weights.cell,
            gru_input: linear(&weights.gru_input)?,
            gru_state: linear(&weights.gru_state)?,
            prior: [linear(&weights.prior[0])?, linear(&weights.prior[1])?],
            reward,
            start: [zeros(d.belief)?, zeros(d.stochastic)?],
            noise: Vec::new(),
        })
    }

    fn imagine(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), TchError> {
        let _no_gradients = tch::no_grad_guard();
        let candidates = returns.len();
        let upload = |values: &[f32], width: usize| {
            Tensor::f_from_slice(values)?
                .f_reshape([candidates as i64, horizon as i64, width as i64])?
                .f_to_device(self.device)
        };
        let actions = upload(actions, self.action)?;
        let noise = if noise.sampled {
            // The same noise as every back end's.
            self.noise.resize(candidates * horizon * self.stochastic, 0.0);
            noise.sequences(
                Purpose::Latent,
                first_candidate,
                horizon,
                self.stochastic,
                &mut self.noise,
            );
            Some(upload(&self.noise, self.stochastic)?)
        } else {
            None
        };
        let mut h = self.start[0].f_expand([candidates as i64, -1], false)?;
        let mut s = self.start[1].f_expand([candidates as i64, -1], false)?;
        let mut sum = Tensor::f_zeros([candidates as i64], (Kind::Float, self.device))?;
        for step in 0..horizon as i64 {
            let x = Tensor::f_cat(&[&s, &actions.f_select(1, step)?], 1)?;
            let x = self.input.run(&x)?.f_relu()?;
            h = match self.cell {
                Cell::FeedForward => x,
                Cell::Gru => {
                    let from_input = self.gru_input.run(&x)?.f_chunk(3, 1)?;
                    let from_state = self.gru_state.run(&h)?.f_chunk(3, 1)?;
                    let r = from_input[0].f_add(&from_state[0])?.f_sigmoid()?;
                    let z = from_input[1].f_add(&from_state[1])?.f_sigmoid()?;
                    let n = r.f_mul(&from_state[2])?.f_add(&from_input[2])?.f_tanh()?;
                    z.f_mul(&h.f_sub(&n)?)?.f_add(&n)?
                }
            };
            let raw = self.prior[1].run(&self.prior[0].run(&h)?.f_relu()?)?;
            let halves = raw.f_chunk(2, 1)?;
            s = match &noise {
                None => halves[0].shallow_clone(),
                Some(noise) => {
                    let std = halves[1].f_softplus()?.f_add_scalar(self.min_std)?;
                    halves[0].f_add(&std.f_mul(&noise.f_select(1, step)?)?)?
                }
            };
            let mut x = Tensor::f_cat(&[&s, &h], 1)?;
            for (index, layer) in self.reward.iter().enumerate() {
                x = layer.run(&x)?;
                if index + 1 < self.reward.len() {
                    x = x.f_relu()?;
                }
            }
            sum = sum.f_add(&x.f_select(1, 0)?)?;
        }
        sum.f_to_device(Device::Cpu)?.f_copy_data(returns, candidates)
    }
}

impl Rollout for TorchRollout {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self, start: &Belief) {
        let upload = |values: &[f32]| Tensor::from_slice(values).unsqueeze(0).to_device(self.device);
        self.start = [upload(&start.h), upload(&start.s)];
    }

    fn returns(
        &mut self,
        actions: &[f32],
        horizon: usize,
        noise: NoiseKey,
        first_candidate: u32,
        returns: &mut [f32],
    ) -> Result<(), String> {
        self.imagine(actions, horizon, noise, first_candidate, returns)
            .map_err(|error| error.to_string())
    }
}

/// The first GPU.
fn gpu() -> Result<Device, String> {
    // LibTorch finds its CUDA half only if it was loaded before the first tensor. Where there is none, it says so below.
    // SAFETY: loading a library by a name that is a C string; it is never unloaded.
    let said = unsafe {
        let library = libc::dlopen(c"libtorch_cuda.so".as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL);
        let said = if library.is_null() {
            libc::dlerror()
        } else {
            std::ptr::null_mut()
        };
        // SAFETY: what the loader says is a C string, until it is asked again.
        (!said.is_null()).then(|| std::ffi::CStr::from_ptr(said).to_string_lossy().into_owned())
    };
    if tch::Cuda::is_available() {
        return Ok(Device::Cuda(0));
    }
    let why = said.map_or_else(
        || "LibTorch finds no GPU, or its driver is too old for it".to_owned(),
        |said| format!("LibTorch's CUDA half could not be loaded ({said})"),
    );
    Err(format!(
        "{why}; run with the libraries of a CUDA build of LibTorch 2.11 in LD_LIBRARY_PATH, or choose another back end"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use world_model::Bundle;

    use super::*;

    /// LibTorch adds in another order.
    use world_model::parity::TOLERANCE;

    /// What a short episode in the simulator believes.
    fn recorded(root: &Path) -> Vec<Belief> {
        let dir = tempfile::tempdir().unwrap();
        let policy = crate::session::PolicyChoice::Planner { noise: 0.3 };
        let (robot, bundle) = (root.join("configs/sim-arm.ron"), root.join("models/reach"));
        let session = crate::session::Session::new(&robot, Some(&bundle), policy, None).unwrap();
        let (mut controller, mut encoder) = session.controller().unwrap();
        let options = firmware_bridge::arm::ArmOptions::from_config(&session.config).unwrap();
        let arm = simulator::Simulator::new("reach".parse().unwrap()).unwrap();
        let log = dir.path().join("log.mcap");
        let labels = crate::lockstep::Labels {
            log: &log,
            info: session.info(&controller, 5, 0),
            attachments: &session.attachments(),
        };
        let mut waiting = devices::Loopback::new(arm, &options);
        crate::lockstep::run(&mut controller, encoder.as_mut(), &mut waiting, 12, None, &labels).unwrap();
        let situations = crate::beliefs::of_log(&log, session.bundle.as_ref().unwrap());
        situations.unwrap().into_iter().map(|s| s.belief).collect()
    }

    #[test]
    fn agrees_with_the_reference() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let bundle = Bundle::load(&root.join("models/reach")).unwrap();
        let weights = bundle.weights();
        let d = bundle.dimensions();
        let mut torch = TorchRollout::new(&weights, false, 1).unwrap();
        let mut stream = robot::philox::Stream::new(3, 3);
        let mut starts = recorded(root);
        starts.truncate(3);
        starts.push(Belief {
            h: (0..d.belief).map(|_| stream.range(-1.0, 1.0)).collect(),
            s: (0..d.stochastic).map(|_| stream.normal()).collect(),
        });
        let shapes = [(1, 1, false), (40, 6, true), (33, 12, true)];
        for (start, (candidates, horizon, sampled)) in
            starts.iter().flat_map(|start| shapes.map(|shape| (start, shape)))
        {
            let actions: Vec<f32> = (0..candidates * horizon * d.action)
                .map(|_| stream.range(-1.0, 1.0))
                .collect();
            let key = NoiseKey {
                seed: 2,
                tick: 1,
                iteration: 0,
                sampled,
            };
            let imagine = |rollout: &mut dyn Rollout| {
                let mut returns = vec![f32::NAN; candidates];
                rollout.begin(start);
                rollout.returns(&actions, horizon, key, 7, &mut returns).unwrap();
                returns
            };
            let expected = imagine(&mut bundle.scalar_rollout());
            let found = imagine(&mut torch);
            let error = world_model::parity::error(&found, &expected);
            assert!(error < TOLERANCE, "{candidates} x {horizon}: {error}");
        }
    }

    #[test]
    fn a_gpu_that_is_not_there_is_said_to_be_missing() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let bundle = Bundle::load(&root.join("models/reach")).unwrap();
        if !tch::Cuda::is_available() {
            let problem = TorchRollout::new(&bundle.weights(), true, 1).unwrap_err();
            // Which of the two depends on the LibTorch that is linked.
            let said = ["finds no GPU", "CUDA half could not be loaded"];
            assert!(said.iter().any(|words| problem.contains(words)), "{problem}");
            assert!(problem.contains("LD_LIBRARY_PATH"), "{problem}");
        }
    }
}
