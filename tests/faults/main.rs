//! The fault table: what goes wrong, what must happen then, and how often it was tried.
//!
//! `faults [--short | --full] [NAME..]` runs all rows, or those whose names contain one of the words, and prints one table. It fails if a row
//! fails. Rows run in virtual time where they can; the others say so. Everything random is drawn from seeds. `faults stuck` prints another
//! table: how long an emergency stop takes while each of several things is stuck.

mod at_once;
#[path = "../../armillary/tests/beside/mod.rs"]
mod beside;
mod beside_far_end;
mod bundle;
mod camera;
#[path = "../changes.rs"]
mod changes;
#[expect(dead_code, reason = "the seeds are for a fuzzer")]
#[path = "../fuzz/checks/configuration.rs"]
mod configuration;
mod disk;
mod drivers;
mod e_stop;
mod far_end;
#[expect(dead_code, reason = "the check is for a fuzzer, and its seeds are used here")]
#[path = "../fuzz/checks/frame_socket.rs"]
mod frame_socket;
mod hold;
mod host;
mod log;
mod looped;
mod network;
#[path = "../../devices/tests/suite/servos/paced.rs"]
mod paced;
mod parallel;
mod peer;
mod pictures;
mod planner;
mod power;
mod process;
mod replug;
mod rig;
mod row;
#[expect(dead_code, reason = "the log's own tests use all of it")]
#[path = "../../episode/tests/log/sample.rs"]
mod sample;
mod scene;
mod servo_e_stop;
mod sessions;
mod side_by_side;
mod silence;
#[expect(dead_code, reason = "the bundle's own tests use all of it")]
#[path = "../../world-model/tests/bundle/small.rs"]
mod small;
mod starved;
#[path = "../../armillary/tests/stuck/mod.rs"]
mod stuck;
mod stuck_e_stop;
mod surprise;
#[path = "../tapped.rs"]
mod tapped;
mod telemetry;
#[path = "../../armillary/tests/typed/mod.rs"]
mod typed;
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
        name: "wire: lost, reordered, repeated, of another session or arm",
        required: "nothing stale changes what the arm does, and no recording unlatches it",
        run: sessions::stale,
    },
    Row {
        name: "wire: lost in a row",
        required: "2 lost reports or commands are survived, the arm has stopped after the 3rd; with a watchdog of 2.5 periods after the 2nd command",
        run: sessions::in_a_row,
    },
    Row {
        name: "telemetry: frozen, empty, miscounted, no number, clock stuck or jumping",
        required: "the arm has stopped, and the loop with it, within 3 control periods of the first wrong report",
        run: telemetry::faults,
    },
    Row {
        name: "wire: the arm stops reading (real time)",
        required: "a write gives up within 5 ms, machine's stalls apart (where the thread may have no priority: in the middle of each trial); 2 commands on their way at most; nobody is blocked",
        run: peer::stops_reading,
    },
    Row {
        name: "wire: cable out and in again",
        required: "the arm stops by itself, at rest until a new session commands it",
        run: replug::unplugged,
    },
    Row {
        name: "wire: the board resets",
        required: "torque off; the old session moves nothing; the loop has ended within 3 periods; a new session and a command drive it again",
        run: replug::reset,
    },
    Row {
        name: "supply: brown-out of a board",
        required: "torque off; a board that has booted is without a session, so that torque comes on in a new one alone",
        run: power::board,
    },
    Row {
        name: "supply: brown-out of servos",
        required: "stopped after 3 low readings, laid down where the supply lasts, torque off; no servo gets it back without a new run",
        run: power::servos,
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
        required: "the thread has sent within 10 ms of the signal, machine's stalls apart; where it may have no priority, in the middle, and \
                   each time within 100 ms",
        run: e_stop::signal,
    },
    Row {
        name: "e-stop: signal, driver stuck (real time)",
        required: "as above, while the thread that drives the arm does not come back",
        run: e_stop::signal_while_stuck,
    },
    Row {
        name: "e-stop: signal, CPUs busy (real time)",
        required: "within 10 ms in the middle and 100 ms in any trial, while twice as many threads as CPUs spin and the thread has no priority",
        run: e_stop::signal_while_busy,
    },
    Row {
        name: "e-stop: signal, arm of servos (real time)",
        required: "no servo of six has torque 10 ms after the signal, machine's stalls apart; confirmed by each of them",
        run: servo_e_stop::signal,
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
        name: "host: SIGKILL (processes)",
        required: "the arm has stopped within the watchdog's time and one firmware step, and stays at rest until a new run",
        run: host::killed,
    },
    Row {
        name: "host: SIGSTOP (processes)",
        required: "as above",
        run: host::stopped,
    },
    Row {
        name: "host: SIGSTOP, then SIGCONT (processes)",
        required: "as above; what waited meanwhile moves nothing, and the run ends as failed",
        run: host::goes_on,
    },
    Row {
        name: "host: second Ctrl-C (processes)",
        required: "as above",
        run: host::told_twice,
    },
    Row {
        name: "e-stop: each of 15 things stuck (processes)",
        required: "given to the port within 10 ms, at the far end within 10 ms of the signal (or 100 ms, where the system's pseudo-terminal takes \
                   longer), and torque off there within 10 ms more, machine's stalls apart; where all CPUs are busy, or the thread may have no \
                   priority, at the far end so in the middle, and each within 100 ms; confirmed, or said to be not",
        run: stuck_e_stop::each,
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
        required: "controlled stop by the host, at rest; log whole, with the operator's stop in its last row; exit with an error",
        run: host::hung_up,
    },
    Row {
        name: "standard output stuck, closed, full (processes)",
        required: "nothing changes",
        run: process::output,
    },
    Row {
        name: "camera: bad pictures",
        required: "not used: frozen ones from the third on if a joint turns by 0.05 rad from one to the next, later if it turns less (a camera \
                   without noise repeats the picture of an arm at rest), all others from the first on; the belief predicts; controlled stop at 5 \
                   ticks without a usable picture",
        run: pictures::bad,
    },
    Row {
        name: "camera: unplugged",
        required: "controlled stop within two periods; the camera is opened again; nothing moves before a new run, which does",
        run: camera::unplugged,
    },
    Row {
        name: "camera: stalls, or its reader does not come back",
        required: "no tick waits; controlled stop at 5 ticks without a picture; nothing moves before a new run",
        run: camera::stalled,
    },
    Row {
        name: "camera: marked, short, black, frozen (webcam)",
        required: "dropped by the webcam's thread, frozen ones from the third repetition on, whether or not the arm moves; controlled stop at 5 \
                   ticks without a picture",
        run: camera::marked,
    },
    Row {
        name: "camera: good pictures",
        required: "no more than 1 in 100,000 is refused: noise, drifting and flickering light, none at all; an arm at rest, and one in random motion",
        run: pictures::good,
    },
    Row {
        name: "model: arm blocked, light off, camera moved",
        required: "controlled stop within 5 ticks from when it can be seen: a blocked arm and a moved camera by the thresholds that `armillary \
                   trust` learns (`arm_stopped`, `surprise`), a light that goes off by `trust.light_change_max`, since its pictures are not \
                   used (`frame_gap`)",
        run: surprise::certain,
    },
    Row {
        name: "model: target gone, light fades",
        required: "the same in 9 of 10, by `surprise` (a model may believe it)",
        run: surprise::likely,
    },
    Row {
        name: "model: nothing happens",
        required: "no more than 1 false alarm in 1,000 ticks of runs that were not learned from",
        run: surprise::alarms,
    },
    Row {
        name: "planner: numbers that are none",
        required: "any bits as proposal or as return: nothing leaves the limits; what is no number stops the arm, for good",
        run: planner::numbers,
    },
    Row {
        name: "planner: goes wrong in the loop",
        required: "no number, no plan, no planner: controlled stop in that tick; late: the tail of the last plan for one tick \
                   (`trust.tail_ticks`), controlled stop in the next",
        run: planner::in_loop,
    },
    Row {
        name: "planner: overruns (real time)",
        required: "the tick goes on at its deadline by the tail of the last plan, once; the guard then stops the arm",
        run: planner::overruns,
    },
    Row {
        name: "planner: panics",
        required: "no thread that panics keeps the tick waiting; controlled stop",
        run: planner::panics,
    },
    Row {
        name: "CPU: pauses of 1 to 400 ms",
        required: "no command is carried out later than one and a half periods after its edge; what is late is counted",
        run: starved::paused,
    },
    Row {
        name: "CPU: busy (real time)",
        required: "as above, by the machine's clock, while twice as many threads as CPUs spin",
        run: starved::spinning,
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
        required: "controlled stop within 68 periods (64 rows may wait to be written), in the middle within 0.25 s; the run fails, what had \
                   reached the disk is read",
        run: disk::refuses,
    },
    Row {
        name: "disk: hung (real time)",
        required: "controlled stop within 68 periods, the run fails, what had reached the disk is read; the program waits for it for a bounded time",
        run: disk::hangs,
    },
    Row {
        name: "disk: log taken away or changed (real time)",
        required: "controlled stop within 93 periods (25 until it is looked for, 64 rows that may wait to be written), in the middle within 29; the \
                   run fails, no changed log passes for a whole one",
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
        name: "network: clients of a simulated arm that mean harm (processes)",
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
        [flag] if flag == "--full" => Scale::Full,
        _ => {
            eprintln!("faults [--short | --full] [NAME..]");
            return ExitCode::FAILURE;
        }
    };
    if words.len() == 1 && words[0] == "stuck" {
        return match stuck_e_stop::table(scale) {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        };
    }
    let chosen = |row: &&Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    if !ROWS.iter().any(|row| chosen(&row)) {
        eprintln!("no row of the table has a name with one of these words: {words:?}");
        return ExitCode::FAILURE;
    }
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
        if outcome.trials == 0 {
            println!("  nothing was tried");
        }
        failed |= outcome.failures > 0 || outcome.trials == 0;
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
