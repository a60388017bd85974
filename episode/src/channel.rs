//! The channels of a log, named after the seven stages of a tick.

/// A channel of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The frame exactly as the model saw it: `foxglove.RawImage`.
    Capture,
    /// Measured joints: `foxglove.JointStates`.
    CaptureJoints,
    /// Reward and identity of the frame.
    CaptureState,
    /// [`crate::EncodeRow`].
    Encode,
    /// [`crate::FilterRow`].
    Filter,
    /// [`crate::PlanRow`].
    Plan,
    /// [`crate::GuardRow`].
    Guard,
    /// Set points sent: `foxglove.JointStates`, for viewers; [`Channel::Actuate`] has the same numbers.
    ActuateJoints,
    /// [`crate::ActuateRow`].
    Actuate,
    /// Times and losses. Written last: its message closes the tick.
    Record,
    /// The camera's own picture, JPEG as it came: `foxglove.CompressedImage`. Only logs that keep such pictures have this channel. A tick
    /// writes it first.
    CaptureCamera,
}

impl Channel {
    /// The channels of every log, in the order in which a tick writes them.
    pub const ALL: [Self; 10] = [
        Self::Capture,
        Self::CaptureJoints,
        Self::CaptureState,
        Self::Encode,
        Self::Filter,
        Self::Plan,
        Self::Guard,
        Self::ActuateJoints,
        Self::Actuate,
        Self::Record,
    ];

    /// The MCAP topic.
    pub fn topic(self) -> &'static str {
        match self {
            Self::Capture => "/capture",
            Self::CaptureJoints => "/capture/joints",
            Self::CaptureState => "/capture/state",
            Self::Encode => "/encode",
            Self::Filter => "/filter",
            Self::Plan => "/plan",
            Self::Guard => "/guard",
            Self::ActuateJoints => "/actuate/joints",
            Self::Actuate => "/actuate",
            Self::Record => "/record",
            Self::CaptureCamera => "/capture/camera",
        }
    }

    /// The channel with that topic; `None` for a topic that another program added.
    pub fn from_topic(topic: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .chain([Self::CaptureCamera])
            .find(|channel| channel.topic() == topic)
    }

    /// Whether the channel belongs to the decision stream: what was decided and why, and no clock.
    pub fn is_decision(self) -> bool {
        matches!(self, Self::Filter | Self::Plan | Self::Guard | Self::Actuate)
    }
}
