//! Random damage to a sound data set. Each time it is imported exactly as far as it is undamaged, or refused, and never otherwise
//! without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use datasets::{DatasetError, Imported, Source, lerobot};
use episode::read_episode;
use robot::config::made::Actuator;
use robot::philox::Stream;

use crate::round_trip::logs;
use crate::set::{self, FPS, Film, Set, colour, goal, has_ffmpeg, name, reward};

/// Episodes of the sound set.
const LENGTHS: [i64; 4] = [8, 6, 7, 5];

/// Which episodes a damage may have cost.
type Touched = BTreeSet<i64>;

fn all() -> Touched {
    (0..LENGTHS.len() as i64).collect()
}

/// What a damage does to the files after they are written.
type AfterWriting = Box<dyn Fn(&Path)>;

/// What was damaged.
struct Damaged {
    touched: Touched,
    /// Whether the whole data set may be refused for it.
    may_refuse: bool,
    after_writing: Option<AfterWriting>,
}

impl Damaged {
    fn of(touched: impl IntoIterator<Item = i64>) -> Self {
        Self {
            touched: touched.into_iter().collect(),
            may_refuse: false,
            after_writing: None,
        }
    }

    fn files(after_writing: impl Fn(&Path) + 'static, touched: Touched, may_refuse: bool) -> Self {
        Self {
            touched,
            may_refuse,
            after_writing: Some(Box::new(after_writing)),
        }
    }
}

type Damage = fn(&mut Set, &mut Stream) -> Damaged;

/// Damages to rows, tables and files, by name.
const DAMAGES: &[(&str, Damage)] = &[
    ("none", |_, _| Damaged::of([])),
    ("a row dropped", |set, random| {
        let row = pick(&mut set.rows, random);
        Damaged::of([row.episode])
    }),
    ("three rows dropped", |set, random| {
        Damaged::of(
            (0..3)
                .map(|_| pick(&mut set.rows, random).episode)
                .collect::<Touched>(),
        )
    }),
    ("a row dropped, the others numbered anew", |set, random| {
        let lost = pick(&mut set.rows, random);
        for row in set
            .rows
            .iter_mut()
            .filter(|row| row.episode == lost.episode && row.frame > lost.frame)
        {
            row.frame -= 1;
            row.time_s -= 1.0 / FPS;
        }
        for (index, row) in set.rows.iter_mut().enumerate() {
            row.index = index as i64;
        }
        // The episodes after it begin at another index than the table says, which changes nothing of them.
        Damaged::of([lost.episode])
    }),
    ("a row doubled, one after the other", |set, random| {
        let at = below(random, set.rows.len());
        let row = set.rows[at].clone();
        set.rows.insert(at, row.clone());
        Damaged::of([row.episode])
    }),
    ("a row doubled, at the end", |set, random| {
        let row = set.rows[below(random, set.rows.len())].clone();
        set.rows.push(row.clone());
        Damaged::of([row.episode])
    }),
    ("a file's rows doubled", |set, random| {
        let file = below(random, 2);
        let again: Vec<_> = set.rows.iter().filter(|row| row.file == file).cloned().collect();
        let touched: Touched = again.iter().map(|row| row.episode).collect();
        set.rows.extend(again);
        Damaged::of(touched)
    }),
    ("two rows swapped", |set, random| {
        let (a, b) = (below(random, set.rows.len()), below(random, set.rows.len()));
        let files = (set.rows[a].file, set.rows[b].file);
        set.rows.swap(a, b);
        (set.rows[a].file, set.rows[b].file) = files;
        Damaged::of([])
    }),
    ("two rows swapped, index numbered anew", |set, random| {
        let (a, b) = (below(random, set.rows.len()), below(random, set.rows.len()));
        let files = (set.rows[a].file, set.rows[b].file);
        let touched = [set.rows[a].episode, set.rows[b].episode];
        set.rows.swap(a, b);
        (set.rows[a].file, set.rows[b].file) = files;
        for (index, row) in set.rows.iter_mut().enumerate() {
            row.index = index as i64;
        }
        Damaged::of(touched)
    }),
    ("the keys of two rows swapped", |set, random| {
        let (a, b) = (below(random, set.rows.len()), below(random, set.rows.len()));
        let (first, second) = (set.rows[a].clone(), set.rows[b].clone());
        for (at, keys) in [(a, &second), (b, &first)] {
            let row = &mut set.rows[at];
            (row.episode, row.frame, row.time_s) = (keys.episode, keys.frame, keys.time_s);
        }
        Damaged::of([first.episode, second.episode])
    }),
    ("rows in any order", |set, random| {
        for at in (1..set.rows.len()).rev() {
            set.rows.swap(at, below(random, at + 1));
        }
        Damaged::of([])
    }),
    ("rows in any order, index numbered anew", |set, random| {
        for at in (1..set.rows.len()).rev() {
            set.rows.swap(at, below(random, at + 1));
        }
        for (index, row) in set.rows.iter_mut().enumerate() {
            row.index = index as i64;
        }
        Damaged {
            may_refuse: true,
            ..Damaged::of(all())
        }
    }),
    ("a timestamp changed", |set, random| {
        let at = below(random, set.rows.len());
        set.rows[at].time_s =
            [-1.0, 0.0, 1e9, f64::NAN, f64::INFINITY, set.rows[at].time_s + 0.2][below(random, 6)];
        Damaged::of([set.rows[at].episode])
    }),
    ("a frame_index changed", |set, random| {
        let at = below(random, set.rows.len());
        set.rows[at].frame = [-1, 0, 3, i64::MAX, i64::MIN, 4_294_967_295, 1000][below(random, 7)];
        Damaged::of([set.rows[at].episode])
    }),
    ("an episode_index changed", |set, random| {
        let at = below(random, set.rows.len());
        let (was, now) = (set.rows[at].episode, [-1, 0, 3, 99, i64::MAX][below(random, 5)]);
        set.rows[at].episode = now;
        Damaged::of([was, now])
    }),
    ("an index changed", |set, random| {
        let at = below(random, set.rows.len());
        set.rows[at].index = [-1, 0, 5, i64::MAX, i64::MIN][below(random, 5)];
        // An index that several rows claim tells nothing of the others.
        Damaged::of([set.rows[at].episode])
    }),
    ("a task_index changed", |set, random| {
        let at = below(random, set.rows.len());
        set.rows[at].task = [1, 7, -1][below(random, 3)];
        Damaged::of([set.rows[at].episode])
    }),
    ("a goal that is no number", |set, random| {
        let at = below(random, set.rows.len());
        set.rows[at].action[1] = [f32::NAN, f32::INFINITY][below(random, 2)];
        Damaged::of([set.rows[at].episode])
    }),
    ("fps changed", |set, random| {
        set.fps *= [0.7, 0.95, 1.05, 1.3, 2.0, 10.0][below(random, 6)];
        Damaged {
            may_refuse: true,
            ..Damaged::of(all())
        }
    }),
    ("totals changed", |set, random| {
        let more = [1, 100, 1_000_000_000][below(random, 3)];
        match below(random, 3) {
            0 => set.total_episodes += more,
            1 => set.total_frames += more,
            _ => set.total_tasks += more,
        }
        Damaged::of([])
    }),
    ("a length changed", |set, random| {
        let at = below(random, set.table.len());
        let row = &mut set.table[at];
        row.length = [0, 1, row.length - 1, row.length + 1, i64::MAX][below(random, 5)];
        Damaged::of([row.episode])
    }),
    ("an index of the table changed", |set, random| {
        let at = below(random, set.table.len());
        let row = &mut set.table[at];
        let change = [-1, 1, 1000, i64::MAX / 2][below(random, 4)];
        match below(random, 3) {
            0 => row.from += change,
            1 => row.to += change,
            _ => row.file += change,
        }
        Damaged::of([])
    }),
    ("a row of the table dropped", |set, random| {
        let at = below(random, set.table.len());
        Damaged::of([set.table.remove(at).episode])
    }),
    ("a row of the table doubled", |set, random| {
        let row = set.table[below(random, set.table.len())].clone();
        set.table.push(row.clone());
        Damaged::of([row.episode])
    }),
    ("a data file removed", |_, random| {
        let file = below(random, 2);
        let touched = [2 * file as i64, 2 * file as i64 + 1].into();
        Damaged::files(
            move |root| fs::remove_file(set::data_path(root, file)).unwrap(),
            touched,
            false,
        )
    }),
    ("a data file cut off", |_, random| {
        let (file, part) = (below(random, 2), random.range(0.0, 1.0));
        let cut = move |root: &Path| {
            let path = set::data_path(root, file);
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..(bytes.len() as f32 * part) as usize]).unwrap();
        };
        Damaged::files(cut, all(), true)
    }),
    ("a file of meta removed", |_, random| {
        let file = [
            "info.json",
            "tasks.parquet",
            "episodes/chunk-000/file-000.parquet",
        ][below(random, 3)];
        Damaged::files(
            move |root| fs::remove_file(root.join("meta").join(file)).unwrap(),
            all(),
            true,
        )
    }),
];

/// Damages to videos.
const OF_VIDEOS: &[(&str, Damage)] = &[
    ("none", |_, _| Damaged::of([])),
    ("a frame dropped", |set, random| {
        let (film, damaged) = film(set, random);
        film.remove(below(random, film.len()));
        damaged
    }),
    ("a frame dropped, the others moved up", |set, random| {
        let (film, damaged) = film(set, random);
        film.remove(below(random, film.len()));
        for (frame, (time_s, _)) in film.iter_mut().enumerate() {
            *time_s = frame as f64 / FPS;
        }
        damaged
    }),
    ("a frame doubled, the others moved down", |set, random| {
        let (film, damaged) = film(set, random);
        let at = below(random, film.len());
        film.insert(at, film[at]);
        for (frame, (time_s, _)) in film.iter_mut().enumerate() {
            *time_s = frame as f64 / FPS;
        }
        damaged
    }),
    ("cut off", |set, random| {
        let (film, damaged) = film(set, random);
        film.truncate(1 + below(random, film.len() - 1));
        damaged
    }),
    ("faster or slower", |set, random| {
        let by = [0.5, 0.9, 0.99, 1.01, 1.1, 2.0, f64::from(random.range(0.4, 3.0))][below(random, 7)];
        let (film, damaged) = film(set, random);
        for (time_s, _) in film {
            *time_s *= by;
        }
        damaged
    }),
    ("later", |set, random| {
        let by_s = [0.02, 0.05, 0.1, 0.2, 1.0, f64::from(random.range(0.01, 2.0))][below(random, 6)];
        let (film, damaged) = film(set, random);
        for (time_s, _) in film {
            *time_s += by_s;
        }
        damaged
    }),
    ("a stretch of the table changed", |set, random| {
        let at = below(random, set.table.len());
        let change = [-0.3, -0.1, 0.1, 0.3, 1.0, 100.0, f64::NAN][below(random, 7)];
        let row = &mut set.table[at];
        match below(random, 3) {
            0 => row.from_s += change,
            1 => row.to_s += change,
            _ => (row.from_s, row.to_s) = (row.from_s + change, row.to_s + change),
        }
        let file = 2 * (row.video);
        Damaged::of([file, file + 1])
    }),
    ("a row dropped", |set, random| {
        let row = pick(&mut set.rows, random);
        Damaged::of([row.episode])
    }),
    ("removed", |_, random| {
        let file = below(random, 2);
        let touched = [2 * file as i64, 2 * file as i64 + 1].into();
        Damaged::files(
            move |root| fs::remove_file(set::video_path(root, file)).unwrap(),
            touched,
            false,
        )
    }),
];

fn below(random: &mut Stream, count: usize) -> usize {
    random.below(count)
}

fn pick(rows: &mut Vec<set::Row>, random: &mut Stream) -> set::Row {
    rows.remove(below(random, rows.len()))
}

/// A video, and the episodes that it costs.
fn film<'a>(set: &'a mut Set, random: &mut Stream) -> (&'a mut Film, Damaged) {
    let file = below(random, 2);
    let films = set.videos.as_mut().unwrap();
    (
        &mut films[file],
        Damaged::of([2 * file as i64, 2 * file as i64 + 1]),
    )
}

fn import(from: &Path, out: &Path, strict: bool) -> Result<(Imported, Vec<Actuator>), DatasetError> {
    let options = lerobot::Options {
        strict,
        ..lerobot::Options::default()
    };
    let dataset = lerobot::Dataset::open(from, options)?;
    let source = Source {
        info: dataset.info(),
        robot_text: String::new(),
        frame_side: 64,
    };
    let imported = dataset.import(out, &source, &mut |_| {})?;
    Ok((imported, dataset.actuators().to_vec()))
}

/// Compares the logs in `out` with the sound set. Returns how many rows of each episode are in them.
fn hold(out: &Path, ranges: &[Actuator], what: &str) -> BTreeMap<i64, usize> {
    let mut taken: BTreeMap<i64, usize> = BTreeMap::new();
    for path in logs(out) {
        let log = read_episode(&path).unwrap();
        assert!(log.complete, "{what}");
        assert_eq!(log.info.period_s, (1.0 / FPS) as f32, "{what}");
        for (at, tick) in log.ticks.iter().enumerate() {
            let row = tick.capture.position_rad[0];
            let (episode, frame) = ((row / 100.0).floor() as i64, (row % 100.0) as i64);
            *taken.entry(episode).or_default() += 1;
            assert_eq!(
                tick.actuate.set_point_rad[..],
                goal(row),
                "{what}: {episode} {frame}"
            );
            for (joint, range) in ranges.iter().enumerate() {
                let action = (goal(row)[joint] - range.low) / (range.high - range.low) * 2.0 - 1.0;
                let off = (tick.actuate.action[joint] - action).abs();
                assert!(
                    off < 1e-5,
                    "{what}: the action of {episode} {frame} is off by {off}"
                );
            }
            let seen = &log.frames[at].as_ref().unwrap().rgb()[..3];
            for (seen, shown) in seen.iter().zip(colour(row)) {
                assert!(
                    seen.abs_diff(shown) < 6,
                    "{what}: the picture of {episode} {frame} is {seen:?}"
                );
            }
            let before = at.checked_sub(1).map(|before| &log.ticks[before]);
            let Some(before) = before.filter(|before| before.tick + 1 == tick.tick) else {
                // What led to the first picture of a stretch is not known.
                assert_eq!(tick.capture.reward, None, "{what}: {episode} {frame}");
                continue;
            };
            let led_here = before.capture.position_rad[0];
            let speed = tick.capture.velocity_rad_s[0];
            assert!(
                (speed - FPS as f32).abs() < 1e-3,
                "{what}: {episode} {frame} moves at {speed}"
            );
            assert_eq!(
                led_here,
                name(episode, frame - 1),
                "{what}: {episode} {frame} follows {led_here}"
            );
            assert_eq!(
                tick.capture.reward,
                Some(reward(led_here)),
                "{what}: {episode} {frame}"
            );
        }
    }
    taken
}

/// A trial with the damages `list`; returns in words what became of it.
fn trial(seed: u64, list: &[(&str, Damage)], of_videos: bool) -> &'static str {
    let mut random = Stream::new(seed, 0);
    let mut set = Set::sound(&LENGTHS, of_videos);
    let (words, damage) = list[below(&mut random, list.len())];
    let damaged = damage(&mut set, &mut random);
    let what = format!("trial {seed}, {words}");
    let dir = tempfile::tempdir().unwrap();
    let (root, out) = (dir.path().join("set"), dir.path().join("out"));
    set.write(&root);
    if let Some(after_writing) = &damaged.after_writing {
        after_writing(&root);
    }
    let (imported, ranges) = match import(&root, &out, false) {
        Ok(imported) => imported,
        Err(error) => {
            assert!(damaged.may_refuse, "{what}: {error}");
            assert!(error.to_string().contains("set"), "{what}: {error}");
            return "refused";
        }
    };
    let taken = hold(&out, &ranges, &what);
    let mut whole = true;
    for (episode, &length) in LENGTHS.iter().enumerate() {
        let episode = episode as i64;
        let rows = taken.get(&episode).copied().unwrap_or(0);
        if rows != length as usize {
            whole = false;
            assert!(
                damaged.touched.contains(&episode),
                "{what}: {rows} of {length} rows of {episode}: {:?}",
                imported.report
            );
        }
    }
    let told = !imported.report.findings.is_empty();
    assert!(
        whole || told,
        "{what}: lost rows without a word: {:?}",
        imported.report
    );
    assert_eq!(imported.steps as usize, taken.values().sum::<usize>(), "{what}");
    // What is told of is what a strict import refuses.
    assert_eq!(
        import(&root, &dir.path().join("strict"), true).is_err(),
        told,
        "{what}"
    );
    match (whole, told) {
        (true, false) => "whole",
        (true, true) => "whole, with a word",
        _ => "in part",
    }
}

fn trials(count: u64, list: &[(&str, Damage)], of_videos: bool) {
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..count {
        *outcomes.entry(trial(seed, list, of_videos)).or_default() += 1;
    }
    println!("{count} trials: {outcomes:?}");
}

#[test]
fn a_damaged_data_set_is_imported_as_far_as_it_is_sound() {
    trials(200, DAMAGES, false);
}

#[test]
fn pictures_of_damaged_videos_are_left_out() {
    if has_ffmpeg() {
        trials(12, OF_VIDEOS, true);
    } else {
        println!("not run: there is no ffmpeg here");
    }
}

#[test]
#[ignore = "takes some minutes"]
fn two_thousand_damaged_data_sets() {
    trials(1600, DAMAGES, false);
    assert!(has_ffmpeg(), "install ffmpeg for this test");
    trials(400, OF_VIDEOS, true);
}
