//! What the shipped model does not expect: an arm that is blocked, a light that goes off, a target that is gone, a camera that was moved.

use controller::capture::Sight;
use controller::session::Session;
use episode::{Episode, PlanSource, Reason};
use firmware_bridge::arm::SimulatedArm;
use robot::device::{
    DeviceError, FrameStamp, Joints, Picture, PixelFormat, Plant, Task, View,
};
use robot::philox::Stream;
use robot::{Frame, JointState};
use simulator::Simulator;

use crate::drivers;
use crate::parallel;
use crate::rig::{Rig, Shown, Shutter, World};
use crate::row::{Outcome, Scale};

const PERIOD_NS: u64 = 100_000_000;

/// Ticks within which the arm must be stopped, from the one on that sees it.
const WITHIN_TICKS: usize = 5;

const SIDE: usize = 64;

/// The target's disc and its rim, in pixels.
const TARGET_PX: f32 = 8.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The joints turn no farther.
    Blocked,
    /// The light goes off at once.
    LightOff,
    /// The light fades within a second.
    LightFades,
    TargetGone,
    CameraMoved,
    /// Nothing happens.
    Good,
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::Blocked, "arm blocked"),
    (Kind::LightOff, "light off"),
    (Kind::LightFades, "light fades"),
    (Kind::TargetGone, "target gone"),
    (Kind::CameraMoved, "camera moved"),
];

/// The simulated arm, which something can block, and which is seen without its target from some time on.
struct Scenery {
    simulator: Simulator,
    /// The same arm with another target.
    other: Simulator,
    spare: Frame,
    blocked: bool,
    targetless: bool,
}

impl Scenery {
    fn new(seed: u64) -> Self {
        let mut simulator = Simulator::new(simulator::Task::ReachPlanar).expect("a simulator");
        simulator.reset(seed);
        let mut other = simulator.clone();
        let apart_m = |other: &Simulator| {
            let (a, b) = (simulator.target_m(), other.target_m());
            (a[0] - b[0]).hypot(a[1] - b[1])
        };
        let mut next = seed;
        while apart_m(&other) < 0.6 {
            next += 1_000_003;
            other.reset(next);
        }
        Self {
            simulator,
            other,
            spare: Frame::new(SIDE),
            blocked: false,
            targetless: false,
        }
    }
}

impl Joints for Scenery {
    fn joint_count(&self) -> usize {
        self.simulator.joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        if !self.blocked {
            self.simulator.step(set_point_rad, torque_on, dt_s);
        }
        Ok(())
    }

    fn joints(&self) -> JointState {
        Joints::joints(&self.simulator)
    }
}

impl View for Scenery {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.simulator.render(frame);
        if self.targetless {
            let side = frame.side();
            self.other.place(&Joints::joints(&self.simulator).position_rad);
            self.other.render(&mut self.spare);
            let [column, row] = self
                .simulator
                .pixel_of(self.simulator.target_m(), side)
                .expect("the target is seen");
            for (index, (pixel, without)) in frame
                .rgb_mut()
                .chunks_exact_mut(3)
                .zip(self.spare.rgb().chunks_exact(3))
                .enumerate()
            {
                let (x, y) = ((index % side) as f32 + 0.5, (index / side) as f32 + 0.5);
                if (x - column).hypot(y - row) <= TARGET_PX {
                    pixel.copy_from_slice(without);
                }
            }
        }
        Ok(())
    }
}

impl Task for Scenery {
    fn reset(&mut self, _seed: u64) -> Result<(), DeviceError> {
        Ok(())
    }

    fn reward(&self) -> Option<f32> {
        None
    }
}

/// Something happens at picture `onset`.
struct Happening {
    kind: Kind,
    onset: u64,
    random: Stream,
    /// By how many pixels the camera was moved.
    moved: (i32, i32),
    /// What is left of the light in the end.
    light: f32,
    frame: Frame,
    scenery: std::sync::Arc<std::sync::Mutex<Scenery>>,
}

/// The arm's plant, which the world of a test holds, too.
struct Held(std::sync::Arc<std::sync::Mutex<Scenery>>);

impl Held {
    fn lock(&self) -> std::sync::MutexGuard<'_, Scenery> {
        self.0.lock().expect("nobody panics")
    }
}

impl Joints for Held {
    fn joint_count(&self) -> usize {
        self.lock().joint_count()
    }

    fn step(&mut self, set_point_rad: &[f32], torque_on: bool, dt_s: f32) -> Result<(), DeviceError> {
        self.lock().step(set_point_rad, torque_on, dt_s)
    }

    fn joints(&self) -> JointState {
        self.lock().joints()
    }
}

impl View for Held {
    fn render(&mut self, frame: &mut Frame) -> Result<(), DeviceError> {
        self.lock().render(frame)
    }
}

impl Task for Held {
    fn reset(&mut self, seed: u64) -> Result<(), DeviceError> {
        self.lock().reset(seed)
    }

    fn reward(&self) -> Option<f32> {
        None
    }
}

impl World for Happening {
    fn picture(&mut self, number: u64, _now_ns: u64, _arm: &mut SimulatedArm<Box<dyn Plant>>) -> Shown {
        let happens = number >= self.onset;
        {
            let mut scenery = self.scenery.lock().expect("nobody panics");
            scenery.blocked = happens && self.kind == Kind::Blocked;
            scenery.targetless = happens && self.kind == Kind::TargetGone;
            scenery.render(&mut self.frame).expect("a simulator does not fail");
        }
        let mut rgb = self.frame.rgb().to_vec();
        if happens {
            match self.kind {
                Kind::LightOff => dim(&mut rgb, self.light),
                Kind::LightFades => {
                    let share = ((number - self.onset + 1) as f32 / 10.0).min(1.0);
                    dim(&mut rgb, 1.0 + (self.light - 1.0) * share);
                }
                Kind::CameraMoved => rgb = moved(&rgb, self.moved),
                Kind::Blocked | Kind::TargetGone | Kind::Good => {}
            }
        }
        // A little noise, as any camera has.
        for level in &mut rgb {
            *level = level.saturating_add_signed(self.random.below(3) as i8 - 1);
        }
        let picture = Picture {
            width: SIDE as u32,
            height: SIDE as u32,
            format: PixelFormat::Rgb8,
            bytes: rgb,
        };
        Shown::Picture(
            picture,
            FrameStamp {
                seq: number + 1,
                age_ns: 10_000_000,
            },
        )
    }
}

fn dim(rgb: &mut [u8], light: f32) {
    rgb.iter_mut().for_each(|level| *level = (f32::from(*level) * light) as u8);
}

fn moved(rgb: &[u8], (right, down): (i32, i32)) -> Vec<u8> {
    let side = SIDE as i32;
    let within = |at: i32| at.clamp(0, side - 1);
    (0..side * side)
        .flat_map(|index| {
            let (x, y) = (within(index % side - right), within(index / side - down));
            let from = 3 * (y * side + x) as usize;
            [rgb[from], rgb[from + 1], rgb[from + 2]]
        })
        .collect()
}

/// What a thread keeps from trial to trial.
struct Kit {
    session: Session,
    sight: Option<Sight>,
}

impl Kit {
    fn new() -> Self {
        Self {
            session: drivers::session(),
            sight: None,
        }
    }
}

/// An episode of the shipped model's own planner in which something happens at picture `onset`.
fn episode_of(kit: &mut Kit, kind: Kind, onset: u64, seed: u64, ticks: u32) -> Result<(Episode, u64), String> {
    let mut random = Stream::new(seed, 0x50B2);
    let far = |random: &mut Stream| {
        let px = 3 + random.below(8) as i32;
        if random.below(2) == 0 { px } else { -px }
    };
    let scenery = std::sync::Arc::new(std::sync::Mutex::new(Scenery::new(seed)));
    let world = Happening {
        kind,
        onset,
        moved: (far(&mut random), far(&mut random)),
        light: random.range(0.1, 0.5),
        random: random.clone(),
        frame: Frame::new(SIDE),
        scenery: std::sync::Arc::clone(&scenery),
    };
    // Pictures of the edges, as those that the model learned from.
    let shutter = Shutter {
        first_ns: PERIOD_NS - 10_000_000,
        period_ns: PERIOD_NS,
    };
    let rig = Rig::with_plant(
        &kit.session.config,
        Box::new(Held(scenery)),
        Box::new(world),
        shutter,
    );
    let (mut controller, _) = kit.session.assemble(1, false).map_err(|error| error.to_string())?;
    let sight = drivers::sight(&kit.session, kit.sight.take(), rig.camera((SIDE as u32, SIDE as u32)));
    let (ran, log) = rig.episode(&kit.session, &mut controller, sight, seed, ticks);
    let (_, sight) = ran.map_err(|error| error.to_string())?;
    kit.sight = Some(sight);
    Ok((log.ok_or("no log")?, shutter.first_ns + onset * PERIOD_NS))
}

/// For measuring.
pub(crate) fn measure(_scale: Scale) -> Outcome {
    let kinds = [
        Kind::Good,
        Kind::Blocked,
        Kind::LightOff,
        Kind::LightFades,
        Kind::TargetGone,
        Kind::CameraMoved,
    ];
    let began = std::time::Instant::now();
    for kind in kinds {
        let logs = parallel::trials(30, Kit::new, |kit, number| {
            kit.session.config.trust.kl_max_nats = f32::MAX;
            kit.session.config.trust.track_max_rad = 10.0;
            let mut random = Stream::new(number, 0x0A5E7);
            let onset = 8 + random.below(10) as u64;
            episode_of(kit, kind, onset, number, 40).expect("runs")
        });
        println!("{kind:?} {:?}", began.elapsed());
        for at in -6..12_i64 {
            let mut nats: Vec<f32> = logs
                .iter()
                .filter_map(|(log, onset_ns)| {
                    let first = log.ticks.iter().position(|row| row.edge_ns >= *onset_ns)? as i64;
                    let row = log.ticks.get(usize::try_from(first + at).ok()?)?;
                    (!row.filter.prior_only).then_some(row.filter.kl_nats)
                })
                .collect();
            nats.sort_by(f32::total_cmp);
            let q = |share: f32| nats.get(((nats.len() as f32 - 1.0) * share) as usize).copied().unwrap_or(f32::NAN);
            println!(
                "  {at:>3}: n {} min {:.1} 10% {:.1} 50% {:.1} 90% {:.1} max {:.1}",
                nats.len(),
                q(0.0),
                q(0.1),
                q(0.5),
                q(0.9),
                q(1.0)
            );
        }
        if kind == Kind::Good {
            for (log, _) in logs.iter().take(4) {
                let nats: Vec<String> = log.ticks.iter().map(|row| format!("{:.0}", row.filter.kl_nats)).collect();
                println!("{}", nats.join(" "));
            }
        }
    }
    let _ = (WITHIN_TICKS, KINDS, PlanSource::Stop, Reason::Surprise);
    Outcome::default()
}
