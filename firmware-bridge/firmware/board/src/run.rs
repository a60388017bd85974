//! One board: bytes in, a tick at a fixed rate, bytes out.

use firmware_bridge::wire::JointVec;
use firmware_bridge::{Drive, FirmwareCore, FirmwareOptions, FirmwareState, Telemetry};

/// What moves an arm and measures it. No call waits for longer than some microseconds.
pub trait Actuators {
    /// Where every joint is, in radians; not a number for a joint whose sensor fails. `elapsed_us` is the time since the last call.
    fn measure(&mut self, elapsed_us: u64) -> JointVec;

    /// What the motors do from now on. Without torque the motors have no supply when this returns.
    fn drive(&mut self, drive: &Drive);
}

/// What a board has besides actuators: a stop button, a memory that a reset does not clear, a hardware watchdog.
pub trait Panel {
    /// Whether the stop button is pressed, or its wire is broken.
    fn stop_pressed(&mut self) -> bool;

    /// Whether the board was reset while an emergency stop was latched, or because its program had failed.
    fn latched(&mut self) -> bool;

    /// Keeps whether an emergency stop is latched where a reset does not reach it.
    fn keep_latch(&mut self, latched: bool);

    /// Tells the hardware watchdog that the program runs.
    fn feed(&mut self);
}

/// Time over which the estimate of a velocity forgets, in seconds: the counts of a wire are noisy, and ticks are short.
const VELOCITY_TIME_S: f32 = 0.05;

/// The firmware core with actuators and a panel. Times are microseconds since boot, never going back.
#[derive(Debug)]
pub struct Board<A, P> {
    core: FirmwareCore,
    actuators: A,
    panel: P,
    latched: bool,
    /// When the joints were measured last, and where they were.
    measured: Option<(u64, JointVec)>,
    velocity_rad_s: JointVec,
}

impl<A: Actuators, P: Panel> Board<A, P> {
    /// Boots: torque off, no session. An emergency stop that was latched before a reset stays latched, and a program that had failed
    /// counts as one: only a person leaves that state.
    pub fn new(options: FirmwareOptions, actuators: A, mut panel: P) -> Self {
        let mut core = FirmwareCore::new(options);
        let latched = panel.latched();
        if latched {
            core.e_stop();
        }
        panel.keep_latch(latched);
        Self {
            core,
            actuators,
            panel,
            latched,
            measured: None,
            velocity_rad_s: JointVec::new(),
        }
    }

    /// Takes bytes from the host. An emergency stop among them takes the torque off before this returns.
    pub fn on_bytes(&mut self, now_us: u64, bytes: &[u8]) {
        self.core.on_bytes(now_us, bytes);
        self.after_a_stop();
    }

    /// One tick: button, sensors, core, motors, watchdog, in this order.
    pub fn tick(&mut self, now_us: u64) {
        if self.panel.stop_pressed() {
            // Again at each tick: no clearance counts while it is pressed.
            self.core.e_stop();
        }
        let before = self.measured.take();
        let elapsed_us = before.as_ref().map_or(0, |(at, _)| now_us.saturating_sub(*at));
        let position_rad = self.actuators.measure(elapsed_us);
        match &before {
            Some((_, before)) if elapsed_us > 0 => {
                let elapsed_s = elapsed_us as f32 * 1e-6;
                let share = elapsed_s / (elapsed_s + VELOCITY_TIME_S);
                for ((velocity, now), before) in self.velocity_rad_s.iter_mut().zip(&position_rad).zip(before)
                {
                    let raw = (now - before) / elapsed_s;
                    // A sensor that failed and is back must not leave a velocity that is no number for ever.
                    *velocity = if velocity.is_finite() {
                        *velocity + share * (raw - *velocity)
                    } else {
                        raw
                    };
                }
            }
            Some(_) => {}
            None => self.velocity_rad_s = position_rad.iter().map(|_| 0.0).collect(),
        }
        let drive = self.core.tick(now_us, &position_rad, &self.velocity_rad_s);
        self.measured = Some((now_us, position_rad));
        self.actuators.drive(&drive);
        self.after_a_stop();
        self.panel.feed();
    }

    /// The next frame to send, written into `buffer` ([`firmware_bridge::wire::MAX_FRAME_BYTES`] suffice); empty when there is none.
    pub fn transmit<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        self.core.poll_transmit(buffer)
    }

    /// The core's state.
    pub fn state(&self) -> FirmwareState {
        self.core.state()
    }

    /// What the next telemetry would say.
    pub fn telemetry(&self) -> Telemetry {
        self.core.telemetry()
    }

    fn after_a_stop(&mut self) {
        let latched = self.core.state() == FirmwareState::EStopped;
        if latched != self.latched {
            if latched {
                self.actuators.drive(&Drive {
                    set_point_rad: JointVec::new(),
                    torque_on: false,
                });
            }
            self.latched = latched;
            self.panel.keep_latch(latched);
        }
    }
}
