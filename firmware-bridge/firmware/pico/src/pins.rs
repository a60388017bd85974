//! Pulses, supply, feedback wires, button and watchdog of a Pico.

use board::arm::ARM;
use board::{Panel, ServoPins};
use embassy_rp::adc::{Adc, Blocking, Channel};
use embassy_rp::gpio::{Input, Output};
use embassy_rp::pwm::{Config, PwmOutput, SetDutyCycle};
use embassy_rp::watchdog::Watchdog;
use embassy_time::Duration;

/// Joints that are wired.
const JOINTS: usize = 3;
const _: () = assert!(
    ARM.joints.len() == JOINTS,
    "arm.rs lists another number of joints than main.rs has pins for"
);

/// The output that switches the servos' supply: GP6. `main.rs` takes that pin.
pub(crate) const SUPPLY_PIN: u32 = 6;

/// Silence of the program after which the chip resets itself; that of the twin.
const WATCHDOG: Duration = Duration::from_millis(100);

/// Time from pulse to pulse, in microseconds.
const PULSE_PERIOD_US: u16 = 20_000;

/// Readings of a feedback wire whose mean is taken; 2 us each.
const READINGS: u16 = 16;

/// A memory of the watchdog that a reset leaves as it is and a loss of power clears; those from 4 on are the boot loader's.
const MARK_AT: usize = 0;

/// What stands there while the program runs.
const MARK: u32 = 0xA231_11A7;

/// Pulses that are counted in microseconds.
pub(crate) fn servo_timing() -> Config {
    let mut config = Config::default();
    // 125 by the chip's usual clock of 125 MHz.
    config.divider = ((embassy_rp::clocks::clk_sys_freq() / 1_000_000) as u8).into();
    config.top = PULSE_PERIOD_US - 1;
    config
}

/// Everything that goes to the servos and comes from them.
pub(crate) struct PicoPins {
    pub(crate) supply: Output<'static>,
    pub(crate) pulses: [PwmOutput<'static>; JOINTS],
    pub(crate) adc: Adc<'static, Blocking>,
    pub(crate) wires: [Channel<'static>; JOINTS],
}

impl ServoPins for PicoPins {
    fn pulse(&mut self, joint: usize, pulse_us: u16) {
        if let Some(output) = self.pulses.get_mut(joint) {
            // Refused beyond the period only, which a sound arm does not ask for.
            let _ = output.set_duty_cycle(pulse_us);
        }
    }

    fn supply(&mut self, on: bool) {
        self.supply.set_level(on.into());
    }

    fn feedback_counts(&mut self, joint: usize) -> f32 {
        let Some(wire) = self.wires.get_mut(joint) else {
            return f32::NAN;
        };
        let mut sum = 0;
        for _ in 0..READINGS {
            match self.adc.blocking_read(wire) {
                Ok(counts) => sum += counts,
                // A reading that failed is no reading.
                Err(_) => return f32::NAN,
            }
        }
        f32::from(sum) / f32::from(READINGS)
    }
}

/// The button and the watchdog.
pub(crate) struct PicoPanel {
    button: Input<'static>,
    watchdog: Watchdog,
    was_running: bool,
}

impl PicoPanel {
    /// Starts the watchdog.
    pub(crate) fn new(button: Input<'static>, mut watchdog: Watchdog) -> Self {
        let was_running = watchdog.get_scratch(MARK_AT) == MARK;
        watchdog.set_scratch(MARK_AT, MARK);
        watchdog.start(WATCHDOG);
        Self {
            button,
            watchdog,
            was_running,
        }
    }
}

impl Panel for PicoPanel {
    fn stop_pressed(&mut self) -> bool {
        // Closed to ground while it is not pressed, so that a broken wire counts as pressed.
        self.button.is_high()
    }

    fn latched(&mut self) -> bool {
        self.was_running
    }

    /// Nothing to keep: the chip is never reset on purpose while this program runs, so that every reset without a loss of power counts as
    /// a failure, and ends in a latched stop.
    fn keep_latch(&mut self, _latched: bool) {}

    fn feed(&mut self) {
        self.watchdog.feed(WATCHDOG);
    }
}
