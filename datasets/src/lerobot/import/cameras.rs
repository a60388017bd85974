//! Which camera the pictures come from.

use std::path::Path;

use super::meta::{Feature, Info};
use crate::DatasetError;

/// A camera that was chosen, and those that were not.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) is_video: bool,
    /// Whether its pictures have one channel, which was asked for by name.
    pub(super) grey: bool,
    /// Frames a second of its video, where the data set says so.
    pub(super) video_fps: Option<f64>,
    /// Width and height of its pictures, where the data set says so.
    pub(super) size: Option<(u64, u64)>,
    /// Other cameras, and why they were passed over.
    pub(super) passed_over: Vec<(String, String)>,
}

/// What a camera sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Colour,
    Grey,
    Depth,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Colour => "colour",
            Self::Grey => "has one channel",
            Self::Depth => "is a depth map",
        }
    }
}

/// Takes the camera `asked` for, or the first that has colours. Depth maps are never taken, and cameras of one channel only by
/// name.
///
/// # Errors
/// [`DatasetError::Field`] if there is none.
pub(super) fn choose(path: &Path, info: &Info, asked: Option<&str>) -> Result<Choice, DatasetError> {
    let refuse = |problem: String, remedy: String| DatasetError::field(path, "features", problem, remedy);
    let cameras: Vec<(&String, &Feature, Kind)> = info
        .features
        .iter()
        .filter(|(_, feature)| matches!(feature.dtype.as_str(), "image" | "video"))
        .map(|(name, feature)| (name, feature, kind(name, feature)))
        .collect();
    let usable: Vec<&String> = cameras
        .iter()
        .filter(|(.., kind)| *kind != Kind::Depth)
        .map(|(name, ..)| *name)
        .collect();
    let listed = |what: &str| {
        let names: Vec<String> = cameras
            .iter()
            .map(|(name, _, kind)| format!("{name} ({})", kind.words()))
            .collect();
        format!("{what}: {}", names.join(", "))
    };
    let (name, feature, kind) = match asked {
        Some(asked) => {
            let found = cameras.iter().find(|(name, ..)| *name == asked);
            let (name, feature, kind) = found.ok_or_else(|| {
                let problem = format!("has no camera `{asked}`");
                refuse(problem, format!("choose one of {usable:?} with --camera"))
            })?;
            if *kind == Kind::Depth {
                let problem = format!("`{asked}` is a depth map, and a model is learned from colours");
                return Err(refuse(problem, format!("choose one of {usable:?} with --camera")));
            }
            (*name, *feature, *kind)
        }
        None if cameras.is_empty() => {
            let remedy = "a model is learned from pictures: give a data set with some".to_owned();
            return Err(refuse("has no camera".to_owned(), remedy));
        }
        None => {
            // A depth map that is said to have three channels is taken last.
            let colour = cameras
                .iter()
                .filter(|(.., kind)| *kind == Kind::Colour)
                .min_by_key(|(name, ..)| name.to_lowercase().contains("depth"));
            let (name, feature, kind) = colour.ok_or_else(|| {
                let remedy = "name a camera of one channel with --camera, or give a data set with colours";
                refuse(listed("has no camera with colours"), remedy.to_owned())
            })?;
            (*name, *feature, *kind)
        }
    };
    let passed_over = cameras
        .iter()
        .filter(|(other, ..)| *other != name)
        .map(|(other, _, kind)| ((*other).clone(), kind.words().to_owned()))
        .collect();
    Ok(Choice {
        name: name.clone(),
        is_video: feature.dtype == "video",
        grey: kind == Kind::Grey,
        size: size_of(feature),
        video_fps: said(feature, "fps").and_then(|rate| rate.as_f64()),
        passed_over,
    })
}

/// What is said of a video or picture under `info`, with or without a prefix.
fn said<'a>(feature: &'a Feature, what: &str) -> Option<&'a serde_json::Value> {
    let value = feature.info.get(format!("video.{what}"));
    value
        .or_else(|| feature.info.get(what))
        .filter(|value| !value.is_null())
}

fn kind(name: &str, feature: &Feature) -> Kind {
    let flag = |what: &str| said(feature, what).and_then(serde_json::Value::as_bool) == Some(true);
    let pixels = said(feature, "pix_fmt")
        .and_then(serde_json::Value::as_str)
        .unwrap_or_default();
    // Pixels of more than 8 bits and one channel hold distances.
    let deep = pixels.starts_with("gray") && pixels != "gray";
    if flag("is_depth_map") || deep {
        return Kind::Depth;
    }
    let channels = said(feature, "channels").and_then(serde_json::Value::as_u64);
    let channels = channels.or_else(|| channels_of(feature));
    match channels {
        Some(1) if name.to_lowercase().contains("depth") => Kind::Depth,
        Some(1) => Kind::Grey,
        None if pixels == "gray" => Kind::Grey,
        _ => Kind::Colour,
    }
}

/// Width and height.
fn size_of(feature: &Feature) -> Option<(u64, u64)> {
    let names = feature.element_names();
    let axis = |name: &str| names.iter().position(|other| other == name);
    if names.len() == feature.shape.len()
        && let (Some(width), Some(height)) = (axis("width"), axis("height"))
    {
        return Some((feature.shape[width], feature.shape[height]));
    }
    match feature.shape[..] {
        [first @ 1..=4, height, width] if width > 4 && first < height => Some((width, height)),
        [height, width, 1..=4] => Some((width, height)),
        _ => None,
    }
}

/// The size of the axis that is named `channels`, or of the shorter end of a shape of three; pictures of two axes have one.
fn channels_of(feature: &Feature) -> Option<u64> {
    let names = feature.element_names();
    if names.len() == feature.shape.len()
        && let Some(axis) = names.iter().position(|name| name.starts_with("channel"))
    {
        return Some(feature.shape[axis]);
    }
    match feature.shape[..] {
        [_, _] => Some(1),
        [first, _, last] => Some(first.min(last)),
        _ => None,
    }
}
