//! `armillary inspect`: what a bundle says of itself, whether it computes what LibTorch did, and what it makes of a log.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::bail;
use armillary::picture;
use episode::Episode;
use robot::Frame;
use world_model::kernel::{INSTRUCTIONS, Instructions};
use world_model::{Bundle, Manifest};

use super::say::say;

/// Ticks between two columns of the strip.
const STRIP_EVERY: usize = 5;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// Folder of a bundle.
    pub(super) bundle: PathBuf,
    /// A run log to set predictions against.
    #[arg(long)]
    log: Option<PathBuf>,
    /// Where the pictures of that log go, without extension: a PNG and a GIF.
    #[arg(long, default_value = "inspect")]
    out: PathBuf,
}

/// Inspects.
pub(crate) fn run(arguments: &Inspect) -> anyhow::Result<()> {
    // Loading checks hashes, shapes and LibTorch's own outputs, and says what is wrong.
    let bundle = Bundle::load(&arguments.bundle)?;
    let mut text = String::new();
    describe(&bundle, &mut text);
    let _ = writeln!(
        text,
        "\nparity with LibTorch: largest relative error {:.1e}",
        bundle.parity_error()
    );
    for instructions in INSTRUCTIONS {
        let verdict = match bundle.kernel_rollout(instructions) {
            Ok(_) if instructions == Instructions::Bf16 => "within its tolerance of the reference".to_owned(),
            Ok(_) => "the bits of the reference".to_owned(),
            Err(problem) => problem.to_string(),
        };
        let _ = writeln!(text, "back end {}: {verdict}", instructions.name());
    }
    say(&text);
    match &arguments.log {
        Some(log) => compare(&bundle, log, arguments).map(|text| say(&text)),
        None => Ok(()),
    }
}

fn describe(bundle: &Bundle, text: &mut String) {
    let Manifest {
        dimensions,
        provenance,
        joint_names,
        ..
    } = bundle.manifest();
    let manifest = bundle.manifest();
    let bytes: usize = manifest
        .files
        .keys()
        .filter_map(|name| bundle.file(name))
        .map(<[u8]>::len)
        .sum();
    for (name, value) in [
        ("robot", manifest.robot.clone()),
        ("task", manifest.task.clone()),
        ("period", format!("{} s", manifest.period_s)),
        ("joints", joint_names.join(", ")),
        (
            "action of 1",
            format!("{:?} ({:?})", manifest.action_scale_rad_s, manifest.action),
        ),
        ("image", manifest.image.clone()),
        (
            "latent state",
            format!(
                "{} deterministic, {} stochastic",
                dimensions.belief, dimensions.stochastic
            ),
        ),
        ("observes", format!("{:?}", manifest.observation)),
        ("embedding", dimensions.embedding.to_string()),
        (
            "decoder",
            if manifest.files.contains_key("decoder.onnx") {
                "yes"
            } else {
                "no: nothing of it can be drawn"
            }
            .to_owned(),
        ),
        ("made by", provenance.software.clone()),
        ("updates", provenance.updates.to_string()),
        ("seed", provenance.seed.to_string()),
        ("agent steps seen", provenance.agent_steps.to_string()),
        ("data", provenance.data_fingerprint.clone()),
        (
            "size",
            format!("{:.2} MB in {} files", bytes as f64 / 1e6, manifest.files.len()),
        ),
        ("sha256", bundle.sha256()),
    ] {
        let _ = writeln!(text, "{name:17} {value}");
    }
}

/// Root mean squared error of two frames, in grey levels.
fn error(a: &Frame, b: &Frame) -> f64 {
    let squares: f64 = a
        .rgb()
        .iter()
        .zip(b.rgb())
        .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
        .sum();
    (squares / a.rgb().len() as f64).sqrt()
}

fn compare(bundle: &Bundle, path: &std::path::Path, arguments: &Inspect) -> anyhow::Result<String> {
    let log = episode::read_episode(path)?;
    let manifest = bundle.manifest();
    for (field, found, expected) in [
        (
            "joint_names",
            format!("{:?}", log.info.joint_names),
            format!("{:?}", manifest.joint_names),
        ),
        (
            "period_s",
            log.info.period_s.to_string(),
            manifest.period_s.to_string(),
        ),
        (
            "joint_calibration_sha256",
            log.info.joint_calibration_sha256.clone().unwrap_or_default(),
            manifest.joint_calibration_sha256.clone(),
        ),
    ] {
        if found != expected {
            bail!(
                "{}: field `{field}` is {found}, the bundle's is {expected}; give a log of the robot that it learned on",
                path.display()
            );
        }
    }
    // What is said of a log that is not whole holds whether or not there is something to draw.
    let damage = damage(&log) + &kept(&log);
    let panels = picture::panels(path, &log, bundle)?;
    if panels.is_empty() {
        return Ok(format!(
            "\n{damage}{}: nothing to draw: the bundle has no decoder, or the log no frame\n",
            path.display()
        ));
    }
    let (png, gif) = (
        arguments.out.with_extension("png"),
        arguments.out.with_extension("gif"),
    );
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / f64::max(count, 1.0)
    };
    let believed = mean(&mut panels.iter().map(|panel| error(&panel.seen, &panel.believed)));
    let ahead = picture::AHEAD;
    // Those of the first periods were imagined over fewer.
    let whole = || panels.iter().filter(|panel| panel.tick as usize >= ahead);
    let imagined = mean(&mut whole().map(|panel| error(&panel.seen, &panel.imagined)));
    let still = mean(&mut whole().filter_map(|now| {
        let then = panels
            .iter()
            .rfind(|then| then.tick as usize + ahead <= now.tick as usize)?;
        Some(error(&now.seen, &then.seen))
    }));
    let text = format!(
        "\n{damage}{}: {} frames; error in grey levels of 255: {believed:.2} having seen the frame, {imagined:.2} imagined {ahead} periods \
         ahead (the frame of then instead: {still:.2})\n{} and {}: seen, believed, imagined\n",
        path.display(),
        panels.len(),
        png.display(),
        gif.display()
    );
    picture::write_strip(&png, &panels, STRIP_EVERY)?;
    picture::write_gif(&gif, &panels, bundle.manifest().period_s)?;
    Ok(text)
}

/// How many of the camera's own pictures a log keeps; empty if it keeps none.
fn kept(log: &Episode) -> String {
    match log.camera_pictures {
        0 => String::new(),
        kept => format!(
            "{}: keeps {kept} of the camera's own pictures, of which `armillary recrop` makes other images\n",
            log.path.display()
        ),
    }
}

/// What of a log that was cut off or damaged is lost; empty for a whole one.
fn damage(log: &Episode) -> String {
    let Some(problem) = &log.problem else {
        return String::new();
    };
    let after = log.ticks.len() - log.intact;
    let behind = match after {
        0 => String::new(),
        _ => format!(", and {after} behind the damage, which are left out here"),
    };
    format!(
        "{}: cut off or damaged: {problem}; {} ticks can be read up to there{behind}\n",
        log.path.display(),
        log.intact
    )
}
