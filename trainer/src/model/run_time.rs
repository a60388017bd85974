//! The model as the run time wants it: for one robot, and in one design.

use tch::{Device, Kind, Tensor};

use super::{Cell, WorldModel};
use crate::params::{Gru, Linear, Params};

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
            action,
            device: self.device,
            convolutions: self.convolutions,
            // Nothing of it is to be trained on.
            params: Params::on(self.device),
            encoder: all(&self.encoder),
            input: narrowed(&self.input, self.action - action),
            cell: match &self.cell {
                Cell::Recurrent(gru) => Cell::Recurrent(gru.shallow_clone()),
                Cell::FeedForward(layer) => Cell::FeedForward(layer.shallow_clone()),
            },
            prior: [self.prior[0].shallow_clone(), self.prior[1].shallow_clone()],
            posterior: [
                narrowed(&self.posterior[0], unseen),
                self.posterior[1].shallow_clone(),
            ],
            reward: all(&self.reward),
            decoder: all(&self.decoder),
            joints,
        }
    }

    /// The cell as the run-time knows it, which has one kind: a feed-forward one is a GRU whose update gate is shut.
    pub fn run_time_gru(&self) -> Gru {
        match &self.cell {
            Cell::Recurrent(gru) => gru.shallow_clone(),
            Cell::FeedForward(layer) => {
                let belief = self.sizes.belief;
                let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
                let gates = zeros(&[2 * belief, self.sizes.hidden]);
                // sigmoid(-40) is less than single precision sees beside 1.
                let shut = Tensor::cat(&[&zeros(&[belief]), &(zeros(&[belief]) - 40.0), &layer.bias], 0);
                Gru {
                    w_input: Tensor::cat(&[&gates, &layer.weight], 0),
                    w_state: zeros(&[3 * belief, belief]),
                    b_input: shut,
                    b_state: zeros(&[3 * belief]),
                }
            }
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
