//! What a real-time loop needs of a machine.

use std::path::Path;

use robot::{Clock, Config};

use super::{Examination, System};

/// Wake-ups that are measured.
const WAKE_UPS: u32 = 200;

/// The nap before each, in nanoseconds.
const NAP_NS: u64 = 1_000_000;

/// A wake-up that is later than this share of the control period is worth a word.
const LATE_SHARE: f64 = 0.1;

/// The control period of a robot that is not known, in seconds.
const PERIOD_S: f32 = 0.05;

/// Readings of the clock for its granularity.
const READINGS: u32 = 10_000;

/// A clock of coarser steps, in nanoseconds, is worth a word.
const STEP_MAX_NS: u64 = 10_000;

/// Free space, in bytes, below which logs soon end; and below which none should be begun.
const SPACE_WARN_BYTES: u64 = 5_000_000_000;
const SPACE_FAIL_BYTES: u64 = 200_000_000;

/// Real-time limits, the CPUs' governor, the clock, and the space for logs in `out`. `config` says what is asked of the machine.
pub fn examine(
    examination: &mut Examination<'_>,
    system: &System,
    config: Option<&Config>,
    out: &Path,
    clock: &dyn Clock,
) {
    priority(examination, system, config);
    memory(examination, system, config);
    governor(examination, system);
    clock_source(examination, system);
    clock_step(examination, clock);
    wake_ups(examination, config, clock);
    space(examination, out);
}

fn priority(examination: &mut Examination<'_>, system: &System, config: Option<&Config>) {
    const NAME: &str = "realtime.priority";
    const REMEDY: &str = "write `@realtime - rtprio 95` into /etc/security/limits.d/armillary.conf, add yourself to that group (sudo groupadd \
                          -f realtime; sudo usermod -aG realtime $USER), and log in again";
    let asked = config.map(|config| {
        let realtime = &config.realtime;
        realtime
            .tick_priority
            .max(realtime.capture_priority)
            .max(realtime.plan_priority)
    });
    if system.may_have_priority() {
        return examination.ok(NAME, "", "any priority is allowed");
    }
    let Some(limit) = system.limit("Max realtime priority") else {
        return examination.skip(NAME, "", "this system does not say its limit");
    };
    match asked {
        Some(0) => examination.ok(NAME, "", format!("up to {limit}; the robot file asks for none")),
        Some(asked) if limit >= asked.into() => {
            examination.ok(
                NAME,
                "",
                format!("up to {limit}; the robot file asks for {asked}"),
            );
        }
        Some(asked) => examination.warn(
            NAME,
            "",
            format!("up to {limit}; the robot file asks for {asked}, and is refused"),
            REMEDY,
        ),
        None if limit == 0 => examination.warn(NAME, "", "no real-time priority is allowed", REMEDY),
        None => examination.ok(NAME, "", format!("up to {limit}")),
    }
}

fn memory(examination: &mut Examination<'_>, system: &System, config: Option<&Config>) {
    const NAME: &str = "realtime.memory";
    /// What a loop with a model and its buffers takes, roughly.
    const NEEDED_BYTES: u64 = 1 << 30;
    if system.may_lock_memory() {
        return examination.ok(NAME, "", "any memory may be locked");
    }
    let Some(limit) = system.limit("Max locked memory") else {
        return examination.skip(NAME, "", "this system does not say its limit");
    };
    let seen = if limit == u64::MAX {
        "any memory may be locked".to_owned()
    } else {
        format!("{} MiB may be locked", limit >> 20)
    };
    let asked = config.is_some_and(|config| config.realtime.lock_memory);
    if limit >= NEEDED_BYTES || !asked {
        let unasked = if config.is_some() && !asked {
            "; the robot file does not ask for it"
        } else {
            ""
        };
        return examination.ok(NAME, "", format!("{seen}{unasked}"));
    }
    examination.warn(
        NAME,
        "",
        format!("{seen}; the robot file asks for all, and may be refused"),
        "write `@realtime - memlock unlimited` into /etc/security/limits.d/armillary.conf, join that group, and log in again",
    );
}

fn governor(examination: &mut Examination<'_>, system: &System) {
    const NAME: &str = "cpu.governor";
    let cpus = "/sys/devices/system/cpu";
    let mut governors: Vec<String> = system
        .entries(cpus)
        .iter()
        .filter_map(|cpu| system.text(format!("{cpus}/{cpu}/cpufreq/scaling_governor")))
        .collect();
    governors.sort();
    governors.dedup();
    match governors.iter().find(|governor| *governor != "performance") {
        _ if governors.is_empty() => examination.skip(
            NAME,
            "",
            "this system does not say how it chooses the CPUs' frequency",
        ),
        None => examination.ok(NAME, "", "performance"),
        Some(other) => examination.warn(
            NAME,
            "",
            format!("{other}: a CPU slows down between ticks, and each begins slowly"),
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        ),
    }
}

fn clock_source(examination: &mut Examination<'_>, system: &System) {
    const NAME: &str = "clock.source";
    match system.text("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        None => examination.skip(NAME, "", "this system does not say its clock source"),
        Some(source)
            if matches!(
                source.as_str(),
                "hpet" | "acpi_pm" | "jiffies" | "refined-jiffies"
            ) =>
        {
            examination.warn(
                NAME,
                "",
                format!("{source}: each look at the clock is slow"),
                "see `dmesg | grep -i clocksource` for why the system gave its CPU's counter up; a newer firmware (BIOS) often mends it",
            );
        }
        Some(source) => examination.ok(NAME, "", source),
    }
}

fn clock_step(examination: &mut Examination<'_>, clock: &dyn Clock) {
    const NAME: &str = "clock.step";
    let mut before = clock.now_ns();
    let mut least_ns = None;
    for _ in 0..READINGS {
        let now = clock.now_ns();
        if now < before {
            return examination.fail(
                NAME,
                "",
                format!("the clock went back by {} ns", before - now),
                "do not drive an arm with this machine; in a virtual machine, choose another clock source",
            );
        }
        if now > before {
            least_ns = Some(least_ns.unwrap_or(u64::MAX).min(now - before));
        }
        before = now;
    }
    match least_ns {
        Some(step_ns) if step_ns <= STEP_MAX_NS => {
            examination.ok(NAME, "", format!("steps of {step_ns} ns or less"));
        }
        Some(step_ns) => examination.warn(
            NAME,
            "",
            format!("steps of {:.3} ms", step_ns as f64 * 1e-6),
            "choose another clock source, such as `tsc`, in /sys/devices/system/clocksource/clocksource0",
        ),
        None => examination.warn(
            NAME,
            "",
            format!("the clock did not move within {READINGS} readings"),
            "choose another clock source, such as `tsc`, in /sys/devices/system/clocksource/clocksource0",
        ),
    }
}

fn wake_ups(examination: &mut Examination<'_>, config: Option<&Config>, clock: &dyn Clock) {
    const NAME: &str = "clock.wake_up";
    let mut late_ns: Vec<u64> = (0..WAKE_UPS)
        .map(|_| {
            let due_ns = clock.now_ns() + NAP_NS;
            clock.sleep_until_ns(due_ns);
            clock.now_ns().saturating_sub(due_ns)
        })
        .collect();
    late_ns.sort_unstable();
    let ms = |ns: u64| ns as f64 * 1e-6;
    let (median, most) = (late_ns[late_ns.len() / 2], late_ns[late_ns.len() - 1]);
    let seen = format!(
        "{WAKE_UPS} wake-ups: {:.3} ms late in the middle, {:.3} ms at most",
        ms(median),
        ms(most)
    );
    let period_s = config.map_or(PERIOD_S, |config| config.period_s);
    if most as f64 * 1e-9 <= LATE_SHARE * f64::from(period_s) {
        return examination.ok(NAME, "", seen);
    }
    examination.warn(
        NAME,
        "",
        format!("{seen}: more than a tenth of a control period of {period_s} s"),
        "close what else runs, give the tick a priority (`realtime` in the robot file), or write a longer `period_s`",
    );
}

fn space(examination: &mut Examination<'_>, out: &Path) {
    const NAME: &str = "disk.space";
    // A folder that is to be made lies where its nearest parent does.
    let absolute = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
    let there = absolute.ancestors().find(|folder| folder.exists());
    let about = out.display().to_string();
    let free = match there.map(nix::sys::statvfs::statvfs) {
        Some(Ok(about)) => about.blocks_available() * about.fragment_size(),
        Some(Err(errno)) => return examination.skip(NAME, &about, errno.desc()),
        None => return examination.skip(NAME, &about, "there is no such folder"),
    };
    let seen = format!("{:.1} GB free", free as f64 * 1e-9);
    let remedy = "remove what is not needed, or name a folder on another disk with `--out`";
    if free < SPACE_FAIL_BYTES {
        examination.fail(NAME, &about, seen, remedy);
    } else if free < SPACE_WARN_BYTES {
        examination.warn(NAME, &about, seen, remedy);
    } else {
        examination.ok(NAME, &about, seen);
    }
}
