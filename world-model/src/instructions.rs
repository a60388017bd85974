//! The sets of instructions that kernels come in, and whether this CPU has them.

/// The instructions a kernel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// Plain Rust, whatever it was compiled to.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F.
    Avx512,
    /// AVX-512 BF16: weights and inputs of matrix products rounded to 16 bits, sums in `f32`.
    Bf16,
}

/// All of them, slowest first.
pub const INSTRUCTIONS: [Instructions; 4] = [
    Instructions::Portable,
    Instructions::Avx2,
    Instructions::Avx512,
    Instructions::Bf16,
];

/// This CPU lacks what a kernel is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this CPU has no {}; choose another back end, such as `simd`, which takes the best it finds", .0.needs())]
pub struct Unsupported(pub Instructions);

impl Instructions {
    /// Name in logs and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Bf16 => "bf16",
        }
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Portable => "registers",
            Self::Avx2 => "AVX2 and FMA instructions",
            Self::Avx512 => "AVX-512 F instructions",
            Self::Bf16 => "AVX-512 BF16 instructions",
        }
    }

    /// Whether this CPU has them.
    pub fn supported(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = avx2 && is_x86_feature_detected!("avx512f");
            match self {
                Self::Portable => true,
                Self::Avx2 => avx2,
                Self::Avx512 => avx512,
                Self::Bf16 => {
                    avx512 && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16")
                }
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Self::Portable
        }
    }

    /// The fastest this CPU has that compute in `f32` throughout.
    pub fn best_single() -> Self {
        let exact = [Self::Avx512, Self::Avx2];
        exact
            .into_iter()
            .find(|instructions| instructions.supported())
            .unwrap_or(Self::Portable)
    }
}
