//! The checks: what the machine does, and what must come out.

use super::Group;

/// One check.
pub(crate) struct Check {
    pub(crate) group: Group,
    /// What it is about.
    pub(crate) name: &'static str,
    /// For the machine's shell, with the functions of `guest.rs`; must end with status 0.
    pub(crate) script: &'static str,
    /// Most seconds that it may take.
    pub(crate) limit_s: u32,
    /// What its figures must be.
    pub(crate) wants: &'static [Want],
}

/// A figure by its name, and between which numbers it must lie.
pub(crate) struct Want {
    pub(crate) figure: &'static str,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

const fn least(figure: &'static str, least: f64) -> Want {
    let most = f64::INFINITY;
    Want { figure, least, most }
}

const fn most(figure: &'static str, most: f64) -> Want {
    let least = 0.0;
    Want { figure, least, most }
}

const fn exactly(figure: &'static str, number: f64) -> Want {
    let (least, most) = (number, number);
    Want { figure, least, most }
}

/// A call that takes longer than this hangs.
const HANG: Want = most("poll_most_ms", 1_000.0);

/// Oldest picture of 30 Hz that the portable camera used, by the driver's time stamp: two periods.
const TAKEN: Want = most("taken_most_ms", 66.7);

/// Each time the link says that it is closed, the arm stops by itself (after its watchdog of 250 ms, and what the machine takes), a new
/// handshake is needed, and nothing moves before it and a command.
const UNPLUGGED: &[Want] = &[
    exactly("unplugs", 25.0),
    exactly("closed", 25.0),
    exactly("handshakes", 25.0),
    exactly("refused_before_handshake", 25.0),
    exactly("stale_sent", 48.0),
    least("stale_refused", 48.0),
    least("held", 15.0),
    least("released", 2.0),
    exactly("unarmed_motions", 0.0),
    most("stop_most_ms", 1_000.0),
    most("closed_most_ms", 2_000.0),
];

/// The log is whole, and no picture that was used is older than two periods of the camera.
const WHOLE: Want = exactly("whole", 1.0);
const FRESH: Want = most("age_most_ms", 100.0);

/// Something was pulled out: the arm comes to rest (after its watchdog of 250 ms, if it is told nothing) and stays there.
const STOPPED: Want = most("stop_ms", 500.0);
const AT_REST: Want = exactly("unarmed_motions", 0.0);

/// All checks, in the order in which they are done. That no picture was used that was older than two periods is a matter of `webcam`'s
/// own: it fails otherwise.
pub(crate) const CHECKS: &[Check] = &[
    Check {
        group: Group::Camera,
        name: "1,000 pictures at 30 Hz",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 1000",
        limit_s: 90,
        wants: &[HANG, exactly("losses", 0.0), least("driver_stamps", 1_000.0)],
    },
    Check {
        group: Group::Camera,
        name: "1,000 pictures at 60 Hz",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 60 --frames 1000",
        limit_s: 60,
        wants: &[HANG, exactly("losses", 0.0), least("driver_stamps", 1_000.0)],
    },
    Check {
        group: Group::Camera,
        name: "the driver delivers nothing for 2 s",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 120 \
                 --set '1,Percentage of Dropped Buffers,100' --set '3,Percentage of Dropped Buffers,0'",
        limit_s: 40,
        wants: &[HANG, least("timeouts", 1.0)],
    },
    Check {
        group: Group::Camera,
        name: "3 buffers marked as damaged",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 90 --set '0.5,Inject V4L2_BUF_FLAG_ERROR,1' \
                 --set '1,Inject V4L2_BUF_FLAG_ERROR,1' --set '1.5,Inject V4L2_BUF_FLAG_ERROR,1'",
        limit_s: 40,
        wants: &[HANG, exactly("flagged", 3.0), exactly("losses", 0.0)],
    },
    Check {
        group: Group::Camera,
        name: "the stream breaks 2 times",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 120 \
                 --set '1,Inject Fatal Streaming Error,1' --set '2.5,Inject Fatal Streaming Error,1'",
        limit_s: 40,
        wants: &[HANG, exactly("losses", 2.0)],
    },
    Check {
        group: Group::Camera,
        name: "the camera goes away 10 times",
        script: "changes=; for i in $(seq 0 9); do changes=\"$changes --set $i.5,Disconnect,1\"; done
                 webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 320 $changes",
        limit_s: 60,
        wants: &[HANG, exactly("losses", 10.0)],
    },
    Check {
        group: Group::Camera,
        name: "the wall clock jumps 3 times",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 120 & watched=$!
                 before=$(date +%s); sleep 1; date -s 2040-01-01; sleep 0.5; date -s 2000-01-01; sleep 0.5; date -s @$before
                 wait $watched",
        limit_s: 40,
        wants: &[HANG, exactly("losses", 0.0), least("driver_stamps", 120.0)],
    },
    Check {
        group: Group::Camera,
        name: "the program is held up for 2 s and 1 s",
        script: "webcam $VIVID --size 320x180 --format yuyv --rate 30 --frames 100 & watched=$!
                 held_up 2 1; wait $watched",
        limit_s: 40,
        wants: &[exactly("losses", 0.0)],
    },
    Check {
        group: Group::Camera,
        name: "time stamps that are no past times",
        script: "webcam $VIVID --size 320x180 --format yuyv --frames 10 --set '0,Timestamp Source,0' > /dev/null
                 webcam $VIVID --size 320x180 --format yuyv --frames 100",
        limit_s: 40,
        wants: &[HANG, least("arrival_stamps", 100.0)],
    },
    Check {
        group: Group::Uvc,
        name: "1,000 pictures at 30 Hz",
        script: "with_camera '' webcam $UVC --rate 30 --frames 1000",
        limit_s: 120,
        wants: &[HANG, exactly("losses", 0.0), least("driver_stamps", 1_000.0)],
    },
    Check {
        group: Group::Uvc,
        name: "1,000 pictures at 60 Hz",
        script: "with_camera '' webcam $UVC --rate 60 --frames 1000",
        limit_s: 90,
        wants: &[HANG, exactly("losses", 0.0), least("driver_stamps", 1_000.0)],
    },
    Check {
        group: Group::Uvc,
        name: "a cut JPEG, 2 marked ones, 0.5 s frozen",
        script: "with_camera 'error,30 cut,30 error,30 freeze,30,0.5' webcam $UVC --rate 30 --frames 180",
        limit_s: 60,
        wants: &[HANG, exactly("torn", 1.0), exactly("losses", 0.0)],
    },
    Check {
        group: Group::Uvc,
        name: "frozen for 3 s",
        script: "with_camera 'freeze,60,3' webcam $UVC --rate 30 --frames 120",
        limit_s: 60,
        wants: &[HANG, least("timeouts", 1.0)],
    },
    Check {
        group: Group::Uvc,
        name: "unplugged and plugged in 10 times",
        script: "faults=; for i in $(seq 10); do faults=\"$faults unplug,20,0.3\"; done
                 with_camera \"$faults\" webcam $UVC --rate 30 --frames 230",
        limit_s: 150,
        wants: &[HANG, exactly("losses", 10.0)],
    },
    Check {
        group: Group::Portable,
        name: "1,000 pictures at 30 Hz",
        script: "portable 0 $VIVID --size 320x180 --rate 30 --frames 1000",
        limit_s: 90,
        wants: &[HANG, exactly("losses", 0.0), TAKEN],
    },
    Check {
        group: Group::Portable,
        name: "the driver delivers nothing for 3 s",
        script: "portable 0 $VIVID --size 320x180 --rate 30 --frames 120 \
                 --set '1,Percentage of Dropped Buffers,100' --set '4,Percentage of Dropped Buffers,0'",
        limit_s: 60,
        wants: &[HANG, exactly("losses", 1.0), exactly("abandoned", 1.0), exactly("openings", 2.0), TAKEN],
    },
    Check {
        group: Group::Portable,
        name: "the stream breaks 2 times",
        script: "portable 0 $VIVID --size 320x180 --rate 30 --frames 120 \
                 --set '1,Inject Fatal Streaming Error,1' --set '2.5,Inject Fatal Streaming Error,1'",
        limit_s: 60,
        wants: &[HANG, exactly("losses", 2.0), TAKEN],
    },
    Check {
        group: Group::Portable,
        name: "the wall clock jumps 3 times",
        script: "portable 0 $VIVID --size 320x180 --rate 30 --frames 120 & watched=$!
                 before=$(date +%s); sleep 1; date -s 2040-01-01; sleep 0.5; date -s 2000-01-01; sleep 0.5; date -s @$before
                 wait $watched",
        limit_s: 40,
        wants: &[HANG, exactly("losses", 0.0), least("stamp_jumps", 3.0)],
    },
    Check {
        group: Group::Portable,
        name: "the program is held up for 2 s and 1 s",
        script: "portable 0 $VIVID --size 320x180 --rate 30 --frames 100 & watched=$!
                 held_up 2 1; wait $watched",
        limit_s: 40,
        wants: &[exactly("losses", 0.0), least("old", 8.0), TAKEN],
    },
    Check {
        group: Group::Serial,
        name: "ftdi_sio: unplugged 25 times",
        script: "usb_serial ftdi 25",
        limit_s: 150,
        wants: UNPLUGGED,
    },
    Check {
        group: Group::Serial,
        name: "cdc_acm: unplugged 25 times",
        script: "usb_serial acm 25",
        limit_s: 150,
        wants: UNPLUGGED,
    },
    Check {
        group: Group::Loop,
        name: "the model reaches what the camera sees",
        script: "episode 1",
        limit_s: 300,
        wants: &[
            WHOLE,
            FRESH,
            exactly("EpisodeEnd", 1.0),
            exactly("replayed", 60.0),
            least("fresh", 57.0),
            least("planned", 57.0),
            least("path_mrad", 500.0),
            most("behind_most_mrad", 150.0),
            most("target_after_mm", 100.0),
        ],
    },
    Check {
        group: Group::Loop,
        name: "the camera is unplugged in motion",
        script: "episode 2 camera 2; test $? = 1",
        limit_s: 120,
        wants: &[WHOLE, FRESH, STOPPED, AT_REST, exactly("CameraLost", 1.0), least("replayed", 15.0)],
    },
    Check {
        group: Group::Loop,
        name: "the cable is unplugged in motion",
        script: "episode 3 cable 2; test $? = 1",
        limit_s: 120,
        wants: &[WHOLE, FRESH, STOPPED, AT_REST, exactly("LinkLost", 1.0), least("replayed", 15.0)],
    },
];
