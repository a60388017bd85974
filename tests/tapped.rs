//! A bus on which somebody listens in: everything goes on to the arm as it is, but for what a test does on the way.

use robot::device::{ArmReport, DeviceInfo, EStopLine, JointBus, LinkError, Motors, Overdue, RefusedReports};

/// What is done on the way to `B`. Each method does nothing of its own unless a test says so.
pub(crate) trait Tap<B: JointBus>: Send {
    /// A handshake.
    fn handshake(&mut self, bus: &mut B) -> Result<DeviceInfo, LinkError> {
        bus.handshake()
    }

    /// Comes before each set point, however it is sent.
    fn before_set_point(&mut self, bus: &mut B) -> Result<(), LinkError> {
        let _ = bus;
        Ok(())
    }

    /// Comes before each stop.
    fn before_stop(&mut self) {}

    /// A look at what has come.
    fn poll(&mut self, bus: &mut B) -> Result<Option<ArmReport>, LinkError> {
        bus.poll()
    }

    /// What the arm has not done for too long.
    fn overdue(&self, bus: &B) -> Option<Overdue> {
        bus.overdue()
    }
}

/// `bus`, with `tap` on the way to it.
pub(crate) struct Tapped<B, T> {
    pub(crate) bus: B,
    pub(crate) tap: T,
}

impl<B: JointBus, T: Tap<B>> JointBus for Tapped<B, T> {
    fn port(&self) -> &str {
        self.bus.port()
    }

    fn handshake(&mut self) -> Result<DeviceInfo, LinkError> {
        self.tap.handshake(&mut self.bus)
    }

    fn send_set_point(&mut self, rad: &[f32], move_us: u32, valid_us: u32) -> Result<u32, LinkError> {
        self.tap.before_set_point(&mut self.bus)?;
        self.bus.send_set_point(rad, move_us, valid_us)
    }

    fn send_set_point_since_poll(
        &mut self,
        rad: &[f32],
        move_us: u32,
        valid_us: u32,
    ) -> Result<u32, LinkError> {
        self.tap.before_set_point(&mut self.bus)?;
        self.bus.send_set_point_since_poll(rad, move_us, valid_us)
    }

    fn send_stop(&mut self) -> Result<(), LinkError> {
        self.tap.before_stop();
        self.bus.send_stop()
    }

    fn send_release(&mut self) -> Result<(), LinkError> {
        self.bus.send_release()
    }

    fn send_e_stop(&mut self) -> Result<(), LinkError> {
        self.bus.send_e_stop()
    }

    fn send_clear_e_stop(&mut self) -> Result<(), LinkError> {
        self.bus.send_clear_e_stop()
    }

    fn poll(&mut self) -> Result<Option<ArmReport>, LinkError> {
        self.tap.poll(&mut self.bus)
    }

    fn e_stop_line(&self) -> Result<Option<Box<dyn EStopLine>>, LinkError> {
        self.bus.e_stop_line()
    }

    fn refused_reports(&self) -> RefusedReports {
        self.bus.refused_reports()
    }

    fn overdue(&self) -> Option<Overdue> {
        self.tap.overdue(&self.bus)
    }

    fn is_led(&self) -> bool {
        self.bus.is_led()
    }

    fn motors(&mut self, into: &mut Motors) {
        self.bus.motors(into);
    }
}
