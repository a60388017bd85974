//! The multiply-add peak of one core, measured: what a kernel's speed is a share of.

use std::time::{Duration, Instant};

use crate::arithmetic::{Arithmetic, Job};
use crate::instructions::{Instructions, Unsupported};
use crate::lanes::Lanes;

/// Sums in flight: enough to hide a multiply-add's latency, few enough for the registers of any instruction set here.
const SUMS: usize = 12;

/// Multiply-adds a sum between looks at the clock.
const ROUNDS: usize = 20_000;

struct Chain<A: Arithmetic> {
    sums: [A::Lanes; SUMS],
    weight: A::Weight,
}

impl<A: Arithmetic> Job for Chain<A> {
    #[inline(always)]
    fn run(&mut self) {
        // From memory that the compiler knows nothing of, or it would multiply by zero in its head.
        let input = std::hint::black_box(A::zero());
        let weight = std::hint::black_box(self.weight);
        let mut sums = self.sums;
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = A::multiply_add(weight, input, *sum);
            }
        }
        self.sums = std::hint::black_box(sums);
    }
}

fn measure<A: Arithmetic>(during: Duration) -> f64 {
    let mut chain = Chain::<A> {
        sums: [A::Lanes::splat(0.0); SUMS],
        weight: A::weight(&[1.0, 1.0]),
    };
    let begun = Instant::now();
    let mut bursts = Vec::new();
    while begun.elapsed() < during {
        let before = Instant::now();
        A::enter(&mut chain);
        bursts.push(before.elapsed().as_secs_f64());
    }
    // The median: the fastest may have had the core to itself where others share it.
    bursts.sort_by(f64::total_cmp);
    let burst = bursts.get(bursts.len() / 2).copied().unwrap_or(f64::INFINITY);
    (2 * SUMS * ROUNDS * A::Lanes::COUNT * A::PACK) as f64 / burst
}

/// FLOP/s (a multiply-add counts twice) that one core reaches: the median burst within `during`.
///
/// # Errors
/// [`Unsupported`] on a CPU without these instructions.
pub fn peak_flops(instructions: Instructions, during: Duration) -> Result<f64, Unsupported> {
    if !instructions.supported() {
        return Err(Unsupported(instructions));
    }
    Ok(match instructions {
        Instructions::Portable => measure::<super::PortableSingle>(during),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx2 => measure::<super::Avx2Single>(during),
        #[cfg(target_arch = "x86_64")]
        Instructions::Avx512 => measure::<super::Avx512Single>(during),
        #[cfg(target_arch = "x86_64")]
        Instructions::Bf16 => measure::<super::Bf16>(during),
        #[cfg(not(target_arch = "x86_64"))]
        _ => return Err(Unsupported(instructions)),
    })
}
