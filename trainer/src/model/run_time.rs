//! The model as the run time wants it: for one robot, and in one design.

use tch::{Device, Kind, Tensor};

use super::{Cell, WorldModel};
use crate::params::{Linear, Params};

impl WorldModel {
    /// The same model for a robot with `action` joints, which may be fewer than the largest of those it learned on had:
    /// actions and joints that were padded with zeros are left out, which changes no number of what is left.
    #[must_use]
    pub fn for_robot(&self, action: i64) -> Self {
        let joint_numbers = |action: i64| self.sizes.observation.joint_numbers(action as usize) as i64;
        let unseen = joint_numbers(self.action) - joint_numbers(action);
        let narrowed = |layer: &Linear, less: i64| Linear {
            weight: layer.weight.narrow(1, 0, layer.weight.size()[1] - less),
            bias: layer.bias.shallow_clone(),
        };
        let all = |layers: &[Linear]| layers.iter().map(Linear::shallow_clone).collect::<Vec<_>>();
        let mut joints = all(&self.joints);
        if let Some(last) = joints.last_mut() {
            last.weight = last.weight.narrow(0, 0, joint_numbers(action));
            last.bias = last.bias.narrow(0, 0, joint_numbers(action));
        }
        Self {
            sizes: self.sizes.clone(),
            side: self.side,
            action,
            device: self.device,
            // Whatever it was trained in: the graphs hold single precision, and are checked against it.
            convolutions: Kind::Float,
            // Nothing of it is to be trained on.
            params: Params::on(self.device),
            encoder: all(&self.encoder),
            input: narrowed(&self.input, self.action - action),
            cell: match &self.cell {
                Cell::Recurrent(gru) => Cell::Recurrent(gru.shallow_clone()),
                Cell::FeedForward => Cell::FeedForward,
            },
            prior: all(&self.prior),
            posterior: [
                narrowed(&self.posterior[0], unseen),
                self.posterior[1].shallow_clone(),
            ],
            reward: all(&self.reward),
            decoder: all(&self.decoder),
            joints,
        }
    }

    /// A layer over features as the run-time knows it: over `[s, h]`, with zeros for what this design leaves out.
    pub fn run_time_layer(&self, layer: &Linear) -> Linear {
        let missing = self.sizes.stochastic + self.sizes.belief - layer.weight.size()[1];
        let zeros = Tensor::zeros([layer.weight.size()[0], missing], (Kind::Float, Device::Cpu));
        Linear {
            weight: Tensor::cat(&[&layer.weight, &zeros], 1),
            bias: layer.bias.shallow_clone(),
        }
    }
}
