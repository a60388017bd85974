//! What the threads of a live loop ask of the operating system, and say loudly when it is refused: priorities, places, memory.

mod resident;

pub use resident::Resident;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::Pid;
use robot::config::Realtime;

/// Locks the program's memory, present and future, if the robot file asks for it.
pub fn lock_memory(wanted: &Realtime) {
    if !wanted.lock_memory {
        return;
    }
    if let Err(problem) = mlockall(MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE) {
        log::warn!(
            "`realtime.lock_memory`: {problem}; a page that is fetched from disk may make a tick late. \
             Raise the limit (`ulimit -l`), or set it to false"
        );
    }
}

/// `wanted`, or all CPUs that the calling thread may run on if none is named.
pub fn cpus(wanted: &[usize]) -> Vec<usize> {
    if !wanted.is_empty() {
        return wanted.to_vec();
    }
    let Ok(allowed) = sched_getaffinity(Pid::from_raw(0)) else {
        return Vec::new();
    };
    (0..CpuSet::count())
        .filter(|&cpu| allowed.is_set(cpu).unwrap_or(false))
        .collect()
}

/// The next priority; the class ends at 99.
pub const fn above(priority: u8) -> u8 {
    if priority < 99 { priority + 1 } else { 99 }
}

/// Whether the calling thread may have a real-time priority above `priority`, which it loses again at once.
pub fn may_raise(priority: u8) -> bool {
    let fifo = |priority: u8| schedule(libc::SCHED_FIFO, priority.into());
    priority > 0
        && fifo(above(priority)).is_ok_and(|(class, before)| {
            // Allowed before.
            schedule(class, before).is_ok()
        })
}

/// A real-time priority and a place for the calling thread, and for those it starts meanwhile: they inherit both. The
/// calling thread is what it was before when this is dropped.
#[derive(Debug)]
pub struct Raised {
    class: Option<(libc::c_int, libc::c_int)>,
    place: Option<CpuSet>,
}

impl Raised {
    /// Each with the field of the robot file that it comes from.
    pub fn new((field, priority): (&str, u8), (place_field, cpus): (&str, &[usize])) -> Self {
        let mut raised = Self {
            class: None,
            place: None,
        };
        if !cpus.is_empty() {
            match place(cpus) {
                Ok(before) => raised.place = Some(before),
                Err(problem) => {
                    log::warn!(
                        "`{place_field}`: CPUs {cpus:?}: {problem}; the thread stays where it is. \
                         Name CPUs that `nproc` counts"
                    );
                }
            }
        }
        if priority > 0 {
            match schedule(libc::SCHED_FIFO, priority.into()) {
                Ok(before) => raised.class = Some(before),
                Err(problem) => log::warn!(
                    "`{field}`: priority {priority}: {problem}; other programs may make ticks late. \
                     Allow it (`ulimit -r`), or set it to 0"
                ),
            }
        }
        raised
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // Both were allowed before.
        if let Some((class, priority)) = self.class {
            let _ = schedule(class, priority);
        }
        if let Some(before) = &self.place {
            let _ = sched_setaffinity(Pid::from_raw(0), before);
        }
    }
}

/// Moves the calling thread to `cpus`; gives where it was.
fn place(cpus: &[usize]) -> nix::Result<CpuSet> {
    let before = sched_getaffinity(Pid::from_raw(0))?;
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(before)
}

/// Sets the calling thread's scheduling class and priority; gives what they were.
fn schedule(class: libc::c_int, priority: libc::c_int) -> std::io::Result<(libc::c_int, libc::c_int)> {
    let check = |result: libc::c_int| match result {
        0.. => Ok(result),
        _ => Err(std::io::Error::last_os_error()),
    };
    let mut before = libc::sched_param { sched_priority: 0 };
    let wanted = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: 0 is the calling thread, and the structures live for the calls.
    unsafe {
        let class_before = check(libc::sched_getscheduler(0))?;
        check(libc::sched_getparam(0, &raw mut before))?;
        check(libc::sched_setscheduler(0, class, &raw const wanted))?;
        Ok((class_before, before.sched_priority))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_started_meanwhile_inherit_the_place_and_the_caller_gets_its_own_back() {
        let of_this_thread = || sched_getaffinity(Pid::from_raw(0)).unwrap();
        let before = of_this_thread();
        let first = (0..CpuSet::count())
            .find(|&cpu| before.is_set(cpu).unwrap())
            .unwrap();
        let raised = Raised::new(("realtime.plan_priority", 0), ("realtime.plan_cpus", &[first]));
        let inside = std::thread::scope(|scope| scope.spawn(of_this_thread).join().unwrap());
        drop(raised);
        assert!((0..CpuSet::count()).all(|cpu| inside.is_set(cpu).unwrap() == (cpu == first)));
        assert_eq!(of_this_thread(), before);
    }

    #[test]
    fn what_is_refused_leaves_things_as_they_were() {
        let before = sched_getaffinity(Pid::from_raw(0)).unwrap();
        // No machine has this CPU, and the class ends at 99.
        drop(Raised::new(
            ("realtime.tick_priority", 100),
            ("realtime.tick_cpu", &[CpuSet::count() - 1]),
        ));
        assert_eq!(sched_getaffinity(Pid::from_raw(0)).unwrap(), before);
    }
}
