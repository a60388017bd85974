//! A small LeRobotDataset in memory, to be damaged and then written.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BinaryArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray,
};
use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::ArrowWriter;
use serde_json::json;

pub(crate) const FPS: f64 = 10.0;
pub(crate) const CAMERA: &str = "observation.images.front";

/// A row, and where it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) file: usize,
    pub(crate) episode: i64,
    pub(crate) frame: i64,
    pub(crate) time_s: f64,
    pub(crate) index: i64,
    pub(crate) task: i64,
    /// The first number of the state names the row, whatever becomes of its keys.
    pub(crate) name: f32,
    pub(crate) action: [f32; 2],
    pub(crate) next_reward: f32,
}

/// A row of the episodes table.
#[derive(Debug, Clone)]
pub(crate) struct Promise {
    pub(crate) episode: i64,
    pub(crate) length: i64,
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) file: i64,
    pub(crate) video: i64,
    pub(crate) from_s: f64,
    pub(crate) to_s: f64,
}

/// Times of frames, and the rows that they show.
pub(crate) type Film = Vec<(f64, f32)>;

/// A data set.
#[derive(Debug, Clone)]
pub(crate) struct Set {
    pub(crate) rows: Vec<Row>,
    pub(crate) table: Vec<Promise>,
    /// Videos, if pictures are in some; otherwise they are in the rows.
    pub(crate) videos: Option<Vec<Film>>,
    pub(crate) total_episodes: i64,
    pub(crate) total_frames: i64,
    pub(crate) total_tasks: i64,
    /// What `meta/info.json` says.
    pub(crate) fps: f64,
}

/// The name of a row.
pub(crate) fn name(episode: i64, frame: i64) -> f32 {
    (100 * episode + frame) as f32
}

/// The colour of a row's picture: red tells the episode, green the frame.
pub(crate) fn colour(name: f32) -> [u8; 3] {
    let (episode, frame) = ((name / 100.0).floor(), name % 100.0);
    [(30.0 + 40.0 * episode) as u8, (30.0 + 20.0 * frame) as u8, 128]
}

/// The goal in a row.
pub(crate) fn goal(name: f32) -> [f32; 2] {
    [name / 1000.0, (name * 0.7).sin()]
}

/// The reward of the action in a row.
pub(crate) fn reward(name: f32) -> f32 {
    1.0 + name / 8.0
}

impl Set {
    /// A sound set of episodes of these lengths, two in each file.
    pub(crate) fn sound(lengths: &[i64], of_videos: bool) -> Self {
        let (mut rows, mut table, mut films): (Vec<Row>, Vec<Promise>, Vec<Film>) = Default::default();
        for (episode, &length) in lengths.iter().enumerate() {
            let (from, file) = (rows.len() as i64, episode / 2);
            films.resize(file + 1, Film::new());
            let from_s = films[file].len() as f64 / FPS;
            for frame in 0..length {
                let name = name(episode as i64, frame);
                let shown_s = films[file].len() as f64 / FPS;
                films[file].push((shown_s, name));
                rows.push(Row {
                    file,
                    episode: episode as i64,
                    frame,
                    time_s: frame as f64 / FPS,
                    index: from + frame,
                    task: 0,
                    name,
                    action: goal(name),
                    next_reward: reward(name),
                });
            }
            table.push(Promise {
                episode: episode as i64,
                length,
                from,
                to: from + length,
                file: file as i64,
                video: file as i64,
                from_s,
                to_s: from_s + length as f64 / FPS,
            });
        }
        Self {
            total_episodes: table.len() as i64,
            total_frames: rows.len() as i64,
            total_tasks: 2,
            fps: FPS,
            videos: of_videos.then_some(films),
            rows,
            table,
        }
    }

    /// Writes the set into `root`.
    pub(crate) fn write(&self, root: &Path) {
        fs::create_dir_all(root.join("meta")).unwrap();
        let picture = match self.videos {
            Some(_) => {
                json!({"dtype": "video", "shape": [64, 64, 3], "names": ["height", "width", "channels"], "info": {"video.fps": FPS}})
            }
            None => json!({"dtype": "image", "shape": [64, 64, 3], "names": ["height", "width", "channels"]}),
        };
        let vector = json!({"dtype": "float32", "shape": [2], "names": ["pan", "lift"]});
        let info = json!({
            "codebase_version": "v3.0", "robot_type": "so101_follower", "fps": self.fps,
            "total_episodes": self.total_episodes, "total_frames": self.total_frames, "total_tasks": self.total_tasks,
            "features": {CAMERA: picture, "observation.state": vector, "action": vector,
                         "next.reward": {"dtype": "float32", "shape": [1], "names": null}},
        });
        fs::write(root.join("meta/info.json"), info.to_string()).unwrap();
        let texts = |texts: &[&str]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let tasks = vec![("task_index", ints([0, 1])), ("task", texts(&["reach", "lift"]))];
        table(&root.join("meta/tasks.parquet"), tasks);
        self.write_table(&root.join("meta/episodes/chunk-000/file-000.parquet"));
        let files = self.rows.iter().map(|row| row.file).max().unwrap_or(0);
        for file in 0..=files {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| row.file == file).collect();
            self.write_rows(&data_path(root, file), &rows);
        }
        for (file, film) in self.videos.iter().flatten().enumerate() {
            write_video(&video_path(root, file), film);
        }
    }

    fn write_table(&self, path: &Path) {
        let of = |value: fn(&Promise) -> i64| ints(self.table.iter().map(value));
        let seconds = |value: fn(&Promise) -> f64| {
            Arc::new(Float64Array::from_iter_values(self.table.iter().map(value))) as ArrayRef
        };
        let mut tasks = ListBuilder::new(StringBuilder::new());
        for _ in &self.table {
            tasks.values().append_value("reach");
            tasks.append(true);
        }
        let video = |what: &str| format!("videos/{CAMERA}/{what}");
        let names = ["chunk_index", "file_index", "from_timestamp", "to_timestamp"].map(video);
        let mut columns = vec![
            ("episode_index", of(|row| row.episode)),
            ("length", of(|row| row.length)),
            ("tasks", Arc::new(tasks.finish()) as ArrayRef),
            ("dataset_from_index", of(|row| row.from)),
            ("dataset_to_index", of(|row| row.to)),
            ("data/chunk_index", of(|_| 0)),
            ("data/file_index", of(|row| row.file)),
        ];
        if self.videos.is_some() {
            let values = [
                of(|_| 0),
                of(|row| row.video),
                seconds(|row| row.from_s),
                seconds(|row| row.to_s),
            ];
            columns.extend(names.iter().map(String::as_str).zip(values));
        }
        table(path, columns);
    }

    fn write_rows(&self, path: &Path, rows: &[&Row]) {
        let of = |value: fn(&Row) -> i64| ints(rows.iter().map(|row| value(row)));
        let floats = |value: fn(&Row) -> f32| {
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|row| value(row)))) as ArrayRef
        };
        let mut columns = vec![
            ("episode_index", of(|row| row.episode)),
            ("frame_index", of(|row| row.frame)),
            ("timestamp", floats(|row| row.time_s as f32)),
            ("index", of(|row| row.index)),
            ("task_index", of(|row| row.task)),
            ("next.reward", floats(|row| row.next_reward)),
            (
                "observation.state",
                vectors(rows.iter().map(|row| [row.name, 0.5 * row.name])),
            ),
            ("action", vectors(rows.iter().map(|row| row.action))),
        ];
        if self.videos.is_none() {
            columns.push((CAMERA, pictures(rows)));
        }
        table(path, columns);
    }
}

pub(crate) fn data_path(root: &Path, file: usize) -> PathBuf {
    root.join(format!("data/chunk-000/file-{file:03}.parquet"))
}

pub(crate) fn video_path(root: &Path, file: usize) -> PathBuf {
    root.join(format!("videos/{CAMERA}/chunk-000/file-{file:03}.mp4"))
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn vectors(values: impl Iterator<Item = [f32; 2]>) -> ArrayRef {
    let lists = values.map(|vector| Some(vector.map(Some).to_vec()));
    Arc::new(ListArray::from_iter_primitive::<
        arrow_array::types::Float32Type,
        _,
        _,
    >(lists))
}

fn pictures(rows: &[&Row]) -> ArrayRef {
    let bytes: Vec<Vec<u8>> = rows.iter().map(|row| png(colour(row.name))).collect();
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values(bytes));
    let paths: ArrayRef = Arc::new(StringArray::from_iter_values(
        rows.iter().map(|row| format!("{}.png", row.name)),
    ));
    let fields = Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ]);
    Arc::new(StructArray::new(fields, vec![bytes, paths], None))
}

fn png(colour: [u8; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb(colour));
    picture
        .write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Png)
        .unwrap();
    bytes
}

fn table(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Whether videos can be made and read here.
pub(crate) fn has_ffmpeg() -> bool {
    let quiet = Command::new("ffmpeg")
        .arg("-version")
        .stdout(Stdio::null())
        .status();
    quiet.is_ok_and(|status| status.success())
}

/// Writes a video whose frames have these times. All frames are key frames, in the order of their times.
fn write_video(path: &Path, film: &Film) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // The input has a frame a second; the filter then gives each frame its time, in milliseconds.
    let times: Vec<String> = film
        .iter()
        .enumerate()
        .map(|(frame, (time_s, _))| format!("{}*eq(N,{frame})", (time_s * 1000.0).round()))
        .collect();
    let filter = format!("settb=1/1000,setpts='{}'", times.join("+"));
    let mut child = Command::new("ffmpeg")
        .args([
            "-v", "error", "-nostdin", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "64x64", "-r", "1",
            "-i", "-",
        ])
        .args([
            "-vf",
            &filter,
            "-fps_mode",
            "passthrough",
            "-enc_time_base",
            "1:1000",
            "-video_track_timescale",
            "1000",
        ])
        .args(["-c:v", "mpeg4", "-g", "1", "-q:v", "1", "-movflags", "+faststart"])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    for (_, name) in film {
        input.write_all(&colour(*name).repeat(64 * 64)).unwrap();
    }
    drop(input);
    assert!(
        child.wait().unwrap().success(),
        "ffmpeg could not write {}",
        path.display()
    );
}
