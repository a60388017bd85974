//! Planner settings on the command line, in place of the robot file's.

use anyhow::{Context, bail};
use clap::ValueEnum;
use robot::config::{Method, Planner, RolloutBackend};

/// Overrides of a robot file's planner.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct PlannerOptions {
    /// Iterations x candidates x horizon x elites, such as 10x1000x12x100, instead of the robot file's.
    #[arg(long)]
    budget: Option<String>,
    /// Planning method instead of the robot file's: `planet` as in the paper (no warm start), `icem` with coloured noise of
    /// beta 2, `mppi` with temperature 0.5.
    #[arg(long, value_enum)]
    method: Option<MethodName>,
    /// Back end instead of the robot file's.
    #[arg(long, value_enum)]
    backend: Option<BackendName>,
    /// Planning threads instead of the robot file's.
    #[arg(long)]
    threads: Option<usize>,
}

/// Methods by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodName {
    Planet,
    Icem,
    Mppi,
}

/// Back ends by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendName {
    /// The fastest in `f32` that this CPU has.
    Simd,
    /// The readable reference.
    Scalar,
    /// Plain Rust.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F.
    Avx512,
    /// AVX-512 BF16, at 16 bits.
    Bf16,
    /// The bundle's graphs, run by tract.
    Tract,
    /// LibTorch on the CPU, in a program built with that feature.
    Libtorch,
    /// LibTorch on a GPU, likewise.
    LibtorchCuda,
}

impl From<BackendName> for RolloutBackend {
    fn from(name: BackendName) -> Self {
        match name {
            BackendName::Simd => Self::Simd,
            BackendName::Scalar => Self::Scalar,
            BackendName::Portable => Self::Portable,
            BackendName::Avx2 => Self::Avx2,
            BackendName::Avx512 => Self::Avx512,
            BackendName::Bf16 => Self::Bf16,
            BackendName::Tract => Self::Tract,
            BackendName::Libtorch => Self::Libtorch,
            BackendName::LibtorchCuda => Self::LibtorchCuda,
        }
    }
}

impl PlannerOptions {
    /// Whether any is given.
    pub(crate) fn any(&self) -> bool {
        self.budget.is_some() || self.method.is_some() || self.backend.is_some() || self.threads.is_some()
    }

    /// `planner` with these instead.
    pub(crate) fn apply(&self, planner: &Planner) -> anyhow::Result<Planner> {
        let mut planner = planner.clone();
        if let Some(text) = &self.budget {
            [
                planner.iterations,
                planner.candidates,
                planner.horizon,
                planner.elites,
            ] = parse_budget(text)?;
        }
        if let Some(method) = self.method {
            (planner.method, planner.warm_start) = match method {
                MethodName::Planet => (Method::Planet, false),
                MethodName::Icem => (Method::Icem { beta: 2.0 }, true),
                MethodName::Mppi => (Method::Mppi { temperature: 0.5 }, true),
            };
        }
        if let Some(backend) = self.backend {
            planner.backend = backend.into();
        }
        if let Some(threads) = self.threads {
            if !(1..=robot::config::PLANNER_THREADS_MAX).contains(&threads) {
                bail!(
                    "--threads {threads}: choose between 1 and {}",
                    robot::config::PLANNER_THREADS_MAX
                );
            }
            planner.threads = threads;
        }
        Ok(planner)
    }
}

/// Reads `10x1000x12x100`: iterations, candidates, horizon, elites.
pub(crate) fn parse_budget(text: &str) -> anyhow::Result<[usize; 4]> {
    let parts: Vec<usize> = text
        .split('x')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("--budget {text}: write iterations x candidates x horizon x elites"))?;
    let &[iterations, candidates, horizon, elites] = parts.as_slice() else {
        bail!("--budget {text}: write four numbers, such as 10x1000x12x100");
    };
    if iterations == 0 || candidates == 0 || horizon == 0 || elites == 0 {
        bail!("--budget {text}: none of the four may be zero");
    }
    if elites > candidates {
        bail!("--budget {text}: {elites} elites of {candidates} candidates; choose fewer elites");
    }
    let most = robot::config::HORIZON_MAX;
    if horizon > most {
        bail!("--budget {text}: a horizon is at most {most}");
    }
    Ok([iterations, candidates, horizon, elites])
}

#[cfg(test)]
mod tests {
    use super::parse_budget;

    #[test]
    fn budgets_are_read_and_bad_ones_say_why() {
        assert_eq!(parse_budget("10x1000x12x100").unwrap(), [10, 1000, 12, 100]);
        for (text, reason) in [
            ("10x1000x12", "four numbers"),
            ("10x0x12x1", "zero"),
            ("1x10x12x11", "fewer elites"),
            ("1x10x65x1", "at most 64"),
            ("axbxcxd", "write iterations"),
        ] {
            let problem = parse_budget(text).unwrap_err().to_string();
            assert!(problem.contains(reason) && problem.contains(text), "{problem}");
        }
    }
}
