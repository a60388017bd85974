//! `armillary calibrate camera`: the lens, by a board that a person shows to the camera, or by pictures of one.

mod drawing;
mod keep;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use calibration::picture::grey;
use robot::Clock;
use robot::device::{FrameSource, Picture};
use vision::Board;
use vision::collect::{Came, Collector};
use vision::intrinsics::Intrinsics;

use super::Person;

pub use drawing::{board_svg, draw};
pub use keep::keep;

/// Time between two looks at the camera, in nanoseconds.
const LOOK_NS: u64 = 5_000_000;

/// A camera without a picture for so long is lost, in nanoseconds.
const SILENT_NS: u64 = 5_000_000_000;

/// A lens, and the size of the pictures that it holds for.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Pixels a row, and rows.
    pub size_px: (u32, u32),
    /// The lens.
    pub found: Intrinsics,
}

/// Leads a person who shows the board, until the views are enough or the person ends it.
///
/// # Errors
/// A camera that is lost, and views that tell no lens.
pub fn guide(
    person: &mut dyn Person,
    camera: &mut dyn FrameSource,
    board: &Board,
    clock: &dyn Clock,
) -> anyhow::Result<Measured> {
    let mut picture = Picture::default();
    let mut collecting: Option<(Collector, (u32, u32))> = None;
    let mut last_ns = clock.now_ns();
    loop {
        if camera.poll(&mut picture)?.is_none() {
            if clock.now_ns().saturating_sub(last_ns) > SILENT_NS {
                bail!("the camera has sent no picture for 5 s; check its cable, and what serves it");
            }
            clock.sleep_until_ns(clock.now_ns() + LOOK_NS);
            continue;
        }
        last_ns = clock.now_ns();
        let size = (picture.width, picture.height);
        if collecting.as_ref().is_none_or(|(_, before)| *before != size) {
            let collector = Collector::new(board, size.0 as usize, size.1 as usize)?;
            collecting = Some((collector, size));
        }
        let Some((collector, _)) = &mut collecting else {
            continue;
        };
        // A damaged picture is one in which the board is not seen.
        let came = grey(&picture).map_or(Came::Unseen, |levels| collector.see(&levels));
        let words = match came {
            Came::Unseen => "the board is not seen".to_owned(),
            Came::Moves => "hold it still".to_owned(),
            Came::Known | Came::Kept => collector.hint(),
        };
        let line = format!("{} views  {}  {words}", collector.count(), collector.coverage());
        let typed = person.show(&line)?;
        if typed.is_some() || collector.is_enough() {
            let found = collector
                .solve()
                .map_err(|verdict| anyhow::anyhow!("{verdict}"))?;
            return Ok(Measured { size_px: size, found });
        }
    }
}

/// The lens by pictures that are there already: PNG and JPEG files of one size.
///
/// # Errors
/// Files that cannot be read or differ in size, and views that tell no lens.
pub fn of_pictures(person: &mut dyn Person, folder: &Path, board: &Board) -> anyhow::Result<Measured> {
    let mut collecting: Option<(Collector, (u32, u32))> = None;
    for path in pictures(folder)? {
        let picture =
            image::open(&path).with_context(|| format!("{}: cannot read the picture", path.display()))?;
        let levels = picture.to_luma8();
        let size = levels.dimensions();
        if collecting.is_none() {
            collecting = Some((Collector::new(board, size.0 as usize, size.1 as usize)?, size));
        }
        let Some((collector, first)) = &mut collecting else {
            continue;
        };
        if size != *first {
            bail!(
                "{}: has {}x{} pixels, and the first picture {}x{}: a lens is measured by pictures of one size",
                path.display(),
                size.0,
                size.1,
                first.0,
                first.1
            );
        }
        if collector.take(levels.as_raw()) == Came::Unseen {
            person.tell(&format!("{}: the board is not seen", path.display()));
        }
    }
    let Some((mut collector, size_px)) = collecting else {
        bail!("{}: holds no pictures (.png, .jpg)", folder.display());
    };
    person.tell(&format!("{} views of the board", collector.count()));
    let found = collector
        .solve()
        .map_err(|verdict| anyhow::anyhow!("{verdict}"))?;
    Ok(Measured { size_px, found })
}

/// The pictures in a folder, by their names.
fn pictures(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("{}: cannot read the folder", folder.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("{}: cannot read the folder", folder.display()))?
            .path();
        let kind = path.extension().map(|kind| kind.to_ascii_lowercase());
        if kind.is_some_and(|kind| ["png", "jpg", "jpeg"].iter().any(|known| kind == *known)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What was found, a line each.
pub fn lines(measured: &Measured) -> Vec<String> {
    let Intrinsics {
        lens,
        intervals,
        rms_px,
        board_in_camera,
        left_out,
        tilt_rad,
        coverage,
        verdict,
        ..
    } = &measured.found;
    vec![
        format!(
            "focal length  {:.1} +- {:.1} and {:.1} +- {:.1} pixels, middle {:.1}, {:.1}",
            lens.fx_px, intervals[0], lens.fy_px, intervals[1], lens.cx_px, lens.cy_px
        ),
        format!(
            "distortion    k1 {:.4}, k2 {:.4}, p1 {:.5}, p2 {:.5}",
            lens.k1, lens.k2, lens.p1, lens.p2
        ),
        format!(
            "residual      {rms_px:.2} pixels, {} views tilted by up to {:.0} degrees, {left_out} corners left out, seen {coverage}",
            board_in_camera.len(),
            tilt_rad.to_degrees()
        ),
        verdict.to_string(),
    ]
}
