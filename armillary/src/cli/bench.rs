//! `armillary bench`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use armillary::bench::{Cost, Peak, PeakMeter, Subject, measure, paper_budget};
use clap::Subcommand;
use robot::Config;
use robot::config::{Planner as Budget, RolloutBackend};
use serde::Serialize;
use world_model::kernel::Instructions;
use world_model::weights::{Hidden, LatentWeights};
use world_model::{Bundle, Dimensions};

use super::default_jobs;
use super::planner::{BackendName, parse_budget};

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Time of a plan: each back end, by phase, and as a share of this machine's multiply-add peak.
    Plan(Plan),
    /// The planner that makes the most of this machine's time, and keeps its deadline. Takes about six minutes.
    Tune(super::tune::Tune),
}

impl Bench {
    /// The robot file and the bundle that it reads.
    pub(super) fn loaded(&self) -> (Option<&PathBuf>, Option<&PathBuf>) {
        match self {
            Self::Plan(arguments) => (Some(&arguments.robot), arguments.bundle.as_ref()),
            Self::Tune(arguments) => (Some(&arguments.robot), Some(&arguments.bundle)),
        }
    }
}

/// Arguments of `bench plan`.
#[derive(Debug, clap::Args)]
pub(crate) struct Plan {
    /// Robot file: its joints and limits.
    #[arg(long, default_value = "configs/sim-arm.ron")]
    robot: PathBuf,
    /// The model; random weights of the paper's sizes if not given.
    #[arg(long)]
    bundle: Option<PathBuf>,
    /// Back ends.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["avx2", "avx512", "bf16"])]
    backend: Vec<BackendName>,
    /// Numbers of threads.
    #[arg(long, value_delimiter = ',')]
    threads: Vec<usize>,
    /// Budgets: iterations x candidates x horizon x elites, such as 10x1000x12x100, the paper's.
    #[arg(long, value_delimiter = ',', default_values = ["10x1000x12x100"])]
    budget: Vec<String>,
    /// Plans timed of each.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Also what a plan costs against J, H and I.
    #[arg(long)]
    sweep: bool,
    /// Print one JSON object instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Default, Serialize)]
struct Report {
    network: String,
    multiply_adds_a_step: usize,
    peaks: Vec<Peak>,
    plans: Vec<Cost>,
    not_here: BTreeMap<String, String>,
}

/// Measures.
pub(crate) fn run(command: &Bench) -> anyhow::Result<()> {
    match command {
        Bench::Plan(arguments) => plan(arguments),
        Bench::Tune(arguments) => super::tune::run(arguments),
    }
}

fn plan(arguments: &Plan) -> anyhow::Result<()> {
    if arguments.rounds == 0 {
        bail!("--rounds 0: time at least one plan");
    }
    let config = Config::load(&arguments.robot)?;
    let bundle = arguments.bundle.as_deref().map(Bundle::load).transpose()?;
    let (weights, network) = match &bundle {
        Some(bundle) => {
            bundle.check_robot(&config)?;
            (bundle.weights(), format!("bundle {}", bundle.sha256()))
        }
        None => (paper_network(config.joint_count()), PAPER_NETWORK.to_owned()),
    };
    let threads = if arguments.threads.is_empty() {
        (1..=default_jobs()).collect()
    } else {
        arguments.threads.clone()
    };
    if threads.contains(&0) {
        bail!("--threads 0: plan on at least one");
    }
    let mut report = Report {
        multiply_adds_a_step: weights.multiply_adds().0,
        network,
        ..Report::default()
    };
    let mut peaks = Vec::new();
    for &threads in &threads {
        peaks.push(PeakMeter::start(Instructions::best_single(), threads)?);
        if Instructions::Bf16.supported() {
            peaks.push(PeakMeter::start(Instructions::Bf16, threads)?);
        }
    }
    let subject = Subject {
        weights: &weights,
        bundle: bundle.as_ref(),
        envelope: &config.envelope,
    };
    let budgets: Vec<Budget> = arguments
        .budget
        .iter()
        .map(|text| budget(text))
        .collect::<anyhow::Result<_>>()?;
    for &backend in &arguments.backend {
        for budget in &budgets {
            for &threads in &threads {
                let budget = Budget {
                    threads,
                    ..budget.clone()
                };
                let name = format!("{backend:?}").to_lowercase();
                match measure(subject, backend.into(), &budget, arguments.rounds, &mut peaks)? {
                    Ok(cost) => report.plans.push(cost),
                    Err(reason) => {
                        report.not_here.insert(name, reason);
                    }
                }
            }
        }
    }
    if arguments.sweep {
        let most = threads.iter().copied().max().unwrap_or(1);
        for budget in sweep(most) {
            let cost = measure(
                subject,
                RolloutBackend::Simd,
                &budget,
                arguments.rounds,
                &mut peaks,
            )?;
            report.plans.extend(cost.ok());
        }
    }
    report.peaks = peaks.iter().map(PeakMeter::peak).collect();
    for cost in &mut report.plans {
        cost.compare(&peaks);
    }
    if arguments.json {
        armillary::say!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report);
    }
    let failed = report.plans.iter().filter(|cost| cost.failed.is_some()).count();
    if failed > 0 {
        bail!(
            "{failed} of {} plans have no share of the peak: they were faster than any burst of multiply-adds; let the machine do \
             nothing else, and measure again",
            report.plans.len()
        );
    }
    Ok(())
}

const PAPER_NETWORK: &str =
    "random weights of the paper's sizes (belief 200, stochastic 30, reward head 3 x 300)";

fn paper_network(joints: usize) -> Arc<LatentWeights> {
    let dimensions = Dimensions {
        belief: 200,
        stochastic: 30,
        action: joints,
        embedding: 1024,
    };
    let hidden = Hidden {
        width: 200,
        reward: vec![300; 3],
    };
    Arc::new(LatentWeights::random(dimensions, &hidden, 1))
}

/// One budget at a time around the paper's.
fn sweep(threads: usize) -> Vec<Budget> {
    let paper = paper_budget(threads);
    let candidates = [64, 128, 250, 500, 2000].map(|candidates| Budget {
        candidates,
        elites: candidates / 10,
        ..paper.clone()
    });
    let horizons = [4, 8, 16, 24].map(|horizon| Budget {
        horizon,
        ..paper.clone()
    });
    let iterations = [1, 2, 5].map(|iterations| Budget {
        iterations,
        ..paper.clone()
    });
    candidates.into_iter().chain(horizons).chain(iterations).collect()
}

/// The paper's planner with another budget.
fn budget(text: &str) -> anyhow::Result<Budget> {
    let [iterations, candidates, horizon, elites] = parse_budget(text)?;
    Ok(Budget {
        iterations,
        candidates,
        horizon,
        elites,
        ..paper_budget(1)
    })
}

fn print(report: &Report) {
    armillary::say!("{}", report.network);
    armillary::say!(
        "{} multiply-adds a latent step of a candidate\n",
        report.multiply_adds_a_step
    );
    for peak in &report.peaks {
        armillary::say!(
            "peak {:5} on {} thread(s): {:7.1} GFLOP/s, the best of {} bursts from {:.1} to {:.1} ({})",
            peak.arithmetic.name(),
            peak.threads,
            peak.gflops,
            peak.bursts,
            peak.range_gflops[0],
            peak.range_gflops[1],
            peak.instructions
        );
    }
    armillary::say!(
        "\n{:9} {:>7} {:>17} {:>9} {:>17} {:>8} {:>8} {:>8} {:>9} {:>8}",
        "back end",
        "threads",
        "I x J x H x K",
        "plan ms",
        "range",
        "sample",
        "rollout",
        "select",
        "GFLOP/s",
        "of peak"
    );
    for cost in &report.plans {
        let [i, j, h, k] = cost.budget;
        armillary::say!(
            "{:9} {:>7} {:>17} {:>9.2} {:>17} {:>8.2} {:>8.2} {:>8.2} {:>9.1} {:>8}",
            cost.backend,
            cost.threads,
            format!("{i}x{j}x{h}x{k}"),
            cost.plan_ms,
            format!("{:.1} - {:.1}", cost.range_ms[0], cost.range_ms[1]),
            cost.sample_ms,
            cost.rollout_ms,
            cost.select_ms,
            cost.gflops,
            match (cost.percent_of_peak, &cost.failed) {
                (Some(percent), _) => format!("{percent:.1} %"),
                (None, Some(_)) => "failed".to_owned(),
                (None, None) => "-".to_owned(),
            },
        );
        if let Some(failed) = &cost.failed {
            armillary::say!("          {failed}");
        }
    }
    for (name, reason) in &report.not_here {
        armillary::say!("{name}: {reason}");
    }
}
