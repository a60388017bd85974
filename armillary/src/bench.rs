//! What a plan costs on this machine: time, share of the multiply-add peak, and where the rest goes.
//!
//! Every figure comes from the same run. The peak is measured in bursts before, between and after the plans, since the clock of a
//! machine moves.

mod peak;

pub use peak::{Arithmetic, Peak, PeakMeter, Share, share};

use std::sync::Arc;
use std::time::Instant;

use robot::config::{Latents, Planner as Budget, RolloutBackend};
use robot::{Envelope, SetPoint};
use serde::Serialize;
use world_model::weights::LatentWeights;
use world_model::{Belief, Bundle, BundleError, NoiseKey};

use controller::plan::{Cem, Evaluate, Imagination, Limit, Plan, Planner, PlannerError, Proposals, Source};

/// What is planned for: a network, an arm, a place to start.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The network; its values do not matter to its speed.
    pub weights: &'a Arc<LatentWeights>,
    /// The bundle it comes from; back ends that run graphs need one.
    pub bundle: Option<&'a Bundle>,
    /// The arm whose envelope clamps candidates.
    pub envelope: &'a Envelope,
}

/// What one plan cost.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// Back end.
    pub backend: &'static str,
    /// Threads.
    pub threads: usize,
    /// I, J, H, K.
    pub budget: [usize; 4],
    /// Plans measured.
    pub plans: usize,
    /// Median time of a whole plan.
    pub plan_ms: f64,
    /// Fastest and slowest.
    pub range_ms: [f64; 2],
    /// Of the median: drawing candidates and clamping them by the envelope.
    pub sample_ms: f64,
    /// Of the median: imagining them (matrix products, activations, latent noise, reward head).
    pub rollout_ms: f64,
    /// Of the median: choosing elites and refitting.
    pub select_ms: f64,
    /// Matrix products carried out (what step 0 shares counted once where it is shared), a multiply-add as two.
    pub gflop: f64,
    /// Matrix products a second of whole plan, at the median.
    pub gflops: f64,
    /// What its multiply-adds work with; `None` where no peak of this CPU is to be compared with.
    pub arithmetic: Option<Arithmetic>,
    /// Of the best burst of the same arithmetic on as many threads in the same run, in percent; `None` if there is none, or if
    /// the measurement failed.
    pub percent_of_peak: Option<f64>,
    /// Why there is no share, where the measurement failed.
    pub failed: Option<String>,
}

impl Cost {
    /// Takes the share of the peaks that the whole run has seen.
    pub fn compare(&mut self, peaks: &[PeakMeter]) {
        let peak = peaks
            .iter()
            .find(|peak| Some(peak.arithmetic()) == self.arithmetic && peak.threads() == self.threads);
        (self.percent_of_peak, self.failed) = match peak.map(|peak| share(self.gflops, peak.bursts())) {
            None => (None, None),
            Some(Share::Percent(percent)) => (Some(percent), None),
            Some(failed) => (None, Some(failed.to_string())),
        };
    }
}

/// Candidates without imagining: the part of a plan that is not the model's.
struct Unimagined {
    draws: bool,
}

impl Evaluate for Unimagined {
    fn returns(&mut self, proposals: &Proposals<'_>, actions: &mut [f32], returns: &mut [f32]) -> bool {
        if self.draws {
            proposals.write(0, actions);
        }
        for (index, value) in returns.iter_mut().enumerate() {
            // Any order does; this one is not sorted yet.
            *value = (index as u32).wrapping_mul(2_654_435_769) as f32;
        }
        true
    }
}

/// Median time in milliseconds of one CEM search with `evaluate`, on the calling thread.
fn search_ms(subject: Subject<'_>, budget: &Budget, evaluate: &mut dyn Evaluate, rounds: usize) -> f64 {
    let home = subject.envelope.home();
    let mut cem = Cem::new(budget, subject.weights.dimensions.action);
    let mut times = Vec::new();
    for tick in 0..rounds {
        let begun = Instant::now();
        cem.begin();
        for iteration in 0..budget.iterations as u32 {
            let key = NoiseKey {
                seed: 1,
                tick: tick as u32,
                iteration,
                sampled: false,
            };
            let _ = cem.refine(key, &home, subject.envelope, evaluate);
        }
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    median(&mut times)
}

/// The middle of `values`, which it sorts.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Plans `rounds` times with one back end; says why if it cannot run here. The peak of its arithmetic, among `peaks`, is measured
/// before and after every round, and a few times more while the plans seem faster than it.
///
/// # Errors
/// If the system gives no thread.
pub fn measure(
    subject: Subject<'_>,
    backend: RolloutBackend,
    budget: &Budget,
    rounds: usize,
    peaks: &mut [PeakMeter],
) -> anyhow::Result<Result<Cost, String>> {
    let weights = subject.weights;
    let budget = &Budget {
        backend,
        ..budget.clone()
    };
    let source = subject.bundle.map_or(Source::Weights(weights), Source::Bundle);
    let imagination = match Imagination::new(source, budget) {
        Ok(imagination) => imagination,
        Err(error @ (PlannerError::Backend(_) | PlannerError::Bundle(BundleError::Unsupported(_)))) => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let (name, members) = (imagination.name(), imagination.members());
    let d = weights.dimensions;
    let mut planner = Planner::with(imagination, d.action, budget);
    planner.reset(1);
    let mut belief = Belief::initial(&d);
    let mut stream = robot::philox::Stream::new(1, 0xBE);
    belief.h.fill_with(|| stream.range(-1.0, 1.0));
    belief.s.fill_with(|| stream.range(-1.0, 1.0));
    let home: SetPoint = subject.envelope.home();
    let arithmetic = Arithmetic::of(name);
    let mut peak = peaks
        .iter_mut()
        .find(|peak| Some(peak.arithmetic()) == arithmetic && peak.threads() == budget.threads);
    let mut times = Vec::with_capacity(rounds);
    // One more than counts: the first meets cold caches and parked threads.
    for tick in 0..=rounds as u32 {
        if let Some(peak) = &mut peak {
            peak.burst();
        }
        let begun = Instant::now();
        let row = planner.plan(tick, &home, &belief, subject.envelope, Limit::None);
        let took = begun.elapsed().as_secs_f64() * 1e3;
        anyhow::ensure!(
            row.iterations == budget.iterations as u32,
            "{name}: stopped after {} iterations",
            row.iterations
        );
        if tick > 0 {
            times.push(took);
        }
    }
    if let Some(peak) = &mut peak {
        peak.burst();
    }
    let plan_ms = median(&mut times);
    let select_ms = search_ms(subject, budget, &mut Unimagined { draws: false }, rounds.min(5));
    let drawn = search_ms(subject, budget, &mut Unimagined { draws: true }, rounds.min(5));
    let sample_ms = (drawn - select_ms).max(0.0) / members as f64;
    let (step, shared) = weights.multiply_adds();
    // The others compute what candidates share at step 0 for each of them.
    let shares = matches!(name, "portable" | "avx2" | "avx512" | "bf16");
    let shared = if shares { shared } else { 0 };
    let cem = Cem::new(budget, d.action);
    let candidates: usize = (0..budget.iterations as u32).map(|i| cem.candidates(i)).sum();
    let gflop = 2e-9 * (candidates as f64 * (budget.horizon * step - shared) as f64 + shared as f64);
    let gflops = gflop / plan_ms * 1e3;
    if let Some(peak) = &mut peak {
        peak.burst_until_above(gflops);
    }
    Ok(Ok(Cost {
        backend: name,
        threads: budget.threads,
        budget: [
            budget.iterations,
            budget.candidates,
            budget.horizon,
            budget.elites,
        ],
        plans: times.len(),
        plan_ms,
        range_ms: [times[0], times[times.len() - 1]],
        sample_ms,
        rollout_ms: plan_ms - sample_ms - select_ms,
        select_ms,
        gflop,
        gflops,
        arithmetic,
        percent_of_peak: None,
        failed: None,
    }))
}

/// The paper's budget on the fused kernels.
pub fn paper_budget(threads: usize) -> Budget {
    Budget {
        backend: RolloutBackend::Simd,
        latents: Latents::Sampled,
        threads,
        ..crate::oracle::PAPER
    }
}
