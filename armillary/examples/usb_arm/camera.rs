//! The camera: what the simulator draws of the arm, in the middle of a picture with noise at its upper edge.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use devices::emulation::usb_camera::{Form, UsbCamera};
use image::ExtendedColorType::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use robot::Frame;

use crate::{Plug, Shared, lock};

const WIDTH_PX: usize = 320;
const HEIGHT_PX: usize = 240;
/// Side of what the simulator draws, in pixels. It is shown `SCALE` times as large, from (`LEFT_PX`, `TOP_PX`) on.
const SIDE: usize = 64;
const SCALE: usize = 3;
const LEFT_PX: usize = (WIDTH_PX - SCALE * SIDE) / 2;
const TOP_PX: usize = (HEIGHT_PX - SCALE * SIDE) / 2;
/// Rows with noise. No two pictures of a camera are equal, and equal ones tell a camera that is frozen.
const NOISE_ROWS: usize = 8;
/// 15, 20 and 30 Hz.
const INTERVALS_100NS: [u32; 3] = [333_333, 500_000, 666_666];
const QUALITY: u8 = 90;
/// How long the kernel is waited for before the clock is looked at.
const LOOK: Duration = Duration::from_millis(1);

/// Serves the camera until it is pulled out or the program is to end.
pub(crate) fn serve(shared: &Shared, over: &AtomicBool) -> anyhow::Result<()> {
    let mut camera = UsbCamera::plug_in(Form {
        width_px: WIDTH_PX as u16,
        height_px: HEIGHT_PX as u16,
        intervals_100ns: INTERVALS_100NS.to_vec(),
        serial: "ARM0001".to_owned(),
    })
    .context("the camera cannot be plugged in")?;
    let mut seen = lock(shared).0.plant().clone();
    let mut drawn = Frame::new(SIDE);
    let mut rgb = vec![60; 3 * WIDTH_PX * HEIGHT_PX];
    let mut noise = 1_u32;
    while !over.load(Ordering::Relaxed) && camera.turn(LOOK)? {
        if lock(shared).1.pull(Plug::Camera) {
            return Ok(());
        }
        if !camera.is_due() {
            continue;
        }
        // The arm moves on while it is drawn.
        seen.copy_state_from(lock(shared).0.plant());
        seen.render(&mut drawn);
        for byte in &mut rgb[..3 * WIDTH_PX * NOISE_ROWS] {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = 50 + (noise >> 27) as u8;
        }
        enlarge(&drawn, &mut rgb);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode(
            &rgb,
            WIDTH_PX as u32,
            HEIGHT_PX as u32,
            Rgb8,
        )?;
        camera.show(jpeg, false)?;
    }
    Ok(())
}

/// Puts the drawing into the middle of the picture.
fn enlarge(drawn: &Frame, rgb: &mut [u8]) {
    let mut line = Vec::with_capacity(3 * SCALE * SIDE);
    for (row, pixels) in drawn.rgb().chunks_exact(3 * SIDE).enumerate() {
        line.clear();
        for pixel in pixels.chunks_exact(3) {
            (0..SCALE).for_each(|_| line.extend_from_slice(pixel));
        }
        for copy in 0..SCALE {
            let at = 3 * ((TOP_PX + SCALE * row + copy) * WIDTH_PX + LEFT_PX);
            rgb[at..at + line.len()].copy_from_slice(&line);
        }
    }
}
