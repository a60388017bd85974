//! An exchange on a servo bus allocates nothing, whatever goes wrong in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use devices::dynamixel::Dynamixel;
use devices::emulation::{Emulated, EmulatedBus, EmulatedServo, MemoryLine};
use devices::feetech::Feetech;
use devices::servo_bus::joints::{ArmSettings, Direction, Homing, ServoArm, ServoJoint, Tuning};
use devices::servo_bus::{Block, Bus, Readings, Timing};

/// The system's allocator, with a count of what is asked of it.
struct Counting;

thread_local! {
    static HERE: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being torn down has no count any more.
    let _ = HERE.try_with(|here| here.set(here.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const IDS: [u8; 6] = [1, 2, 3, 4, 5, 6];

fn exchanges<P: Emulated>() {
    let servos = IDS.iter().map(|id| EmulatedServo::<P>::new(*id, 2048)).collect();
    let mut bus = Bus::<P, _>::new(
        MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
        Timing::default(),
    );
    let mut readings = Readings::new(&IDS);
    let goal = P::ROLES.goal_position;
    let width = usize::from(goal.width);
    let mut data = [0; 24];
    let before = HERE.get();
    for round in 0..2_000_u32 {
        let faults = &mut bus.line_mut().bus().servo(1 + (round % 6) as u8).faults;
        faults.silent = round.is_multiple_of(3);
        faults.corrupt_byte = round.is_multiple_of(5).then_some((round % 16) as usize);
        faults.late_us = if round.is_multiple_of(7) { 3_000 } else { 0 };
        for part in data[..IDS.len() * width].chunks_exact_mut(width) {
            part[1] = (round % 16) as u8;
        }
        let block = Block {
            address: P::ROLES.present_position.address,
            length: 8,
        };
        bus.sync_write(&IDS, goal.address, goal.width, &data[..IDS.len() * width], 1_000)
            .expect("the line works");
        bus.sync_read(block, 12_000, &mut readings)
            .expect("the line works");
        bus.line_mut().advance(1_000);
    }
    assert_eq!(HERE.get() - before, 0);
    assert!(bus.counts().misses > 0 && bus.counts().retries > 0);
}

fn periods<P: Emulated>() {
    let joint = |id: u8| ServoJoint {
        name: format!("joint {id}"),
        id,
        zero_ticks: 2048,
        direction: Direction::Forward,
        position_min_rad: -1.5,
        position_max_rad: 1.5,
        homing: Homing::AsFound,
        tuning: Tuning::default(),
    };
    let servos = IDS.iter().map(|id| EmulatedServo::<P>::new(*id, 2048)).collect();
    let bus = Bus::<P, _>::new(
        MemoryLine::new(EmulatedBus::new(1_000_000, servos)),
        Timing::default(),
    );
    let mut arm = ServoArm::new(bus, ArmSettings::new(IDS.map(joint).to_vec())).expect("an arm as delivered");
    arm.period(&[0.0; 6], true).expect("all answer");
    let before = HERE.get();
    for round in 0..1_000 {
        let faults = &mut arm.bus_mut().line_mut().bus().servo(1 + (round % 6) as u8).faults;
        faults.silent = round % 3 == 0;
        faults.temperature_c = (round % 5 == 0).then_some(90.0);
        arm.period(&[round as f32 * 1e-3; 6], true)
            .expect("none is silent for long");
        let faults = &mut arm.bus_mut().line_mut().bus().servo(1 + (round % 6) as u8).faults;
        faults.silent = false;
        arm.bus_mut().line_mut().advance(20_000);
    }
    assert_eq!(HERE.get() - before, 0);
}

#[test]
fn a_period_of_an_arm_allocates_nothing() {
    periods::<Feetech>();
    periods::<Dynamixel>();
}

#[test]
fn an_exchange_allocates_nothing() {
    exchanges::<Feetech>();
    exchanges::<Dynamixel>();
}
