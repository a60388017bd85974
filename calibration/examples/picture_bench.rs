//! How long a camera's picture takes to become the model's image, on one core: `cargo run --release --example picture_bench [JPEG]`.
//!
//! Without a file, a scene with noise is encoded first, without subsampling of colours, which is the most that a decoder can be given.
//! Times are the median and the 99th percentile of the thread's own CPU time, so that other programs do not count.

use calibration::picture::{InstructionSet, PictureSettings, PictureTable, View};
use image::codecs::jpeg::JpegEncoder;
use robot::device::{Picture, PixelFormat};

/// Times of one kind that are taken.
const RUNS: usize = 300;

/// What 640 x 480 pixels of JPEG may take, in milliseconds.
const BAR_MS: f64 = 3.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (width, height) = (640, 480);
    let rgb = scene(width, height);
    let jpeg = match std::env::args().nth(1) {
        Some(path) => std::fs::read(path)?,
        None => {
            let mut bytes = Vec::new();
            let encoder = JpegEncoder::new_with_quality(&mut bytes, 80);
            encoder_run(encoder, &rgb, width, height)?;
            bytes
        }
    };
    println!(
        "{width}x{height} to 64x64, CPU time of one thread, {RUNS} pictures each; the JPEG has {} bytes",
        jpeg.len()
    );
    println!("| view | format | instructions | median ms | 99 % ms |");
    println!("|---|---|---|---|---|");
    let pixels = (width * height) as usize;
    let pictures = [
        (PixelFormat::Rgb8, rgb.clone()),
        (PixelFormat::Yuyv, rgb[..2 * pixels].to_vec()),
        (PixelFormat::Nv12, rgb[..pixels / 2 * 3].to_vec()),
        (PixelFormat::Jpeg, jpeg),
    ];
    let mut jpeg_ms = 0.0_f64;
    for (name, view) in views() {
        let table = PictureTable::new(&PictureSettings {
            width_px: width,
            height_px: height,
            view,
            lens: None,
            side: 64,
        })?;
        for set in InstructionSet::ALL {
            let Some(table) = table.clone().with_instructions(set) else {
                continue;
            };
            let mut medians = Vec::new();
            for (format, bytes) in &pictures {
                let picture = Picture {
                    width,
                    height,
                    format: *format,
                    bytes: bytes.clone(),
                };
                let (mut workspace, mut image) = (table.workspace(), vec![0; table.image_bytes()]);
                let mut times_ms = Vec::with_capacity(RUNS);
                for _ in 0..RUNS {
                    let begun = thread_ms()?;
                    table.apply(&picture, &mut workspace, &mut image)?;
                    times_ms.push(thread_ms()? - begun);
                }
                times_ms.sort_by(f64::total_cmp);
                let (median, late) = (times_ms[RUNS / 2], times_ms[RUNS * 99 / 100]);
                println!("| {name} | {format:?} | {set:?} | {median:.3} | {late:.3} |");
                medians.push(median);
            }
            // From RGB, there is nothing but the table to work through.
            let (table_ms, whole_ms) = (medians[0], medians[3]);
            println!(
                "| {name} | of JPEG: decode {:.3} + table {table_ms:.3} | {set:?} | {whole_ms:.3} | |",
                whole_ms - table_ms
            );
            jpeg_ms = jpeg_ms.max(whole_ms);
        }
    }
    let verdict = if jpeg_ms < BAR_MS { "met" } else { "MISSED" };
    println!("slowest JPEG median {jpeg_ms:.3} ms, bar {BAR_MS} ms: {verdict}");
    Ok(())
}

fn encoder_run(
    mut encoder: JpegEncoder<&mut Vec<u8>>,
    rgb: &[u8],
    width: u32,
    height: u32,
) -> image::ImageResult<()> {
    encoder.encode(rgb, width, height, image::ExtendedColorType::Rgb8)
}

fn views() -> [(&'static str, View); 2] {
    let corners = View::Corners {
        top_left_px: (150.0, 60.0),
        top_right_px: (490.0, 70.0),
        bottom_right_px: (600.0, 460.0),
        bottom_left_px: (40.0, 450.0),
    };
    [("middle square", View::MiddleSquare), ("rectified", corners)]
}

/// Shades with edges and noise, as a camera sees a bench.
fn scene(width: u32, height: u32) -> Vec<u8> {
    let mut state = 1_u32;
    (0..width * height)
        .flat_map(|at| {
            let (x, y) = (at % width, at / width);
            let tile = if (x / 40 + y / 40) % 2 == 0 { 60 } else { 0 };
            [x * 150 / width, y * 150 / height, (x + y) * 70 / width].map(|shade| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (shade + tile + (state >> 27)) as u8
            })
        })
        .collect()
}

/// CPU time that this thread has used, in milliseconds.
fn thread_ms() -> Result<f64, nix::Error> {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID)?;
    Ok(time.tv_sec() as f64 * 1e3 + time.tv_nsec() as f64 / 1e6)
}
