//! Pictures of a log: what the camera saw beside what the model believed and what it had imagined.

use std::path::{Path, PathBuf};

use anyhow::Context;
use episode::Episode;
use image::RgbImage;
use robot::Frame;
use world_model::Bundle;

use controller::beliefs::{Period, Recollection};

/// How many periods ahead the third panel was imagined.
pub const AHEAD: usize = 8;

/// The three panels of one tick.
#[derive(Debug, Clone, Default)]
pub struct Panels {
    /// Its control period.
    pub tick: u32,
    /// What the camera saw.
    pub seen: Frame,
    /// What the model believed, having seen it.
    pub believed: Frame,
    /// What the model had imagined for this tick [`AHEAD`] periods before, from the actions alone; at the start of an episode from
    /// its first period on.
    pub imagined: Frame,
}

/// Runs the frames of a log, which lies at `path`, through the filter again and decodes beliefs. Empty for a bundle without decoder.
///
/// # Errors
/// A graph that does not run, or a log that the bundle does not fit.
pub fn panels(path: &Path, log: &Episode, bundle: &Bundle) -> anyhow::Result<Vec<Panels>> {
    let Some(decoder) = bundle.decoder()? else {
        return Ok(Vec::new());
    };
    let mut recollection = Recollection::of(path, log, bundle)?;
    let mut predictor = bundle.filter()?;
    // One a control period, whether the loop was in time for it or not.
    let mut periods: Vec<Period> = Vec::new();
    let mut all = Vec::new();
    // Up to what cannot be read: a row is the consequence of the one before.
    for (row, frame) in log.ticks.iter().zip(&log.frames).take(log.intact) {
        recollection.see(row, frame.as_ref(), &mut |period| periods.push(period));
        let Some((now, before)) = periods.split_last() else {
            continue;
        };
        let seen = recollection.frame().clone();
        let mut panels = Panels {
            tick: row.tick,
            believed: Frame::new(seen.side()),
            imagined: Frame::new(seen.side()),
            seen,
        };
        decoder
            .decode(&now.belief, &mut panels.believed)
            .map_err(anyhow::Error::msg)?;
        let from = before.len().saturating_sub(AHEAD);
        let mut belief = periods[from].belief.clone();
        for period in &periods[from + 1..] {
            predictor.predict(&mut belief, &period.action);
        }
        decoder
            .decode(&belief, &mut panels.imagined)
            .map_err(anyhow::Error::msg)?;
        all.push(panels);
        recollection.carry_out(row);
    }
    Ok(all)
}

fn paste(picture: &mut RgbImage, frame: &Frame, left: u32, top: u32, zoom: u32) {
    for (index, pixel) in frame.rgb().chunks_exact(3).enumerate() {
        let (x, y) = ((index % frame.side()) as u32, (index / frame.side()) as u32);
        for (dx, dy) in (0..zoom).flat_map(|dy| (0..zoom).map(move |dx| (dx, dy))) {
            let colour = image::Rgb([pixel[0], pixel[1], pixel[2]]);
            picture.put_pixel(left + x * zoom + dx, top + y * zoom + dy, colour);
        }
    }
}

/// Width and height of each panel, in pixels: all are of one log.
fn side_of(panels: &[Panels]) -> u32 {
    panels.first().map_or(1, |panels| panels.seen.side() as u32)
}

/// Writes an animated GIF, a tick a frame: seen, believed, imagined. One that this program made before is replaced.
///
/// # Errors
/// A file that cannot be written, or that this program did not make.
pub fn write_gif(path: &Path, panels: &[Panels], period_s: f32) -> anyhow::Result<PathBuf> {
    const ZOOM: u32 = 3;
    const GAP: u32 = 6;
    let side = side_of(panels) * ZOOM;
    let (width, height) = (3 * side + 2 * GAP, side);
    let context = || format!("{}: cannot write the animation", path.display());
    let mut bytes = Vec::new();
    let mut encoder =
        gif::Encoder::new(&mut bytes, width as u16, height as u16, &[]).with_context(context)?;
    encoder.set_repeat(gif::Repeat::Infinite).with_context(context)?;
    for tick in panels {
        let mut picture = RgbImage::from_pixel(width, height, image::Rgb([255, 255, 255]));
        for (index, frame) in [&tick.seen, &tick.believed, &tick.imagined]
            .into_iter()
            .enumerate()
        {
            paste(&mut picture, frame, index as u32 * (side + GAP), 0, ZOOM);
        }
        let mut frame = gif::Frame::from_rgb_speed(width as u16, height as u16, picture.as_raw(), 15);
        frame.delay = (period_s * 100.0).round() as u16;
        encoder.write_frame(&frame).with_context(context)?;
    }
    drop(encoder);
    files::put(path, &files::gif_comment(bytes), &files::is_marked)?;
    Ok(path.to_owned())
}

/// Writes a [`strip`] as a PNG and returns its bytes. One that this program made before is replaced.
///
/// # Errors
/// Those of [`strip`], and a file that cannot be written, or that this program did not make.
pub fn write_strip(path: &Path, panels: &[Panels], every: usize) -> anyhow::Result<Vec<u8>> {
    let bytes = files::png(strip(panels, every)?);
    files::put(path, &bytes, &files::is_marked)?;
    Ok(bytes)
}

/// A PNG of every `every`-th tick: a row each for seen, believed and imagined.
///
/// # Errors
/// The PNG encoder's.
pub fn strip(panels: &[Panels], every: usize) -> anyhow::Result<Vec<u8>> {
    let chosen: Vec<&Panels> = panels.iter().step_by(every.max(1)).collect();
    let side = side_of(panels);
    let mut picture = RgbImage::new((chosen.len() as u32 * side).max(1), 3 * side);
    for (column, tick) in chosen.iter().enumerate() {
        for (row, frame) in [&tick.seen, &tick.believed, &tick.imagined]
            .into_iter()
            .enumerate()
        {
            paste(&mut picture, frame, column as u32 * side, row as u32 * side, 1);
        }
    }
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
