//! The multiply-add peak of this machine, in bursts, and what share of it a plan reaches.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use world_model::kernel::{Instructions, Unsupported, peak_flops};

use controller::plan::Team;

/// How long a burst lasts.
const BURST: Duration = Duration::from_millis(60);

/// Bursts tried, at most, where plans seem to be faster than all bursts before.
const MORE_BURSTS: usize = 20;

/// What multiply-adds work with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// Single precision.
    F32,
    /// Pairs of 16-bit inputs.
    Bf16,
}

impl Arithmetic {
    /// That of a back end, by its name; `None` of one that does not compute on this CPU.
    pub fn of(backend: &str) -> Option<Self> {
        match backend {
            "bf16" => Some(Self::Bf16),
            // A share of this CPU's peak says nothing of a GPU.
            "libtorch-cuda" => None,
            _ => Some(Self::F32),
        }
    }

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// The peak of one kind of multiply-adds on some threads at once, as a run has seen it.
#[derive(Debug, Clone, Serialize)]
pub struct Peak {
    /// What they work with.
    pub arithmetic: Arithmetic,
    /// Instructions that reached it.
    pub instructions: &'static str,
    /// Threads that worked at once.
    pub threads: usize,
    /// The best burst: sum over threads.
    pub gflops: f64,
    /// Slowest and fastest burst: how far the machine's clock, or its other work, moved.
    pub range_gflops: [f64; 2],
    /// Bursts measured.
    pub bursts: usize,
}

/// Measures a peak again and again.
#[derive(Debug)]
pub struct PeakMeter {
    instructions: Instructions,
    arithmetic: Arithmetic,
    threads: usize,
    team: Team,
    bursts: Vec<f64>,
}

impl PeakMeter {
    /// A meter of `instructions` on `threads` threads, which has measured one burst.
    ///
    /// # Errors
    /// If the CPU lacks the instructions, or the system gives no thread.
    pub fn start(instructions: Instructions, threads: usize) -> anyhow::Result<Self> {
        if !instructions.supported() {
            return Err(Unsupported(instructions).into());
        }
        let mut meter = Self {
            instructions,
            arithmetic: match instructions {
                Instructions::Bf16 => Arithmetic::Bf16,
                Instructions::Portable | Instructions::Avx2 | Instructions::Avx512 => Arithmetic::F32,
            },
            threads,
            team: Team::start(threads)?,
            bursts: Vec::new(),
        };
        meter.burst();
        Ok(meter)
    }

    /// What the multiply-adds work with.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
    }

    /// Threads that work at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Every burst so far, in GFLOP/s.
    pub fn bursts(&self) -> &[f64] {
        &self.bursts
    }

    /// Measures one burst.
    pub fn burst(&mut self) {
        let instructions = self.instructions;
        let total = Mutex::new(0.0);
        self.team.run(&|_| {
            // Supported, as was asked at the start.
            let flops = peak_flops(instructions, BURST).unwrap_or(0.0);
            *total.lock().unwrap_or_else(PoisonError::into_inner) += flops;
        });
        self.bursts
            .push(total.into_inner().unwrap_or_else(PoisonError::into_inner) / 1e9);
    }

    /// Measures some more bursts as long as none is as fast as `gflops`: the machine may have sped up since.
    pub fn burst_until_above(&mut self, gflops: f64) {
        for _ in 0..MORE_BURSTS {
            if matches!(share(gflops, &self.bursts), Share::Percent(_)) {
                return;
            }
            self.burst();
        }
    }

    /// What has been seen.
    pub fn peak(&self) -> Peak {
        let low = self.bursts.iter().copied().fold(f64::INFINITY, f64::min);
        let best = self.bursts.iter().copied().fold(0.0, f64::max);
        Peak {
            arithmetic: self.arithmetic,
            instructions: self.instructions.name(),
            threads: self.threads,
            gflops: best,
            range_gflops: [low, best],
            bursts: self.bursts.len(),
        }
    }
}

/// What part of the peak something reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Share {
    /// In percent of the best burst, 100 at most.
    Percent(f64),
    /// It was faster than the best burst of so many GFLOP/s, which nothing can be: the bursts did not reach the peak.
    AbovePeak(f64),
    /// No burst measured anything.
    NoPeak,
}

impl std::fmt::Display for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent:.1} %"),
            Self::AbovePeak(best) => write!(
                f,
                "measurement failed: the plans were faster than the best burst of {best:.1} GFLOP/s, so that the peak was not \
                 reached; let the machine do nothing else and measure again"
            ),
            Self::NoPeak => {
                f.write_str("measurement failed: no burst of multiply-adds was measured; measure again")
            }
        }
    }
}

/// The share of the peak that `gflops` is, the peak being the best of `bursts` (both in GFLOP/s).
pub fn share(gflops: f64, bursts: &[f64]) -> Share {
    let best = bursts.iter().copied().fold(0.0, f64::max);
    if !(best > 0.0 && best.is_finite() && gflops.is_finite()) {
        Share::NoPeak
    } else if gflops > best {
        Share::AbovePeak(best)
    } else {
        Share::Percent(100.0 * gflops / best)
    }
}

#[cfg(test)]
mod tests {
    use super::{Share, share};

    #[test]
    fn a_share_is_of_the_best_burst_and_never_above_it() {
        for (gflops, bursts, expected) in [
            (50.0, &[100.0, 100.0][..], Share::Percent(50.0)),
            // The clock moved: the best counts, whenever it came.
            (60.0, &[50.0, 80.0, 120.0, 90.0], Share::Percent(50.0)),
            (60.0, &[120.0, 60.0, 50.0], Share::Percent(50.0)),
            (100.0, &[100.0], Share::Percent(100.0)),
            (115.0, &[100.0, 90.0], Share::AbovePeak(100.0)),
            (100.1, &[100.0], Share::AbovePeak(100.0)),
            (1.0, &[], Share::NoPeak),
            (1.0, &[0.0], Share::NoPeak),
            (f64::NAN, &[1.0], Share::NoPeak),
            (1.0, &[f64::INFINITY], Share::NoPeak),
        ] {
            assert_eq!(share(gflops, bursts), expected, "{gflops} of {bursts:?}");
        }
        assert!(share(115.0, &[100.0]).to_string().contains("measurement failed"));
    }
}
