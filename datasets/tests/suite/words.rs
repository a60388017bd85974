//! What a person is told of a data set that is odd in one way.

use std::fs;
use std::path::Path;

use datasets::{DatasetError, Imported, Source, lerobot};

use crate::set::{self, Set, has_ffmpeg};

type Edit = fn(&mut Set);
type AfterWriting = fn(&Path);

fn unchanged(_: &mut Set) {}

fn nothing(_: &Path) {}

/// Edits `meta/info.json`.
fn info(root: &Path, from: &str, to: &str) {
    let path = root.join("meta/info.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn import(root: &Path, out: &Path, options: lerobot::Options) -> Result<Imported, DatasetError> {
    let dataset = lerobot::Dataset::open(root, options)?;
    let source = Source {
        info: dataset.info(),
        robot_text: String::new(),
        frame_side: 64,
    };
    dataset.import(out, &source, &mut |_| {})
}

/// What is said of a set of two episodes that was changed: the table, or the error.
fn said(
    edit: Edit,
    after_writing: AfterWriting,
    of_videos: bool,
    options: lerobot::Options,
) -> (bool, String) {
    let mut set = Set::sound(&[6, 5], of_videos);
    edit(&mut set);
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    set.write(&root);
    after_writing(&root);
    match import(&root, &dir.path().join("out"), options) {
        Ok(imported) => (true, imported.report.table(imported.episodes, imported.steps)),
        Err(error) => (false, error.to_string()),
    }
}

#[test]
fn the_table_says_what_was_taken_and_what_was_not() {
    let cases: &[(&str, Edit, AfterWriting, bool, &[&str])] = &[
        (
            "sound",
            unchanged,
            nothing,
            true,
            &[
                "2 taken, 2 found, 2 promised",
                "11 taken",
                "next.reward",
                "observation.state",
            ],
        ),
        (
            "a copy beside the data",
            unchanged,
            |root| {
                let file = set::data_path(root, 0);
                fs::copy(&file, file.with_file_name("file-000 (1).parquet")).unwrap();
                fs::write(file.with_file_name("._file-000.parquet"), b"a Mac's").unwrap();
                fs::write(root.join("meta/episodes/.DS_Store"), b"a Mac's").unwrap();
            },
            true,
            &["11 taken, 11 found", "file-000 (1).parquet", "passed over"],
        ),
        (
            "no reward column",
            unchanged,
            |root| info(root, "next.reward", "next.gain"),
            true,
            &["lacks the feature next.reward"],
        ),
        (
            "another size",
            unchanged,
            |root| info(root, "[64,64,3]", "[480,640,3]"),
            true,
            &["11 pictures are not 640 x 480"],
        ),
        (
            "a state of the scene",
            unchanged,
            |root| {
                info(
                    root,
                    r#""observation.state":{"dtype":"float32","names":["pan","lift"],"shape":[2]"#,
                    r#""observation.state":{"dtype":"float32","names":null,"shape":[7]"#,
                );
            },
            true,
            &[
                "joint positions",
                "the goals: observation.state has the shape [7]",
            ],
        ),
        (
            "a file that is there twice",
            unchanged,
            |root| {
                fs::copy(set::data_path(root, 0), set::data_path(root, 1)).unwrap();
            },
            true,
            &["11 taken, 22 found", "6 rows are stored twice"],
        ),
        (
            "a state in another order",
            unchanged,
            |root| {
                info(
                    root,
                    r#""observation.state":{"dtype":"float32","names":["pan","lift"]"#,
                    r#""observation.state":{"dtype":"float32","names":["lift","pan"]"#,
                );
            },
            true,
            &["joint positions", "the goals: observation.state is of", "lift"],
        ),
        (
            "names that repeat",
            unchanged,
            |root| info(root, r#""names":["pan","lift"]"#, r#""names":["pan","pan"]"#),
            true,
            &["meta/info.json", "features.action.names", "joint-0"],
        ),
        (
            "a byte order mark",
            unchanged,
            |root| {
                let path = root.join("meta/info.json");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(path, format!("\u{feff}{text}")).unwrap();
            },
            true,
            &["11 taken"],
        ),
        (
            "UTF-16",
            unchanged,
            |root| {
                let path = root.join("meta/info.json");
                let text = fs::read_to_string(&path).unwrap();
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                fs::write(path, bytes).unwrap();
            },
            false,
            &["info.json", "UTF-16"],
        ),
        (
            "a camera without a column",
            unchanged,
            |root| info(root, set::CAMERA, "observation.images.depth"),
            false,
            &["observation.images.depth", "is missing"],
        ),
        (
            "one channel",
            unchanged,
            |root| info(root, "[64,64,3]", "[64,64,1]"),
            false,
            &["has one channel", "--camera"],
        ),
        (
            "a depth map",
            unchanged,
            |root| {
                info(
                    root,
                    r#""dtype":"image""#,
                    r#""info":{"is_depth_map":true},"dtype":"image""#,
                );
            },
            false,
            &["is a depth map"],
        ),
        (
            "version 2.1",
            unchanged,
            |root| info(root, "v3.0", "v2.1"),
            false,
            &["codebase_version", "convert_dataset_v21_to_v30"],
        ),
        (
            "500 rows a second",
            unchanged,
            |root| info(root, r#""fps":10.0"#, r#""fps":500"#),
            false,
            &["fps", "from 1 to 200"],
        ),
        (
            "another rate",
            unchanged,
            |root| info(root, r#""fps":10.0"#, r#""fps":30"#),
            false,
            &["timestamp goes from", "fps is 30"],
        ),
        (
            "no info.json",
            unchanged,
            |root| fs::remove_file(root.join("meta/info.json")).unwrap(),
            false,
            &["meta/info.json"],
        ),
        (
            "no episodes table",
            unchanged,
            |root| fs::remove_dir_all(root.join("meta/episodes")).unwrap(),
            false,
            &["meta/episodes"],
        ),
        (
            "a Git LFS pointer",
            unchanged,
            |root| {
                fs::write(
                    set::data_path(root, 0),
                    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
                )
                .unwrap();
            },
            false,
            &["file-000.parquet", "Git LFS"],
        ),
        (
            "a joint at rest",
            |set| {
                set.rows
                    .iter_mut()
                    .for_each(|row| row.action[1] = 0.5 + row.name * 1e-7);
            },
            nothing,
            true,
            &["joint at rest", "lift"],
        ),
        (
            "one odd goal",
            |set| set.rows[4].action[0] = 65535.0,
            nothing,
            true,
            &["range stretched", "pan", "episode 0, frame 4", "65535"],
        ),
        (
            "a goal beyond all",
            |set| set.rows[4].action[0] = 1e30,
            nothing,
            false,
            &["features.action", "pan", "episode 0, frame 4"],
        ),
        (
            "another task within an episode",
            |set| set.rows[3..6].iter_mut().for_each(|row| row.task = 1),
            nothing,
            true,
            &["its rows say", "lift"],
        ),
    ];
    for (name, edit, after_writing, good, words) in cases {
        let (found, text) = said(*edit, *after_writing, false, lerobot::Options::default());
        assert_eq!(found, *good, "{name}: {text}");
        for word in *words {
            assert!(text.contains(word), "{name}: no {word:?} in {text}");
        }
    }
}

#[test]
fn a_strict_import_refuses_what_an_import_leaves_out() {
    let strict = || lerobot::Options {
        strict: true,
        ..lerobot::Options::default()
    };
    assert!(said(unchanged, nothing, false, strict()).0);
    let (good, text) = said(|set| set.total_frames += 1, nothing, false, strict());
    assert!(
        !good && text.contains("total_frames is 12") && text.contains("--strict"),
        "{text}"
    );
}

#[test]
fn a_video_that_ends_early_is_trusted_only_on_request() {
    if !has_ffmpeg() {
        println!("not run: there is no ffmpeg here");
        return;
    }
    let short: Edit = |set| {
        let films = set.videos.as_mut().unwrap();
        films[0].pop();
    };
    let (good, text) = said(short, nothing, true, lerobot::Options::default());
    assert!(
        !good && text.contains("10 frames") && text.contains("episode 1"),
        "{text}"
    );
    let options = lerobot::Options {
        trust_video_times: true,
        ..lerobot::Options::default()
    };
    let (good, text) = said(short, nothing, true, options);
    assert!(
        good && text.contains("6 taken") && text.contains("4 of 5 frames"),
        "{text}"
    );
}

#[test]
fn a_video_that_decodes_with_errors_is_left_out() {
    if !has_ffmpeg() {
        println!("not run: there is no ffmpeg here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a:b");
    Set::sound(&[6, 5, 7, 4], true).write(&root);
    // The middle of the pictures of the first video is overwritten; those of the second are sound.
    let path = set::video_path(&root, 0);
    let mut bytes = fs::read(&path).unwrap();
    let media = bytes.windows(4).position(|kind| kind == b"mdat").unwrap() + 4;
    let (from, to) = (
        media + (bytes.len() - media) / 3,
        media + 2 * (bytes.len() - media) / 3,
    );
    bytes[from..to].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let imported = import(&root, &dir.path().join("out"), lerobot::Options::default()).unwrap();
    let text = imported.report.table(imported.episodes, imported.steps);
    assert!(imported.steps <= 7 + 4 + 6, "{text}");
    assert!(
        text.contains("left out") && text.contains("file-000.mp4"),
        "{text}"
    );
    // No episode at all is left of a video that is none.
    fs::write(&path, vec![0x5a; 5000]).unwrap();
    let imported = import(&root, &dir.path().join("again"), lerobot::Options::default()).unwrap();
    assert_eq!(imported.steps, 7 + 4);
}

#[test]
fn a_video_may_begin_later_than_zero() {
    if !has_ffmpeg() {
        println!("not run: there is no ffmpeg here");
        return;
    }
    for later_s in [0.2, 2.0, 30.0] {
        let mut set = Set::sound(&[6, 5], true);
        for (time_s, _) in set.videos.iter_mut().flatten().flatten() {
            *time_s += later_s;
        }
        for row in &mut set.table {
            (row.from_s, row.to_s) = (row.from_s + later_s, row.to_s + later_s);
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("set");
        set.write(&root);
        let imported = import(&root, &dir.path().join("out"), lerobot::Options::default()).unwrap();
        assert_eq!(
            (imported.steps, imported.report.findings.len()),
            (11, 0),
            "{:?}",
            imported.report
        );
    }
}

/// A file called `.mp4` can be a list that has other files or addresses opened.
#[test]
fn a_list_of_other_files_in_the_place_of_a_video_is_refused() {
    if !has_ffmpeg() {
        println!("not run: there is no ffmpeg here");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    Set::sound(&[6, 5, 7, 4], true).write(&root);
    let path = set::video_path(&root, 0);
    // With what it names, it would be a sound video.
    let real = path.with_file_name("real.mp4");
    fs::rename(&path, &real).unwrap();
    let real = real.display();
    for (name, list) in [
        ("concat", "ffconcat version 1.0\nfile 'real.mp4'\n".to_owned()),
        ("absolute", format!("ffconcat version 1.0\nfile '{real}'\n")),
        (
            "hls",
            "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nreal.mp4\n#EXT-X-ENDLIST\n".to_owned(),
        ),
        (
            "address",
            "#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/real.mp4\n#EXT-X-ENDLIST\n".to_owned(),
        ),
        ("marked", "\u{feff}\n #EXTM3U\n#EXTINF:9,\nreal.mp4\n".to_owned()),
        (
            "dash",
            "<?xml version=\"1.0\"?>\n<MPD><BaseURL>real.mp4</BaseURL></MPD>\n".to_owned(),
        ),
    ] {
        fs::write(&path, list).unwrap();
        let out = dir.path().join(name);
        let imported = import(&root, &out, lerobot::Options::default()).unwrap();
        let text = imported.report.table(imported.episodes, imported.steps);
        assert_eq!(imported.steps, 7 + 4, "{name}: {text}");
        for part in ["file-000.mp4", "list of other files"] {
            assert!(text.contains(part), "{name}: no {part} in {text}");
        }
    }
}

/// A Parquet file without rows, whose one column is nested `depth` levels deep.
fn nested_table(depth: usize) -> Vec<u8> {
    // Thrift's compact protocol: version 1, and a list of columns, each a structure.
    let mut description = vec![0x15, 0x02, 0x19, 0xfc];
    let mut left = depth + 1;
    while left > 0x7f {
        description.push(left as u8 | 0x80);
        left >>= 7;
    }
    description.push(left as u8);
    for level in 0..depth {
        // All but the root say that they are required. A name, and one child.
        description.extend(if level == 0 {
            &[0x48][..]
        } else {
            &[0x35, 0x00, 0x18][..]
        });
        description.extend([1, b'a', 0x15, 0x02, 0x00]);
    }
    // 32-bit integers, required, a name. Then no rows, no groups of rows, and the end.
    description.extend([
        0x15, 0x02, 0x25, 0x00, 0x18, 1, b'b', 0x00, 0x16, 0x00, 0x19, 0x0c, 0x00,
    ]);
    let length = (description.len() as u32).to_le_bytes();
    [&b"PAR1"[..], &description, &length, b"PAR1"].concat()
}

#[test]
fn a_table_of_a_hundred_thousand_levels_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("set");
    Set::sound(&[6, 5], false).write(&root);
    let path = set::data_path(&root, 0);
    for (depth, deep) in [(100_000, true), (33, true), (3, false)] {
        fs::write(&path, nested_table(depth)).unwrap();
        let out = dir.path().join(format!("out-{depth}"));
        let said = match import(&root, &out, lerobot::Options::default()) {
            Ok(imported) => imported.report.table(imported.episodes, imported.steps),
            Err(error) => error.to_string(),
        };
        let refused = said.contains("file-000.parquet") && said.contains("nested deeper");
        assert_eq!(refused, deep, "{depth}: {said}");
    }
}
