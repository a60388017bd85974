//! What the tick hears of the arm in a world that does not wait, and how long it has heard nothing.

use episode::ArmState;
use robot::device::{ArmReport, JointBus, LinkError, Overdue, RefusedReports};

use crate::capture::Captured;

/// Ticks in a row without a report at the last of which it counts for how long the arm has been silent. After a pause of this program the first
/// tick may have nothing but old ones.
const SILENT_TICKS: u32 = 2;

/// What was heard of an arm, and what was not.
#[derive(Debug, Clone, Default)]
pub struct Listener {
    /// Ticks in a row without a report.
    silent: u32,
    /// What had been refused when the last report came.
    refused: RefusedReports,
}

/// Whether a report has one number a joint in each of its vectors.
pub(crate) fn is_counted(report: &ArmReport, joints: usize) -> bool {
    [
        &report.position_rad,
        &report.velocity_rad_s,
        &report.set_point_rad,
    ]
    .iter()
    .all(|vector| vector.len() == joints)
}

impl Listener {
    /// Copies what the arm of `joints` joints says of itself into `held`, or that it says nothing. Call it once a tick. Never waits, and
    /// allocates nothing but for an error.
    ///
    /// # Errors
    /// A port error, or [`LinkError::Unheard`]: the arm has been silent for so long that the next tick would be too late.
    pub fn listen(
        &mut self,
        bus: &mut dyn JointBus,
        joints: usize,
        held: &mut Captured,
    ) -> Result<(), LinkError> {
        match bus.poll()? {
            Some(report) if is_counted(&report, joints) => {
                (held.arm, held.arm_refused) = (report.state, report.refused);
                held.arm_set_point_rad = report.set_point_rad;
                held.joints.position_rad = report.position_rad;
                held.joints.velocity_rad_s = report.velocity_rad_s;
                self.silent = 0;
                self.refused = bus.refused_reports();
                return Ok(());
            }
            // A report that does not tell of each joint is as good as none.
            _ => (held.arm, held.arm_refused) = (ArmState::Unheard, false),
        }
        self.silent = self.silent.saturating_add(1);
        let waited_ms = match bus.overdue() {
            // It speaks, and what it says is refused.
            Some(Overdue::Echo(waited_ms)) => waited_ms,
            Some(Overdue::Report(waited_ms)) if self.silent >= SILENT_TICKS => waited_ms,
            _ => return Ok(()),
        };
        Err(LinkError::Unheard {
            port: bus.port().to_owned(),
            waited_ms,
        })
    }

    /// What `bus` has refused since it gave the last report, in words; `None` if it is nothing.
    pub fn refused(&self, bus: &dyn JointBus) -> Option<String> {
        let refused = bus.refused_reports().since(&self.refused);
        (refused.total() > 0).then(|| {
            format!(
                "the last {} reports of the arm were refused: {}",
                refused.total(),
                refused.by_reason()
            )
        })
    }
}
