//! Frames of videos, by the `ffmpeg` program: it alone knows every codec that LeRobot's recorders use.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use robot::{FRAME_SIDE, Frame};

use super::columns::{self, Rows};
use super::layout;
use crate::DatasetError;

/// Where an episode's frames begin.
#[derive(Debug)]
struct Place {
    file: PathBuf,
    from_s: f32,
}

/// The frames of one camera, one episode after another.
#[derive(Debug)]
pub(super) struct Video {
    /// Of each episode; none if the pictures are in the data files.
    places: Option<BTreeMap<u64, Place>>,
    fps: f64,
    file: PathBuf,
    decoder: Option<Child>,
}

impl Video {
    pub(super) fn open(root: &Path, camera: &str, is_video: bool, fps: f64) -> Result<Self, DatasetError> {
        let places = if is_video {
            Some(places(root, camera)?)
        } else {
            None
        };
        Ok(Self {
            places,
            fps,
            file: PathBuf::new(),
            decoder: None,
        })
    }

    /// Goes to the first frame of an episode.
    pub(super) fn start(&mut self, episode: u64) -> Result<(), DatasetError> {
        self.stop();
        let Some(places) = &self.places else {
            return Ok(());
        };
        let place = places.get(&episode).ok_or_else(|| {
            let problem = format!("lacks episode {episode}");
            let path = layout::episodes_path(Path::new(""));
            DatasetError::field(&path, "episode_index", problem, "fetch the data set again")
        })?;
        self.file.clone_from(&place.file);
        // Half a frame early: the frame at the time stamp is the first that is not before it.
        let from_s = (f64::from(place.from_s) - 0.5 / self.fps).max(0.0);
        let filter = format!("crop='min(iw,ih)':'min(iw,ih)',scale={FRAME_SIDE}:{FRAME_SIDE}:flags=area");
        let child = Command::new("ffmpeg")
            .args(["-v", "error", "-nostdin", "-ss", &format!("{from_s:.6}"), "-i"])
            .arg(&place.file)
            // As many frames as there are, whatever their time stamps.
            .args(["-fps_mode", "passthrough", "-vf", &filter])
            .args(["-f", "rawvideo", "-pix_fmt", "rgb24", "-"])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| {
                if error.kind() == ErrorKind::NotFound {
                    let problem = "is a video, and the program `ffmpeg` that decodes it was not found";
                    DatasetError::field(
                        &place.file,
                        "video",
                        problem,
                        "install ffmpeg, which any package manager has",
                    )
                } else {
                    DatasetError::io(&place.file, "cannot start ffmpeg", error)
                }
            })?;
        self.decoder = Some(child);
        Ok(())
    }

    /// The next frame; `None` if the pictures are in the data files.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, DatasetError> {
        let Some(pipe) = self.decoder.as_mut().and_then(|child| child.stdout.as_mut()) else {
            return Ok(None);
        };
        let mut frame = Frame::default();
        if pipe.read_exact(frame.rgb_mut()).is_ok() {
            return Ok(Some(frame));
        }
        // It has closed its end, and is about to be gone.
        let ended = self.decoder.take().map(|mut child| child.wait());
        Err(match ended {
            Some(Ok(status)) if status.success() => {
                let problem = "ended before its episode did; what ffmpeg said, if anything, is above";
                DatasetError::field(&self.file, "video", problem, "fetch the data set again")
            }
            _ => {
                let problem = "could not be decoded; what ffmpeg said is above";
                let remedy = "have ffmpeg 5.1 or newer, with the video's codec, and see whether it plays the file; if not, fetch the \
                              data set again";
                DatasetError::field(&self.file, "video", problem, remedy)
            }
        })
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.decoder.take() {
            // It may be in the middle of the frames of the next episode.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        self.stop();
    }
}

fn places(root: &Path, camera: &str) -> Result<BTreeMap<u64, Place>, DatasetError> {
    let column = |what: &str| format!("videos/{camera}/{what}");
    let (chunk, file, from) = (
        column("chunk_index"),
        column("file_index"),
        column("from_timestamp"),
    );
    let wanted = ["episode_index", &chunk, &file, &from];
    let mut places = BTreeMap::new();
    let mut tables = Vec::new();
    let folder = root.join("meta/episodes");
    for dir in super::import::sorted(&folder)? {
        tables.extend(super::import::sorted(&dir)?);
    }
    for path in &tables {
        for batch in columns::open(path, Some(&wanted))? {
            let batch = batch.map_err(|error| DatasetError::parquet(path, error.into()))?;
            let rows = Rows { path, batch };
            for row in 0..rows.len() {
                let name = format!(
                    "videos/{camera}/chunk-{:03}/file-{:03}.mp4",
                    rows.integer(&chunk, row)?,
                    rows.integer(&file, row)?
                );
                let from_s = rows.vector(&from, row)?.first().copied().unwrap_or(0.0);
                let place = Place {
                    file: root.join(name),
                    from_s,
                };
                places.insert(rows.integer("episode_index", row)? as u64, place);
            }
        }
    }
    Ok(places)
}
