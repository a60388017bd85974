//! What runs in the loop beside the rollouts, encoder and filter: right by the trainer's own numbers, and the same bits
//! whatever the CPU's instructions.

use robot::Frame;
use robot::philox::Stream;
use world_model::kernel::{INSTRUCTIONS, Instructions};
use world_model::{Belief, Bundle};

use crate::root;

fn bundles() -> [Bundle; 3] {
    ["models/reach", "models/reach-planar", "models/so101"]
        .map(|dir| Bundle::load(&root().join(dir)).expect("a shipped bundle"))
}

fn exact() -> impl Iterator<Item = Instructions> {
    INSTRUCTIONS
        .into_iter()
        .filter(|instructions| *instructions != Instructions::Bf16 && instructions.supported())
}

#[test]
fn encoder_and_filter_have_the_same_bits_on_every_cpu() {
    for bundle in bundles() {
        let d = bundle.dimensions();
        let mut runs = Vec::new();
        for instructions in exact() {
            let mut encoder = bundle.encoder_with(instructions).expect("supported");
            let mut filter = bundle.filter_with(instructions).expect("supported");
            let mut stream = Stream::new(4, 4);
            let mut belief = Belief::initial(&d);
            let mut embedding = vec![0.0; d.embedding];
            let mut numbers = Vec::new();
            for step in 0..5 {
                let mut frame = Frame::default();
                for byte in frame.rgb_mut() {
                    *byte = stream.next_u32() as u8;
                }
                let action: Vec<f32> = (0..d.action).map(|_| stream.range(-1.0, 1.0)).collect();
                if step == 3 {
                    filter.predict(&mut belief, &action);
                } else {
                    encoder.encode(&frame, &mut embedding);
                    numbers.push(filter.posterior(&mut belief, &action, &embedding).kl_nats);
                }
                numbers.push(filter.reward(&belief));
                numbers.extend(belief.h.iter().chain(&belief.s).chain(&embedding));
            }
            let bits: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
            runs.push((instructions, bits));
        }
        for (instructions, bits) in &runs[1..] {
            assert_eq!(&runs[0].1, bits, "{instructions:?}");
        }
    }
}

#[test]
fn the_prior_only_update_is_a_step_of_a_rollout() {
    for bundle in bundles() {
        let d = bundle.dimensions();
        let mut stream = Stream::new(8, 1);
        let mut belief = Belief::initial(&d);
        belief.h.fill_with(|| stream.range(-1.0, 1.0));
        belief.s.fill_with(|| stream.normal());
        let mut reference = belief.clone();
        let action = vec![0.3; d.action];
        let mut std = vec![0.0; d.stochastic];
        let mut scalar = bundle.scalar_rollout();
        let mut filter = bundle.filter().expect("filter");
        filter.predict(&mut belief, &action);
        scalar.predict(&mut reference, &action, &mut std);
        assert_eq!(belief, reference);
        assert_eq!(
            filter.reward(&belief).to_bits(),
            scalar.reward(&reference).to_bits()
        );
    }
}
