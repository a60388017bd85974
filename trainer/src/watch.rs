//! Whether a loss is still one to go on from.

use std::collections::VecDeque;

/// Losses that a new one is held against.
const WINDOW: usize = 100;

/// A loss this many times the window's median is out of hand.
const TIMES: f64 = 100.0;

/// Losses out of hand in a row that stop a run: one alone is a batch that the model has never seen the like of.
const IN_A_ROW: usize = 5;

/// Losses before a new one can be called wild. That stops nothing, but nothing is to be gone on from then.
const FEW: usize = 5;

/// Watches the loss for an explosion.
#[derive(Debug, Default)]
pub struct Watch {
    recent: VecDeque<f64>,
    in_a_row: usize,
    wild: bool,
}

impl Watch {
    /// Whether the last loss was a usual one, as far as anybody knows: the weights that gave it can be trained on.
    pub fn calm(&self) -> bool {
        !self.wild
    }

    /// Takes the loss of an update; `Some` with the usual loss when it has exploded.
    pub fn exploded(&mut self, loss: f64) -> Option<f64> {
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let usual = sorted.get(sorted.len() / 2).copied();
        let wild = usual.filter(|usual| loss.is_nan() || loss > TIMES * usual.abs().max(1.0));
        self.wild = wild.is_some() && self.recent.len() >= FEW;
        // Until there is a window, nobody knows what is usual.
        let beyond = wild.filter(|_| self.recent.len() == WINDOW);
        if beyond.is_some() {
            self.in_a_row += 1;
        } else {
            self.in_a_row = 0;
            self.recent.push_back(loss);
            if self.recent.len() > WINDOW {
                self.recent.pop_front();
            }
        }
        beyond.filter(|_| self.in_a_row >= IN_A_ROW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wild_batch_is_forgiven_an_explosion_is_not() {
        let mut watch = Watch::default();
        for update in 0..300 {
            assert_eq!(watch.exploded(700.0 + f64::from(update % 7)), None);
        }
        for _ in 0..4 {
            assert_eq!(watch.exploded(1e6), None);
        }
        assert_eq!(watch.exploded(650.0), None);
        for _ in 0..4 {
            assert_eq!(watch.exploded(1e6), None);
        }
        let usual = watch.exploded(1e6).unwrap();
        assert!((600.0..800.0).contains(&usual), "{usual}");
        // At the start a loss falls by orders of magnitude, and may.
        let mut early = Watch::default();
        for loss in [1e9, 1e5, 1e9, 1e9, 1e9, 1e9, 1e9] {
            assert_eq!(early.exploded(loss), None);
        }
    }
}
