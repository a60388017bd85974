//! A kernel with one camera of its own, which fails in any way at any picture. With a virtual clock, waiting takes no time, and every
//! run is the same.

mod camera;
mod node;

pub use camera::{Fault, Offered, frame_number};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use robot::{Clock, MonotonicNs};

use super::abi::four_letters;
use super::identity::Identity;
use super::kernel::{Kernel, System};

/// The machine that the camera is plugged into. Clones are the same machine.
#[derive(Clone)]
pub struct Fake {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
}

/// Everything outside of an open node.
#[derive(Debug)]
pub(super) struct World {
    /// Counts pluggings: a node that was opened before the last one is dead.
    plugging: u64,
    /// When the camera is there again; `None` while it is.
    back_ns: Option<MonotonicNs>,
    /// What a dead node answers.
    gone: Errno,
    offered: Vec<Offered>,
    /// For each control: least, greatest and present value.
    controls: BTreeMap<u32, [i32; 3]>,
    faults: BTreeMap<u64, Fault>,
    /// Number of the next picture, over all streams.
    next: u64,
    /// Number and time of the newest pictures, at their number's remainder.
    taken_ns: Vec<(u64, MonotonicNs)>,
    latency_ns: u64,
    pictures: Vec<Vec<u8>>,
    node: u32,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fake")
            .field("world", &self.world)
            .finish_non_exhaustive()
    }
}

/// The camera's name.
pub const DEVICE: &str = "usb-1234:5678-FAKE";

impl Fake {
    /// A camera with 640 x 480 and 64 x 48 pixels, as YUYV at up to 30 Hz and MJPEG at up to 60 Hz, whose pictures take 5 ms to arrive. Its
    /// time is that of `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let offered = |code, rate_hz_max| {
            [(640, 480), (64, 48)].map(|(width, height)| Offered {
                code: four_letters(code),
                width,
                height,
                rate_hz_max,
                padding: 0,
            })
        };
        let world = World {
            plugging: 1,
            back_ns: None,
            gone: Errno::ENODEV,
            offered: [offered(*b"YUYV", 30), offered(*b"MJPG", 60)].concat(),
            controls: BTreeMap::from([
                (0x9a_0901, [0, 3, 3]),
                (0x9a_0902, [1, 5_000, 156]),
                (0x98_090c, [0, 1, 1]),
                (0x98_091a, [2_800, 6_500, 4_000]),
            ]),
            faults: BTreeMap::new(),
            next: 0,
            taken_ns: vec![(u64::MAX, 0); 1_000],
            latency_ns: 5_000_000,
            pictures: Vec::new(),
            node: 0,
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }

    /// What happens to picture `number`; the first is 0, and they are counted over all openings.
    pub fn fault(&self, number: u64, fault: Fault) {
        self.world().faults.insert(number, fault);
    }

    /// Replaces what the camera offers.
    pub fn offer(&self, offered: Vec<Offered>) {
        self.world().offered = offered;
    }

    /// Pictures to deliver in turn instead of patterns, such as JPEGs that can be decoded.
    pub fn show(&self, pictures: Vec<Vec<u8>>) {
        self.world().pictures = pictures;
    }

    /// Pulls the camera out for good.
    pub fn unplug(&self) {
        self.world().back_ns = Some(MonotonicNs::MAX);
    }

    /// When picture `number` was taken, whatever its time stamp says. Only the newest thousand are known.
    pub fn taken_ns(&self, number: u64) -> Option<MonotonicNs> {
        let world = self.world();
        let (found, taken_ns) = world.taken_ns[(number % world.taken_ns.len() as u64) as usize];
        (found == number).then_some(taken_ns)
    }

    /// A control's value; `None` if the camera has none of that number.
    pub fn control(&self, id: u32) -> Option<i32> {
        self.world().controls.get(&id).map(|control| control[2])
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Plugs the camera in again when its time has come. It then has another node.
    fn look(&mut self, now_ns: MonotonicNs) {
        if self.back_ns.is_some_and(|back_ns| back_ns <= now_ns) {
            self.back_ns = None;
            self.plugging += 1;
            self.node += 1;
        }
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/video{}", self.node))
    }
}

impl System for Fake {
    fn cameras(&self) -> Vec<Identity> {
        let mut world = self.world();
        world.look(self.clock.now_ns());
        let camera = Identity {
            node: world.path(),
            name: "Fake".to_owned(),
            port: "usb-1-1".to_owned(),
            model: Some(DEVICE.to_owned()),
            has_serial: true,
        };
        if world.back_ns.is_some() {
            Vec::new()
        } else {
            vec![camera]
        }
    }

    fn open(&mut self, node: &Path) -> Result<Box<dyn Kernel>, Errno> {
        let world = self.world();
        if world.back_ns.is_some() || world.path() != node {
            return Err(Errno::ENOENT);
        }
        let plugging = world.plugging;
        drop(world);
        Ok(Box::new(node::Node::new(
            Arc::clone(&self.world),
            Arc::clone(&self.clock),
            plugging,
        )))
    }
}
