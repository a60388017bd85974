//! A frame socket as a robot file names it, and what the bridge behind it must agree with.

use std::path::PathBuf;
use std::time::Duration;

use firmware_bridge::frames::BridgeInfo;
use robot::Config;
use robot::device::DeviceError;

use super::FrameSocket;
use crate::cameras::{CameraSettings, OpenCamera};

/// Longest wait for each answer.
const ANSWER: Duration = Duration::from_secs(4);

/// A camera at a frame socket: `frames(socket: "/tmp/camera")`.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The socket's path.
    pub socket: PathBuf,
}

impl CameraSettings for Settings {
    fn open(&self, config: &Config) -> Result<OpenCamera, DeviceError> {
        let mut socket = FrameSocket::connect(&self.socket, ANSWER)?;
        let bridge = socket.describe()?;
        if let Some(bridge) = bridge {
            self.check(bridge, config)?;
        }
        let (camera, task) = socket.split();
        Ok(OpenCamera {
            camera: Box::new(camera),
            // A camera alone has nothing to reset.
            task: bridge.map(|_| Box::new(task) as _),
        })
    }
}

impl Settings {
    /// Refuses a world that goes by another clock than the robot file: its rewards and pictures would be of other periods.
    fn check(&self, bridge: BridgeInfo, config: &Config) -> Result<(), DeviceError> {
        let (frames, name) = (self.socket.display(), &config.name);
        if bridge.lockstep {
            return Err(DeviceError::new(format!(
                "{frames}: waits for each step (`--mode lockstep`), and this command does not; serve it with `--mode real-time`"
            )));
        }
        if usize::from(bridge.joints) != config.joint_count() {
            return Err(DeviceError::new(format!(
                "{frames}: serves an arm of {} joints, robot `{name}` has {}; serve and drive the same robot file or rig",
                bridge.joints,
                config.joint_count()
            )));
        }
        let period_us = f64::from(config.period_s) * 1e6;
        if (f64::from(bridge.period_us) - period_us).abs() > 1e-3 * period_us {
            return Err(DeviceError::new(format!(
                "{frames}: serves control periods of {} ms, field `period_s` of robot `{name}` says {}; serve and drive the same \
                 robot file or rig",
                f64::from(bridge.period_us) * 1e-3,
                config.period_s
            )));
        }
        Ok(())
    }
}
