//! Images against floating-point references, over instruction sets and formats, and what is refused.

use calibration::picture::{
    InstructionSet, Lens, PictureError, PictureSettings, PictureTable, SettingsError, View, jpeg_size,
};
use image::codecs::jpeg::JpegEncoder;
use robot::device::{Picture, PixelFormat};

/// Numbers that only depend on where they start (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, low: u32, high: u32) -> u32 {
        low + (self.next() % u64::from(high - low + 1)) as u32
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

const LENS: Lens = Lens {
    fx_px: 150.0,
    fy_px: 152.0,
    cx_px: 78.0,
    cy_px: 61.5,
    k1: -0.25,
    k2: 0.05,
    p1: 0.001,
    p2: -0.002,
    k3: 0.0,
};

fn settings(width_px: u32, height_px: u32, side: u32, view: View) -> PictureSettings {
    PictureSettings {
        width_px,
        height_px,
        view,
        lens: None,
        side,
    }
}

fn corners(points: [(f64, f64); 4]) -> View {
    View::Corners {
        top_left_px: points[0],
        top_right_px: points[1],
        bottom_right_px: points[2],
        bottom_left_px: points[3],
    }
}

fn picture(width: u32, height: u32, format: PixelFormat, bytes: Vec<u8>) -> Picture {
    Picture {
        width,
        height,
        format,
        bytes,
    }
}

fn image(table: &PictureTable, picture: &Picture) -> Vec<u8> {
    let mut image = vec![0; table.image_bytes()];
    table.apply(picture, &mut table.workspace(), &mut image).unwrap();
    image
}

/// The mean over a rectangle that may begin and end within pixels.
fn mean_of(rgb: &[u8], width: u32, x: (f64, f64), y: (f64, f64), channel: usize) -> f64 {
    let part =
        |at: u32, (from, to): (f64, f64)| (to.min(f64::from(at) + 1.0) - from.max(f64::from(at))).max(0.0);
    let (mut sum, mut weight) = (0.0, 0.0);
    for row in y.0 as u32..y.1.ceil() as u32 {
        for column in x.0 as u32..x.1.ceil() as u32 {
            let area = part(row, y) * part(column, x);
            if area > 0.0 {
                let at = 3 * (row as usize * width as usize + column as usize) + channel;
                sum += area * f64::from(rgb[at]);
                weight += area;
            }
        }
    }
    sum / weight
}

#[test]
fn crops_are_within_one_grey_level_of_the_mean_in_floating_point() {
    let mut random = Random(1);
    for case in 0..60 {
        let (width, height) = (random.between(1, 400), random.between(1, 300));
        let side = [1, 32, 48, 64, 96, 256][case % 6];
        let (w, h) = (random.between(1, width), random.between(1, height));
        let (left, top) = (random.between(0, width - w), random.between(0, height - h));
        let view = View::Crop {
            left_px: left,
            top_px: top,
            width_px: w,
            height_px: h,
        };
        let table = PictureTable::new(&settings(width, height, side, view)).unwrap();
        let rgb = random.bytes(3 * (width * height) as usize);
        let ours = image(&table, &picture(width, height, PixelFormat::Rgb8, rgb.clone()));
        let stretch = |first: u32, length: u32, i: u32| {
            let step = f64::from(length) / f64::from(side);
            let (from, to) = (f64::from(i) * step, f64::from(i + 1) * step);
            (f64::from(first) + from, f64::from(first) + to)
        };
        for at in 0..(side * side) {
            let (x, y) = (stretch(left, w, at % side), stretch(top, h, at / side));
            for channel in 0..3 {
                let exact = mean_of(&rgb, width, x, y, channel);
                let ours = f64::from(ours[3 * at as usize + channel]);
                // Half a level is rounding to whole levels.
                assert!(
                    (ours - exact).abs() < 0.6,
                    "case {case}, pixel {at}: {ours} instead of {exact}"
                );
            }
        }
    }
}

/// The mean over what a pixel shows, by many points, each with the area of picture that it stands for.
fn mean_by_points(
    rgb: &[u8],
    size: (u32, u32),
    points: u32,
    map: impl Fn(f64, f64) -> (f64, f64),
) -> [f64; 3] {
    let (mut sums, mut weight) = ([0.0; 3], 0.0);
    let step = 1.0 / f64::from(points);
    for i in 0..points * points {
        let (x, y) = (f64::from(i % points) * step, f64::from(i / points) * step);
        let (x, y) = (x + step / 2.0, y + step / 2.0);
        let (u, v) = map(x, y);
        let (right, down) = (map(x + step / 2.0, y), map(x, y + step / 2.0));
        let area = (right.0 - u) * (down.1 - v) - (right.1 - v) * (down.0 - u);
        let column = (u as usize).min(size.0 as usize - 1);
        let row = (v as usize).min(size.1 as usize - 1);
        for (channel, sum) in sums.iter_mut().enumerate() {
            *sum += area * f64::from(rgb[3 * (row * size.0 as usize + column) + channel]);
        }
        weight += area;
    }
    sums.map(|sum| sum / weight)
}

/// OpenCV's formula for a lens, written a second time.
fn bent(lens: &Lens, (u, v): (f64, f64)) -> (f64, f64) {
    let x = (u - 0.5 - lens.cx_px) / lens.fx_px;
    let y = (v - 0.5 - lens.cy_px) / lens.fy_px;
    let r2 = x * x + y * y;
    let radial = 1.0 + lens.k1 * r2 + lens.k2 * r2.powi(2) + lens.k3 * r2.powi(3);
    let dx = 2.0 * lens.p1 * x * y + lens.p2 * (r2 + 2.0 * x * x);
    let dy = lens.p1 * (r2 + 2.0 * y * y) + 2.0 * lens.p2 * x * y;
    (
        lens.fx_px * (x * radial + dx) + lens.cx_px + 0.5,
        lens.fy_px * (y * radial + dy) + lens.cy_px + 0.5,
    )
}

#[test]
fn an_undistorted_crop_is_within_one_grey_level_of_the_mean_over_many_points() {
    let (width, height, side) = (160_u32, 120_u32, 16_u32);
    let mut with_lens = settings(
        width,
        height,
        side,
        View::Crop {
            left_px: 10,
            top_px: 5,
            width_px: 140,
            height_px: 110,
        },
    );
    with_lens.lens = Some(LENS);
    let rgb = Random(2).bytes(3 * (width * height) as usize);
    let ours = image(
        &PictureTable::new(&with_lens).unwrap(),
        &picture(width, height, PixelFormat::Rgb8, rgb.clone()),
    );
    for at in 0..side * side {
        let (i, j) = (f64::from(at % side), f64::from(at / side));
        let exact = mean_by_points(&rgb, (width, height), 200, |x, y| {
            let straight = (
                10.0 + (i + x) / f64::from(side) * 140.0,
                5.0 + (j + y) / f64::from(side) * 110.0,
            );
            bent(&LENS, straight)
        });
        for (channel, exact) in exact.into_iter().enumerate() {
            let ours = f64::from(ours[3 * at as usize + channel]);
            assert!((ours - exact).abs() < 1.0, "{at}: {ours} instead of {exact}");
        }
    }
}

#[test]
fn a_rectified_view_is_within_one_grey_level_of_the_mean_over_many_points() {
    let (width, height, side) = (160_u32, 120_u32, 16_u32);
    let points = [(50.0, 20.0), (115.5, 25.0), (150.0, 110.0), (12.0, 100.0)];
    let rgb = Random(3).bytes(3 * (width * height) as usize);
    let table = PictureTable::new(&settings(width, height, side, corners(points))).unwrap();
    let ours = image(&table, &picture(width, height, PixelFormat::Rgb8, rgb.clone()));
    // The homography by solving for its eight numbers, instead of in closed form.
    let unit = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)];
    let mut rows = Vec::new();
    for ((x, y), (u, v)) in unit.into_iter().zip(points) {
        rows.push([x, y, 1.0, 0.0, 0.0, 0.0, -u * x, -u * y, u]);
        rows.push([0.0, 0.0, 0.0, x, y, 1.0, -v * x, -v * y, v]);
    }
    let m = solved(rows);
    for at in 0..side * side {
        let (i, j) = (f64::from(at % side), f64::from(at / side));
        let exact = mean_by_points(&rgb, (width, height), 300, |x, y| {
            let (x, y) = ((i + x) / f64::from(side), (j + y) / f64::from(side));
            let w = m[6] * x + m[7] * y + 1.0;
            ((m[0] * x + m[1] * y + m[2]) / w, (m[3] * x + m[4] * y + m[5]) / w)
        });
        for (channel, exact) in exact.into_iter().enumerate() {
            let ours = f64::from(ours[3 * at as usize + channel]);
            assert!((ours - exact).abs() < 1.0, "{at}: {ours} instead of {exact}");
        }
    }
}

/// Gauss and Jordan, with the largest pivot first.
fn solved(mut rows: Vec<[f64; 9]>) -> Vec<f64> {
    for column in 0..8 {
        let pivot = (column..8)
            .max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))
            .unwrap();
        rows.swap(column, pivot);
        let by = rows[column];
        for (at, row) in rows.iter_mut().enumerate() {
            let factor = if at == column {
                0.0
            } else {
                row[column] / by[column]
            };
            for (value, by) in row.iter_mut().zip(by) {
                *value -= factor * by;
            }
        }
    }
    (0..8).map(|at| rows[at][8] / rows[at][at]).collect()
}

/// A crop, a rectified view and an undistorted one of a picture of `width` x `height` pixels.
fn views(width: u32, height: u32) -> Vec<PictureSettings> {
    let (w, h) = (f64::from(width), f64::from(height));
    let points = [
        (0.2 * w, 0.1 * h),
        (0.75 * w, 0.15 * h),
        (0.9 * w, 0.9 * h),
        (0.1 * w, 0.8 * h),
    ];
    let lens = Lens {
        fx_px: w,
        fy_px: w,
        cx_px: w / 2.0,
        cy_px: h / 2.0,
        ..LENS
    };
    let mut all = Vec::new();
    for side in [32, 64, 100, 256] {
        all.push(settings(width, height, side, View::Whole));
        all.push(settings(width, height, side, View::MiddleSquare));
        all.push(settings(width, height, side, corners(points)));
        let mut undistorted = settings(width, height, side, corners(points));
        undistorted.lens = Some(lens);
        all.push(undistorted);
    }
    all
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut random = Random(4);
    let (width, height) = (322, 242);
    let pixels = (width * height) as usize;
    let pictures = [
        picture(width, height, PixelFormat::Rgb8, random.bytes(3 * pixels)),
        picture(width, height, PixelFormat::Yuyv, random.bytes(2 * pixels)),
        picture(width, height, PixelFormat::Nv12, random.bytes(pixels / 2 * 3)),
        picture(width, height, PixelFormat::Jpeg, jpeg(&mut random, width, height)),
    ];
    let mut compared = 0;
    for settings in views(width, height) {
        let table = PictureTable::new(&settings).unwrap();
        let plain = table.clone().with_instructions(InstructionSet::Portable).unwrap();
        for picture in &pictures {
            let expected = image(&plain, picture);
            for set in InstructionSet::ALL {
                if let Some(table) = table.clone().with_instructions(set) {
                    assert!(image(&table, picture) == expected, "{set:?} {settings:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared >= 64);
}

#[test]
fn what_is_of_one_colour_stays_so() {
    let (width, height) = (322, 242);
    for settings in views(width, height) {
        let table = PictureTable::new(&settings).unwrap();
        for colour in [[255, 255, 255], [0, 0, 0], [1, 128, 254], [77, 3, 200]] {
            let rgb = colour.repeat((width * height) as usize);
            let image = image(&table, &picture(width, height, PixelFormat::Rgb8, rgb));
            assert!(image.chunks(3).all(|pixel| pixel == colour));
        }
    }
}

#[test]
fn corners_of_a_plain_rectangle_show_what_its_crop_shows() {
    let (width, height) = (160, 120);
    let rgb = Random(5).bytes(3 * 160 * 120);
    let picture = picture(width, height, PixelFormat::Rgb8, rgb);
    let crop = View::Crop {
        left_px: 20,
        top_px: 10,
        width_px: 99,
        height_px: 77,
    };
    let same = corners([(20.0, 10.0), (119.0, 10.0), (119.0, 87.0), (20.0, 87.0)]);
    let [crop, same] = [crop, same].map(|view| {
        image(
            &PictureTable::new(&settings(width, height, 64, view)).unwrap(),
            &picture,
        )
    });
    let apart = crop.iter().zip(&same).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart <= Some(1), "{apart:?}");
}

#[test]
fn yuyv_and_nv12_go_through_the_same_weights() {
    // Grey, so that the colours' coarser grid plays no part: the three formats hold the same picture.
    let (width, height) = (64, 48);
    let grey = Random(6).bytes(64 * 48);
    let video: Vec<u8> = grey.iter().map(|grey| 16 + grey / 2).collect();
    let yuyv = video.iter().flat_map(|y| [*y, 128]).collect();
    let nv12 = video.iter().copied().chain([128; 64 * 24]).collect();
    let rgb = video
        .iter()
        .flat_map(|y| [(255.0 / 219.0 * (f64::from(*y) - 16.0)).round() as u8; 3])
        .collect();
    let table = PictureTable::new(&settings(width, height, 32, View::Whole)).unwrap();
    let [rgb, yuyv, nv12] = [
        (PixelFormat::Rgb8, rgb),
        (PixelFormat::Yuyv, yuyv),
        (PixelFormat::Nv12, nv12),
    ]
    .map(|(format, bytes)| image(&table, &picture(width, height, format, bytes)));
    assert_eq!(rgb, yuyv);
    assert_eq!(rgb, nv12);
}

fn scene(random: &mut Random, width: u32, height: u32) -> Vec<u8> {
    (0..width * height)
        .flat_map(|at| {
            let noise = random.between(0, 7);
            let (x, y) = (at % width, at / width);
            [
                (x * 230 / width + noise) as u8,
                (y * 230 / height + noise) as u8,
                ((x + y) * 100 / width + noise) as u8,
            ]
        })
        .collect()
}

fn jpeg(random: &mut Random, width: u32, height: u32) -> Vec<u8> {
    encoded(&scene(random, width, height), width, height)
}

fn encoded(rgb: &[u8], width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 92)
        .encode(rgb, width, height, image::ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

fn refused(bytes: Vec<u8>, width: u32, height: u32) -> PictureError {
    let table = PictureTable::new(&settings(width, height, 32, View::Whole)).unwrap();
    let mut image = vec![0; table.image_bytes()];
    let picture = picture(width, height, PixelFormat::Jpeg, bytes);
    table
        .apply(&picture, &mut table.workspace(), &mut image)
        .unwrap_err()
}

#[test]
fn a_jpeg_gives_nearly_the_image_of_what_it_was_made_from() {
    let (width, height) = (160, 120);
    let rgb = scene(&mut Random(7), width, height);
    let table = PictureTable::new(&settings(width, height, 32, View::Whole)).unwrap();
    let mut bytes = encoded(&rgb, width, height);
    let from_rgb = image(&table, &picture(width, height, PixelFormat::Rgb8, rgb));
    let from_jpeg = image(&table, &picture(width, height, PixelFormat::Jpeg, bytes.clone()));
    let apart = from_rgb.iter().zip(&from_jpeg).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(apart <= Some(3), "{apart:?}");
    // Cameras fill the rest of their buffer.
    bytes.extend([0; 100]);
    assert_eq!(
        image(&table, &picture(width, height, PixelFormat::Jpeg, bytes)),
        from_jpeg
    );
}

#[test]
fn a_jpeg_tells_its_size() {
    let jpeg = include_bytes!("data/camera-422.jpg");
    assert_eq!(jpeg_size(jpeg), Ok((200, 152)));
    // The header is enough.
    assert_eq!(jpeg_size(&jpeg[..jpeg.len() / 2]), Ok((200, 152)));
    assert_eq!(jpeg_size(b"GIF89a"), Err(PictureError::JpegStart));
    let cut = jpeg_size(&jpeg[..20]);
    assert!(matches!(cut, Err(PictureError::JpegDamaged { .. })), "{cut:?}");
}

#[test]
fn damaged_jpegs_are_refused() {
    let (width, height) = (160, 120);
    let whole = jpeg(&mut Random(8), width, height);
    let cut = |at: usize| whole[..at].to_vec();
    assert_eq!(
        refused(cut(whole.len() - 2), width, height),
        PictureError::JpegEnd
    );
    assert_eq!(
        refused(cut(whole.len() / 2), width, height),
        PictureError::JpegEnd
    );
    assert_eq!(refused(Vec::new(), width, height), PictureError::JpegStart);
    assert_eq!(refused(vec![0; 1000], width, height), PictureError::JpegStart);
    assert_eq!(
        refused(whole.clone(), width, 122),
        PictureError::Size {
            expected: (width, 122),
            found: (width, height)
        }
    );
    let is_damage = |bytes| matches!(refused(bytes, width, height), PictureError::JpegDamaged { .. });
    assert!(is_damage(vec![0xff, 0xd8, 0xff, 0xd9]));
    for at in [whole.len() / 4, whole.len() / 2, whole.len() * 9 / 10] {
        let mut ended = cut(at);
        ended.extend([0xff, 0xd9]);
        assert!(is_damage(ended), "cut at {at} of {} and ended", whole.len());
    }
}

#[test]
fn pictures_of_another_size_are_refused() {
    let table = PictureTable::new(&settings(64, 48, 32, View::Whole)).unwrap();
    let try_it = |width, height, format, bytes, image_bytes| {
        let mut image = vec![0; image_bytes];
        table
            .apply(
                &picture(width, height, format, vec![0; bytes]),
                &mut table.workspace(),
                &mut image,
            )
            .unwrap_err()
    };
    let whole = 3 * 32 * 32;
    assert_eq!(
        try_it(48, 64, PixelFormat::Rgb8, 3 * 64 * 48, whole),
        PictureError::Size {
            expected: (64, 48),
            found: (48, 64)
        }
    );
    for (format, bytes) in [
        (PixelFormat::Rgb8, 3 * 64 * 48),
        (PixelFormat::Yuyv, 2 * 64 * 48),
        (PixelFormat::Nv12, 64 * 72),
    ] {
        for found in [bytes - 1, bytes + 1, 0] {
            assert_eq!(
                try_it(64, 48, format, found, whole),
                PictureError::Bytes {
                    expected: bytes,
                    found
                }
            );
        }
    }
    assert_eq!(
        try_it(64, 48, PixelFormat::Rgb8, 3 * 64 * 48, 5),
        PictureError::Image {
            expected: whole,
            found: 5
        }
    );
    let odd = PictureTable::new(&settings(63, 48, 32, View::Whole)).unwrap();
    assert_eq!(
        odd.apply(
            &picture(63, 48, PixelFormat::Yuyv, vec![0; 2 * 63 * 48]),
            &mut odd.workspace(),
            &mut vec![0; whole]
        ),
        Err(PictureError::Odd {
            format: PixelFormat::Yuyv,
            size: (63, 48)
        })
    );
}

#[test]
fn the_hash_names_what_is_shown() {
    let hash = |settings: &PictureSettings| PictureTable::new(settings).unwrap().sha256().to_owned();
    let views = views(320, 240);
    let mut hashes: Vec<String> = views.iter().map(hash).collect();
    assert_eq!(hashes, views.iter().map(hash).collect::<Vec<_>>());
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), views.len());
    // The same rectangle, said otherwise.
    let square = View::Crop {
        left_px: 40,
        top_px: 0,
        width_px: 240,
        height_px: 240,
    };
    assert_eq!(
        hash(&settings(320, 240, 64, View::MiddleSquare)),
        hash(&settings(320, 240, 64, square))
    );
    // Every machine must come to these: they are in logs and bundles.
    assert_eq!(
        [hash(&views[5]), hash(&views[7])].map(|hash| hash[..16].to_owned()),
        ["6eda50da3a0b4073", "a183e43bf2033914"]
    );
}

#[test]
fn settings_are_refused_by_the_field_they_are_in() {
    let base = settings(640, 480, 64, View::Whole);
    let crop = |left_px, top_px, width_px, height_px| View::Crop {
        left_px,
        top_px,
        width_px,
        height_px,
    };
    let with = |change: &dyn Fn(&mut PictureSettings)| {
        let mut settings = base.clone();
        change(&mut settings);
        settings
    };
    let view = |view: View| with(&|settings| settings.view = view);
    let lens = |lens: Lens| with(&|settings| settings.lens = Some(lens));
    let good = Lens {
        fx_px: 600.0,
        fy_px: 600.0,
        cx_px: 320.0,
        cy_px: 240.0,
        ..LENS
    };
    let cases = [
        (with(&|settings| settings.width_px = 0), "width_px"),
        (with(&|settings| settings.height_px = 100_000), "height_px"),
        (with(&|settings| settings.side = 0), "side"),
        (view(crop(600, 0, 41, 480)), "view.crop.left_px"),
        (view(crop(0, u32::MAX, 640, 480)), "view.crop.top_px"),
        (view(crop(0, 0, 0, 480)), "view.crop.width_px"),
        (view(crop(0, 0, 640, 481)), "view.crop.height_px"),
        (
            view(corners([(0.0, 0.0), (640.5, 0.0), (600.0, 400.0), (0.0, 400.0)])),
            "view.corners.top_right_px",
        ),
        (
            view(corners([
                (f64::NAN, 0.0),
                (640.0, 0.0),
                (600.0, 400.0),
                (0.0, 400.0),
            ])),
            "view.corners.top_left_px",
        ),
        (
            view(corners([(0.0, 0.0), (600.0, 400.0), (640.0, 0.0), (0.0, 400.0)])),
            "view.corners",
        ),
        (lens(Lens { fx_px: 0.0, ..good }), "lens.fx_px"),
        (
            lens(Lens {
                fy_px: f64::INFINITY,
                ..good
            }),
            "lens.fy_px",
        ),
        (lens(Lens { k2: f64::NAN, ..good }), "lens.k2"),
        // A barrel so strong that the corners come back inwards.
        (lens(Lens { k1: -2.0, ..good }), "lens"),
        // A pincushion: the straightened picture's corners were not seen.
        (lens(Lens { k1: 0.3, ..good }), "view"),
    ];
    for (settings, field) in cases {
        let error: SettingsError = PictureTable::new(&settings).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
    assert!(PictureTable::new(&lens(good)).is_ok());
}

#[test]
fn settings_are_read_from_a_robot_file() {
    let text = "(width_px: 640, height_px: 480, view: crop(left_px: 80, top_px: 0, width_px: 480, height_px: 480), side: 64)";
    let read: PictureSettings = ron::from_str(text).unwrap();
    assert_eq!(
        PictureTable::new(&read).unwrap().sha256(),
        PictureTable::new(&settings(640, 480, 64, View::MiddleSquare))
            .unwrap()
            .sha256()
    );
    assert!(ron::from_str::<PictureSettings>("(width_px: 640, height_px: 480, side: 64, sides: 3)").is_err());
}
