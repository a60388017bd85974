//! Batches ahead of time: threads put them together while the model learns from earlier ones.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Dataset, DatasetError};
use crate::loss::Batch;
use crate::preset::Optimiser;

/// Batches that each thread has ready at most: what a loader holds in memory.
const AHEAD: usize = 2;

/// Batches of one run, in order. Which thread made a batch does not matter to what is in it.
#[derive(Debug)]
pub struct Loader {
    receivers: Vec<Receiver<Result<Batch, DatasetError>>>,
    next: u64,
    waited: Duration,
}

impl Loader {
    /// Starts `threads` (at least one) on the batches from `first` on of the run named by `seed`. They end when the loader
    /// is dropped.
    ///
    /// # Errors
    /// If the operating system gives no thread.
    pub fn start(
        dataset: &Arc<Dataset>,
        seed: u64,
        first: u64,
        optimiser: &Optimiser,
        threads: usize,
    ) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let mut receivers = Vec::with_capacity(threads);
        for thread in 0..threads {
            let (sender, receiver) = sync_channel(AHEAD);
            let (dataset, optimiser) = (Arc::clone(dataset), optimiser.clone());
            std::thread::Builder::new()
                .name(format!("loader {thread}"))
                .spawn(move || {
                    for update in (first + thread as u64..).step_by(threads) {
                        let batch = dataset.batch(seed, update, &optimiser);
                        let failed = batch.is_err();
                        // Nobody wants it once the loader is gone.
                        if sender.send(batch).is_err() || failed {
                            return;
                        }
                    }
                })?;
            receivers.push(receiver);
        }
        Ok(Self {
            receivers,
            next: 0,
            waited: Duration::ZERO,
        })
    }

    /// The next batch, when it is there.
    ///
    /// # Errors
    /// What kept a thread from putting it together.
    pub fn batch(&mut self) -> Result<Batch, DatasetError> {
        let receiver = &self.receivers[(self.next % self.receivers.len() as u64) as usize];
        self.next += 1;
        let begun = Instant::now();
        let received = receiver.recv();
        self.waited += begun.elapsed();
        received.map_err(|_| DatasetError::LoaderLost)?
    }

    /// Time that [`Self::batch`] has waited for a thread, since this was asked last.
    pub fn waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }
}

/// Readers of the cache, as many as there are threads that read at once.
#[derive(Default)]
pub(super) struct Readers(Mutex<Vec<super::cache::Reader>>);

impl Readers {
    /// Lends `work` a reader.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut super::cache::Reader) -> Result<T, DatasetError>,
    ) -> Result<T, DatasetError> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => super::cache::Reader::new().map_err(DatasetError::Decompressor)?,
        };
        let result = work(&mut reader);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        result
    }
}
