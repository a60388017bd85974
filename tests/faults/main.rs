//! The fault table: what goes wrong, what must happen then, and how often it was tried.
//!
//! `faults [--short] [NAME..]` runs all rows, or those whose names contain one of the words, and prints one table. It fails if a row
//! fails. Rows run in virtual time where they can; the others say so. Everything random is drawn from seeds.

#[path = "../../armillary/tests/beside/mod.rs"]
mod beside;
mod bundle;
#[path = "../changes.rs"]
mod changes;
#[expect(dead_code, reason = "the seeds are for a fuzzer")]
#[path = "../fuzz/checks/configuration.rs"]
mod configuration;
mod disk;
mod e_stop;
#[expect(dead_code, reason = "the check is for a fuzzer, and its seeds are used here")]
#[path = "../fuzz/checks/frame_socket.rs"]
mod frame_socket;
mod log;
mod network;
mod process;
mod row;
#[expect(dead_code, reason = "the log's own tests use all of it")]
#[path = "../../episode/tests/log/sample.rs"]
mod sample;
mod side_by_side;
mod silence;
#[expect(dead_code, reason = "the bundle's own tests use all of it")]
#[path = "../../world-model/tests/bundle/small.rs"]
mod small;
#[path = "../../armillary/tests/stuck/mod.rs"]
mod stuck;
mod virtual_arm;
mod wall_clock;
mod wire;

use std::process::ExitCode;
use std::time::Instant;

use row::{Outcome, Row, Scale};

/// All rows, in the order of the table.
const ROWS: &[Row] = &[
    Row {
        name: "wire: flips, noise, cuts",
        required: "never decoded as another message; in step again with the next good frame",
        run: wire::damage,
    },
    Row {
        name: "e-stop: firmware, any phase",
        required: "torque off in the same firmware step; nothing but a person's clearance brings it back",
        run: e_stop::firmware,
    },
    Row {
        name: "e-stop: bad line",
        required: "latched and confirmed over a line that loses half of what is sent",
        run: e_stop::bad_line,
    },
    Row {
        name: "e-stop: signal to confirmation (real time)",
        required: "the thread has sent within 10 ms of the signal, machine's stalls apart",
        run: e_stop::signal,
    },
    Row {
        name: "e-stop: signal, driver stuck (real time)",
        required: "as above, while the thread that drives the arm does not come back",
        run: e_stop::signal_while_stuck,
    },
    Row {
        name: "e-stop: signal, CPUs busy (real time)",
        required: "as above, while twice as many threads as CPUs spin",
        run: e_stop::signal_while_busy,
    },
    Row {
        name: "host: killed, or stopped for good",
        required: "controlled stop within the watchdog's time and one firmware step; at rest by the limit of acceleration, within the joint limits, and still",
        run: silence::killed,
    },
    Row {
        name: "host: stopped and gone on",
        required: "commands that waited meanwhile are refused; no motion without a new command",
        run: silence::gone_on,
    },
    Row {
        name: "e-stop: keys in quick succession (processes)",
        required: "latched, confirmed and said, whatever was pressed before and after, with standard output stuck",
        run: process::keys,
    },
    Row {
        name: "e-stop: second channel (processes)",
        required: "another program reaches the one that drives, and hears the arm's confirmation",
        run: process::second_channel,
    },
    Row {
        name: "host: terminal closed (processes)",
        required: "controlled stop, log whole, exit with an error",
        run: process::hang_up,
    },
    Row {
        name: "standard output stuck, closed, full (processes)",
        required: "nothing changes",
        run: process::output,
    },
    Row {
        name: "bundle: every byte changed",
        required: "refused, by an error that names it",
        run: bundle::every_byte,
    },
    Row {
        name: "bundle: manifests changed at random",
        required: "refused, by an error that names it; no panic where the hash is made to fit",
        run: bundle::manifests,
    },
    Row {
        name: "robot file: changed at random",
        required: "refused, by an error that names it, or a sound robot; always refused where a signature is required",
        run: bundle::robot_files,
    },
    Row {
        name: "log: cut off",
        required: "every row that was on the disk is read as it was written, and the loss is named",
        run: log::cut,
    },
    Row {
        name: "log: power cut",
        required: "as above; one chunk is lost at most, whatever the disk has in its place",
        run: log::power_cut,
    },
    Row {
        name: "disk: full, read-only, broken (real time)",
        required: "controlled stop, the run fails, what had reached the disk is read",
        run: disk::refuses,
    },
    Row {
        name: "disk: hung (real time)",
        required: "as above, and the program waits for it for a bounded time",
        run: disk::hangs,
    },
    Row {
        name: "disk: log taken away or changed (real time)",
        required: "controlled stop, the run fails, no changed log passes for a whole one",
        run: disk::taken_away,
    },
    Row {
        name: "disk: full (processes)",
        required: "controlled stop, exit with an error that names the log, what had reached the disk is read",
        run: process::full_disk,
    },
    Row {
        name: "wall clock: jumps of ten years, lockstep (processes)",
        required: "the same log, byte for byte, but for the times that stages took",
        run: wall_clock::lockstep,
    },
    Row {
        name: "wall clock: jumps of ten years, real time (processes)",
        required: "nothing changes but the time at which the episode began",
        run: wall_clock::live,
    },
    Row {
        name: "network: scan of run, sim, record, eval (processes)",
        required: "no socket of a network; nothing that another user can connect to",
        run: network::scans,
    },
    Row {
        name: "network: servers of pictures that mean harm",
        required: "an error that names the socket, soon; no panic",
        run: network::servers,
    },
    Row {
        name: "network: clients of `sim` that mean harm (processes)",
        required: "each is served or refused, and the next is served",
        run: network::clients,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (flags, words): (Vec<_>, Vec<_>) = arguments.iter().partition(|word| word.starts_with("--"));
    let scale = match flags[..] {
        [] => Scale::Long,
        [flag] if flag == "--short" => Scale::Short,
        _ => {
            eprintln!("faults [--short] [NAME..]");
            return ExitCode::FAILURE;
        }
    };
    let chosen = |row: &&Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    println!("| fault | required | trials | failures | rate below (95 %) | worst | s |");
    println!("|---|---|---|---|---|---|---|");
    let mut failed = false;
    for row in ROWS.iter().filter(chosen) {
        let begun = Instant::now();
        let outcome = (row.run)(scale);
        println!("{}", table_row(row, &outcome, begun.elapsed().as_secs_f64()));
        for failure in &outcome.examples {
            println!("  {failure}");
        }
        failed |= outcome.failures > 0;
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn table_row(row: &Row, outcome: &Outcome, seconds: f64) -> String {
    format!(
        "| {} | {} | {} | {} | {} | {} | {seconds:.1} |",
        row.name,
        row.required,
        outcome.trials,
        outcome.failures,
        outcome.bound(),
        outcome.worst
    )
}
