//! One source of the integer arithmetic, compiled for several instruction sets, of which the best is chosen at run time.

/// Vector instructions that images are made with. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// Whatever the program was compiled for.
    Portable,
    /// AVX2 of x86-64.
    Avx2,
    /// AVX-512 F, BW and VL of x86-64.
    Avx512,
}

/// Work that can be done with any instructions. `run` and all that it calls must be `#[inline(always)]`, or they are compiled without.
pub(crate) trait Job {
    /// Does the work.
    fn run(&mut self);
}

impl InstructionSet {
    /// All that exist, the slowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The fastest that this CPU has.
    pub fn best() -> Self {
        Self::ALL
            .into_iter()
            .rev()
            .find(|set| set.is_here())
            .unwrap_or(Self::Portable)
    }

    /// Whether this CPU has these instructions.
    pub fn is_here(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// Does `job` with these instructions, or with [`Self::Portable`] where the CPU lacks them.
    #[inline]
    pub(crate) fn run<J: Job>(self, job: &mut J) {
        #[cfg(target_arch = "x86_64")]
        if self.is_here() {
            match self {
                Self::Portable => {}
                // SAFETY: `is_here` has asked the CPU for these instructions.
                Self::Avx2 => return unsafe { with_avx2(job) },
                // SAFETY: as above.
                Self::Avx512 => return unsafe { with_avx512(job) },
            }
        }
        job.run();
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2<J: Job>(job: &mut J) {
    job.run();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2")]
fn with_avx512<J: Job>(job: &mut J) {
    job.run();
}
