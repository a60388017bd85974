//! Independent pieces of work, a few at a time, with results that do not depend on how many.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Applies `work` to every item on `jobs` threads, each with a state of its own from `state`; the results are in the
/// items' order. After an error no new piece is begun.
///
/// # Errors
/// That of the first item, in their order, that failed; or of a state that could not be made.
pub fn over<Item, State, Done>(
    items: &[Item],
    jobs: usize,
    state: impl Fn() -> anyhow::Result<State> + Sync,
    work: impl Fn(&mut State, &Item) -> anyhow::Result<Done> + Sync,
) -> anyhow::Result<Vec<Done>>
where
    Item: Sync,
    Done: Send,
{
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, anyhow::Result<Done>)>> = Mutex::new(Vec::with_capacity(items.len()));
    let keep = |index, result: anyhow::Result<Done>| {
        if result.is_err() {
            next.store(items.len(), Ordering::SeqCst);
        }
        found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((index, result));
    };
    let one = || {
        let mut state = match state() {
            Ok(state) => state,
            Err(error) => return keep(0, Err(error)),
        };
        loop {
            let index = next.fetch_add(1, Ordering::SeqCst);
            let Some(item) = items.get(index) else { return };
            keep(index, work(&mut state, item));
        }
    };
    std::thread::scope(|scope| {
        // The scope joins them, and passes a panic on.
        for job in 0..jobs.clamp(1, items.len().max(1)) {
            let thread = std::thread::Builder::new().name(format!("job {job}"));
            if let Err(error) = thread.spawn_scoped(scope, one) {
                keep(0, Err(error.into()));
            }
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::over;

    #[test]
    fn order_and_results_do_not_depend_on_the_number_of_threads() {
        let items: Vec<u64> = (0..50).collect();
        let squares: Vec<u64> = items.iter().map(|item| item * item).collect();
        for jobs in [0, 1, 3, 80] {
            let found = over(&items, jobs, || Ok(()), |(), item| Ok(item * item)).unwrap();
            assert_eq!(found, squares);
        }
        assert!(
            over(&[0_u8; 0], 2, || Ok(()), |(), item| Ok(*item))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn the_first_failure_ends_it() {
        let items: Vec<u64> = (0..1000).collect();
        let error = over(
            &items,
            1,
            || Ok(0),
            |begun, item| {
                *begun += 1;
                anyhow::ensure!(*item < 3, "item {item} after {begun}");
                Ok(())
            },
        );
        assert_eq!(error.unwrap_err().to_string(), "item 3 after 4");
        let no_state = over(&items, 2, || anyhow::bail!("no state"), |(), _| Ok(()));
        assert_eq!(no_state.unwrap_err().to_string(), "no state");
    }
}
