//! Files whose hashes all fit, made to do harm.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use robot::philox::Stream;
use tract_onnx::pb;
use world_model::{Bundle, BundleError};

use crate::small::{self, attribute};

/// The graph of the encoder, whose input is `image` and whose output is `embedding`.
type Change = fn(&mut pb::GraphProto);

fn node(op: &str, inputs: &[&str], output: &str) -> pb::NodeProto {
    pb::NodeProto {
        name: output.to_owned(),
        op_type: op.to_owned(),
        input: inputs.iter().map(|input| (*input).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..Default::default()
    }
}

fn tensor(name: &str, dims: &[i64], numbers: usize) -> pb::TensorProto {
    pb::TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: pb::tensor_proto::DataType::Float as i32,
        raw_data: vec![0; 4 * numbers],
        ..Default::default()
    }
}

/// Appends operators that double what they are given, again and again.
fn double(graph: &mut pb::GraphProto) {
    let mut last = "embedding".to_owned();
    for step in 0..40 {
        let next = format!("doubled {step}");
        let mut concat = node("Concat", &[&last, &last], &next);
        concat.attribute = vec![attribute("axis", &[1])];
        graph.node.push(concat);
        last = next;
    }
}

#[test]
fn graphs_that_ask_for_all_memory_or_for_more_than_the_trainers_operators_are_refused() {
    let cases: [(&str, Change); 16] = [
        ("doubled", double),
        ("a column plus a row", |graph| {
            graph.initializer.push(tensor("column", &[4096, 1], 4096));
            graph.initializer.push(tensor("row", &[1, 4097], 4097));
            graph.node.push(node("Add", &["column", "row"], "sum"));
        }),
        ("2^60 elements", |graph| {
            graph.initializer.push(tensor("huge", &[1 << 60], 0));
        }),
        ("a product that overflows", |graph| {
            graph.initializer.push(tensor("huge", &[1 << 32, 1 << 32], 0));
        }),
        ("a negative size", |graph| {
            graph.initializer.push(tensor("negative", &[-1], 1));
        }),
        ("an empty weight", |graph| {
            graph.initializer[0].dims[0] = 0;
            graph.initializer[0].raw_data.clear();
        }),
        ("a weight in another file", |graph| {
            graph.initializer[0].external_data = vec![pb::StringStringEntryProto {
                key: "location".to_owned(),
                value: "/etc/hostname".to_owned(),
            }];
        }),
        ("a kernel of another size than it says", |graph| {
            graph.node[0].attribute = vec![attribute("kernel_shape", &[9, 9]), attribute("strides", &[2, 2])];
        }),
        ("a stride of 2^40", |graph| {
            graph.node[0].attribute = vec![
                attribute("kernel_shape", &[4, 4]),
                attribute("strides", &[1 << 40, 1 << 40]),
            ];
        }),
        ("a stride of 0", |graph| {
            graph.node[0].attribute = vec![attribute("kernel_shape", &[4, 4]), attribute("strides", &[0, 0])];
        }),
        ("padding", |graph| {
            graph.node[0].attribute.push(attribute("pads", &[1 << 30; 4]));
        }),
        ("an operator that fills memory", |graph| {
            graph.node.push(node("ConstantOfShape", &["image"], "filled"));
        }),
        ("an operator that loops", |graph| {
            let mut looped = node("Loop", &["image"], "looped");
            looped.attribute = vec![pb::AttributeProto {
                name: "body".to_owned(),
                g: Some(pb::GraphProto::default()),
                ..Default::default()
            }];
            graph.node.push(looped);
        }),
        ("an input from nowhere", |graph| {
            graph.node[0].input[0] = "nowhere".to_owned();
        }),
        ("no inputs", |graph| graph.node[0].input.clear()),
        ("another's operator", |graph| {
            graph.node[0].domain = "evil".to_owned();
        }),
    ];
    for (what, change) in cases {
        let dir = tempfile::tempdir().unwrap();
        small::write(dir.path(), true);
        small::change_graph(dir.path(), "encoder.onnx", |model| {
            change(model.graph.as_mut().unwrap());
        });
        let loaded = catch_unwind(|| Bundle::load(dir.path())).expect(what);
        let error = loaded.err().unwrap_or_else(|| panic!("{what}: accepted"));
        assert!(
            matches!(&error, BundleError::Graph { path, .. } if path.ends_with("encoder.onnx")),
            "{what}: {error}"
        );
    }
}

#[test]
fn sizes_that_no_model_has_are_refused_before_memory_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let sound = fs::read_to_string(dir.path().join("manifest.ron")).unwrap();
    for (from, to) in [
        ("belief: 4", "belief: 6148914691236517206"),
        ("belief: 4", "belief: 0"),
        ("stochastic: 2", "stochastic: 1152921504606846976"),
        ("embedding: 8", "embedding: 18446744073709551615"),
        ("action: 1", "action: 0"),
        ("action: 1", "action: 1000000000"),
    ] {
        assert!(sound.contains(from), "{from}");
        fs::write(dir.path().join("manifest.ron"), sound.replacen(from, to, 1)).unwrap();
        small::write_sums(dir.path());
        let error = Bundle::load(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("manifest.ron") && error.contains("dimensions"),
            "{to}: {error}"
        );
    }
}

#[test]
fn a_manifest_of_a_hundred_thousand_parentheses_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let sound = fs::read_to_string(dir.path().join("manifest.ron")).unwrap();
    fs::remove_file(dir.path().join("SHA256SUMS")).unwrap();
    for (open, close) in [("(", ")"), ("[", "]"), ("Some(", ")"), ("{1:", "}"), ("/*", "*/")] {
        let nested = open.repeat(100_000) + &close.repeat(100_000);
        for text in [
            nested.clone(),
            sound.replacen("period_s: 0.1", &format!("period_s: {nested}"), 1),
            sound.replacen("period_s: 0.1", &format!("unknown: {nested}, period_s: 0.1"), 1),
        ] {
            fs::write(dir.path().join("manifest.ron"), text).unwrap();
            let error = Bundle::load(dir.path()).unwrap_err().to_string();
            assert!(error.contains("manifest.ron"), "{open}: {error}");
        }
    }
}

/// Changes a few bytes of a graph or of the parity vectors at random, and has all hashes fit again.
fn mutate(dir: &Path, sound: &[(std::path::PathBuf, Vec<u8>)], seed: u64) {
    let mut stream = Stream::new(seed, 0xF122);
    let mut below = |end: usize| (stream.range(0.0, 1.0) * end as f32) as usize % end;
    let (path, bytes) = &sound[below(sound.len())];
    let mut bytes = bytes.clone();
    for _ in 0..=below(4) {
        // What describes sizes stands at the beginning more often than at the end.
        let end = if below(2) == 0 {
            bytes.len().min(600)
        } else {
            bytes.len()
        };
        let at = below(end);
        match below(4) {
            0 => bytes[at] ^= 1 << below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5)],
            2 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, below(256) as u8),
        }
    }
    fs::write(path, bytes).unwrap();
    small::write_manifest(dir, small::manifest(dir));
}

/// Loads bundles that were changed at random, with hashes that fit. Returns how many were accepted.
fn random_changes(trials: u64) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    small::write(dir.path(), true);
    let sound: Vec<_> = files::list(dir.path())
        .unwrap()
        .into_iter()
        .filter(|path| !path.ends_with("manifest.ron") && !path.ends_with("SHA256SUMS"))
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    let mut accepted = 0;
    for seed in 0..trials {
        mutate(dir.path(), &sound, seed);
        let loaded = catch_unwind(|| Bundle::load(dir.path()));
        let loaded = loaded.unwrap_or_else(|_| panic!("seed {seed}: panics"));
        match loaded {
            // What tells nothing of what is computed may change: a name, or the rounding of a number.
            Ok(bundle) => {
                assert!(bundle.parity_error() <= world_model::parity::TOLERANCE);
                accepted += 1;
            }
            Err(error) => assert!(
                error.to_string().contains(&dir.path().display().to_string()),
                "seed {seed}: {error}"
            ),
        }
        for (path, bytes) in &sound {
            fs::write(path, bytes).unwrap();
        }
    }
    accepted
}

#[test]
fn files_that_were_changed_at_random_with_fitting_hashes_never_panic() {
    let accepted = random_changes(400);
    assert!(accepted < 200, "{accepted} of 400 accepted");
}

#[test]
#[ignore = "takes minutes"]
fn many_files_that_were_changed_at_random_with_fitting_hashes_never_panic() {
    const TRIALS: u64 = 30_000;
    let accepted = random_changes(TRIALS);
    println!("{TRIALS} random changes with fitting hashes: 0 panics, {accepted} computed the same");
}
