//! The second pass: rows and pictures to logs, an episode at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::drafts::{Draft, Table};
use super::found::Found;
use super::survey::{Wanted, short, wanted, within};
use crate::DatasetError;
use crate::lerobot::columns::Rows;
use crate::lerobot::video::Pictures;
use crate::recording::{Imported, Recording, Source, Step, rewards_to_next};

/// Rows that may wait for others of their episodes. Data sets store episodes one after another; one whose rows are thrown together
/// would fill all memory with pictures.
const MOST_WAITING: usize = 100_000;

/// A row that was read, or why it cannot be used.
type Read = Result<Draft, String>;

/// Rows of an episode that is not complete yet.
struct Open {
    missing: usize,
    rows: Vec<Option<Read>>,
}

/// Logs in the making.
pub(super) struct Writing<'a> {
    set: &'a Found,
    out: &'a Path,
    source: &'a Source,
    /// For each file its rows in order.
    wanted: Vec<Vec<Wanted>>,
    open: BTreeMap<u32, Open>,
    waiting: usize,
    pictures: Pictures,
    /// Pictures of another size than the data set says: how many, and the first such size with its episode.
    other_sizes: Option<(u64, (u64, u64), u64)>,
    imported: Imported,
}

impl<'a> Writing<'a> {
    pub(super) fn begin(set: &'a Found, out: &'a Path, source: &'a Source) -> Self {
        Self {
            set,
            out,
            source,
            wanted: wanted(set.files.len(), &set.episodes),
            open: BTreeMap::new(),
            waiting: 0,
            pictures: Pictures::of(set.camera.grey, source.frame_side),
            other_sizes: None,
            imported: Imported {
                report: set.report.clone(),
                ..Imported::default()
            },
        }
    }

    /// Takes the rows of a batch of a file.
    pub(super) fn take(&mut self, file: usize, rows: &Rows<'_>) -> Result<(), DatasetError> {
        let table = Table::of(self.set, self.source.frame_side, rows)?;
        let first = rows.first;
        let of_batch = within(&self.wanted[file], first, first + rows.len() as u32).to_vec();
        for (row, slot, place) in of_batch {
            let episode = &self.set.episodes[slot as usize];
            let length = episode.rows.len();
            let read = table.draft(self.set, (row - first) as usize).map_err(|problem| {
                format!("row {row} of {}: {problem}", short(&self.set.root, table.path()))
            });
            let open = self.open.entry(slot).or_insert_with(|| Open {
                missing: length,
                rows: (0..length).map(|_| None).collect(),
            });
            open.rows[place as usize] = Some(read);
            open.missing -= 1;
            self.waiting += 1;
            if open.missing == 0
                && let Some(whole) = self.open.remove(&slot)
            {
                self.waiting -= length;
                self.write(slot as usize, whole.rows.into_iter().flatten().collect())?;
            } else if self.waiting > MOST_WAITING && self.open.len() > 1 {
                let problem = format!("rows of {} episodes are mixed in this file", self.open.len());
                return Err(DatasetError::field(
                    table.path(),
                    crate::lerobot::layout::EPISODE,
                    problem,
                    "store the rows of an episode one after another",
                ));
            }
        }
        Ok(())
    }

    /// What was made.
    pub(super) fn finish(mut self) -> Imported {
        if let (Some((count, size, episode)), Some(said)) = (self.other_sizes, self.set.camera.size) {
            let what = format!(
                "{count} pictures are not {} x {} as meta/info.json says; the first, in episode {episode}, is {} x {}",
                said.0, said.1, size.0, size.1
            );
            self.imported.report.note(&self.set.camera.name, what);
        }
        self.imported
    }

    /// Writes a whole episode.
    fn write(&mut self, slot: usize, rows: Vec<Read>) -> Result<(), DatasetError> {
        let set = self.set;
        let episode = &set.episodes[slot];
        let mut steps: Vec<(i64, f64, Draft)> = Vec::with_capacity(rows.len());
        let mut unusable: Vec<String> = Vec::new();
        for (read, (key, tick)) in rows.into_iter().zip(&episode.rows) {
            match read {
                Ok(mut draft) => {
                    if let Some(size) = draft.other_size {
                        self.other_sizes.get_or_insert((0, size, episode.number)).0 += 1;
                    }
                    draft.step.tick = *tick;
                    steps.push((key.task, key.time_s, draft));
                }
                Err(problem) => unusable.push(format!("frame {}: {problem}", key.frame)),
            }
        }
        if let Some(place) = set.places.get(&episode.number) {
            let times: Vec<f64> = steps.iter().map(|(_, row_s, _)| place.from_s + row_s).collect();
            let name = short(&set.root, &place.file);
            match self.pictures.at(&place.file, place.start_s, &times)? {
                Ok(pictures) => {
                    for ((_, row_s, draft), picture) in steps.iter_mut().zip(pictures) {
                        if picture.is_none() {
                            let at_s = place.from_s + *row_s;
                            unusable.push(format!("{name} gave no picture at {at_s:.3} s"));
                        }
                        draft.frame = picture;
                    }
                }
                Err(problem) => {
                    let what = format!("{name}: {problem}");
                    self.imported
                        .report
                        .leave_out(format!("episode {}", episode.number), what);
                    return Ok(());
                }
            }
        }
        let place = format!("episode {}", episode.number);
        if let Some(first) = unusable.first() {
            let what = format!(
                "{} of its rows cannot be used; the first: {first}",
                unusable.len()
            );
            self.imported.report.leave_out(&place, what);
        }
        if set.own.is_none()
            && let Some(at) = steps
                .iter()
                .rev()
                .skip(1)
                .position(|(_, _, draft)| draft.done == Some(true))
        {
            // Nothing tells what the rows after the end are.
            let frame = steps[steps.len() - 2 - at].2.step.tick;
            let what = format!("next.done is true at frame {frame}, and rows follow it");
            self.imported
                .report
                .leave_out(format!("episode {}", episode.number), what);
            return Ok(());
        }
        // If the data set does not say that the episode was over, nobody knows it.
        let ended = steps.last().is_some_and(|(_, _, last)| {
            last.frame.is_some()
                && last.done == Some(true)
                && episode.rows.last().map(|(_, tick)| *tick) == Some(last.step.tick)
        });
        let mut by_task: Vec<(&str, Vec<Step>)> = Vec::new();
        for (task, step) in self.finished(steps) {
            let task = set.tasks.get(&task).map_or("", String::as_str);
            match by_task.iter_mut().find(|(other, _)| *other == task) {
                Some((_, steps)) => steps.push(step),
                None => by_task.push((task, vec![step])),
            }
        }
        let before = self.imported.logs.len();
        let last = by_task
            .iter()
            .filter_map(|(_, steps)| steps.last())
            .map(|step| step.tick)
            .max();
        for (task, steps) in by_task {
            let ended = ended && steps.last().map(|step| step.tick) == last;
            self.write_task(episode.number, task, steps, ended)?;
        }
        if self.imported.logs.len() > before {
            self.imported.episodes += 1;
        } else {
            self.imported
                .report
                .leave_out(place, "no two of its rows follow one another");
        }
        Ok(())
    }

    /// Steps with their tasks, of the rows that have a picture, with velocities where nobody measured them.
    fn finished(&self, rows: Vec<(i64, f64, Draft)>) -> Vec<(i64, Step)> {
        let mut steps: Vec<(i64, Step)> = Vec::with_capacity(rows.len());
        for (task, _, draft) in rows {
            let Some(frame) = draft.frame else { continue };
            let mut step = Step { frame, ..draft.step };
            if !draft.measured_velocity
                && let Some((_, before)) = steps.last()
                && before.tick + 1 == step.tick
            {
                let positions = step.position_rad.iter().zip(&before.position_rad);
                let speed = |(now, then): (&f32, &f32)| {
                    ((f64::from(*now) - f64::from(*then)) * self.set.info.fps) as f32
                };
                step.velocity_rad_s = positions.map(speed).collect();
            }
            steps.push((task, step));
        }
        steps
    }

    fn write_task(
        &mut self,
        number: u64,
        task: &str,
        mut steps: Vec<Step>,
        ended: bool,
    ) -> Result<(), DatasetError> {
        if !steps.windows(2).any(|pair| pair[0].tick + 1 == pair[1].tick) {
            return Ok(());
        }
        let set = self.set;
        // `next.reward` belongs to the frame after.
        if set.own.is_none() && rewards_to_next(&mut steps, set.options.last_reward) {
            self.imported.last_rewards += 1;
        }
        if set.report.reward.is_some() {
            // What led to the first picture of a stretch is outside of it, its reward included.
            let first = |at: usize| at == 0 || steps[at - 1].tick + 1 != steps[at].tick;
            let lacking = (0..steps.len()).filter(|at| steps[*at].reward.is_none() && !first(*at));
            self.imported.report.rows_without_reward += lacking.count() as u64;
        }
        let mut source = self.source.clone();
        if let Some(policy) = set.own.as_ref().and_then(|own| own.policies.get(number as usize)) {
            source.info.policy.clone_from(policy);
        }
        let recording = Recording {
            index: number,
            task: task.to_owned(),
            ended,
            steps,
        };
        let folder = self.folder(task);
        self.imported.write(&folder, &source, &recording)
    }

    /// Where the logs of `task` go. Where there are several, each has a folder of its own, as training takes them.
    fn folder(&self, task: &str) -> PathBuf {
        let tasks = &self.set.tasks;
        if tasks.len() < 2 {
            return self.out.to_owned();
        }
        let number = tasks.values().position(|other| other == task).unwrap_or_default();
        let words: Vec<String> = task
            .split(|letter: char| !letter.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect();
        let name: String = words.join("-").chars().take(60).collect();
        self.out.join(format!("{number}-{name}"))
    }
}
