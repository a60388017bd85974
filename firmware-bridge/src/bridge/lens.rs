//! What is wrong with the pictures that a bridge sends.

use robot::Frame;
use robot::philox::Stream;

use crate::faults::Fault;
use crate::frames::FrameHeader;

/// The seed of what is random in pictures.
const SEED: u64 = 0x1E45;

/// The level of rows that were not filled.
const UNFILLED: u8 = 128;

/// How a picture leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passage {
    /// As it is.
    Whole,
    /// Without its last eighth: what comes after it is then taken for it.
    Cut,
    /// Not at all.
    Lost,
}

/// Does to pictures what is wrong with the camera.
#[derive(Debug)]
pub(super) struct Lens {
    wrong: Vec<Fault>,
    random: Stream,
    /// The picture with which the fault began.
    first: Option<(FrameHeader, Frame)>,
}

impl Lens {
    /// Nothing is wrong.
    pub(super) fn new() -> Self {
        Self {
            wrong: Vec::new(),
            random: Stream::new(SEED, 0),
            first: None,
        }
    }

    /// Changes what is wrong.
    pub(super) fn set(&mut self, wrong: &[Fault]) {
        self.wrong.clear();
        self.wrong.extend_from_slice(wrong);
        self.first = None;
    }

    /// Whether the camera is there at all.
    pub(super) fn is_gone(&self) -> bool {
        self.wrong.contains(&Fault::CameraGone)
    }

    /// Does to a picture what is wrong.
    pub(super) fn spoil(&mut self, header: &mut FrameHeader, frame: &mut Frame) -> Passage {
        if self.wrong.is_empty() {
            return Passage::Whole;
        }
        let first = self.first.get_or_insert_with(|| (*header, frame.clone()));
        let mut passage = Passage::Whole;
        for fault in &self.wrong {
            match *fault {
                Fault::CameraStalled => passage = Passage::Lost,
                Fault::CameraShort => passage = Passage::Cut,
                Fault::CameraFrozen => frame.clone_from(&first.1),
                Fault::CameraRepeated => {
                    *header = FrameHeader {
                        cause: header.cause,
                        ..first.0
                    };
                    frame.clone_from(&first.1);
                }
                Fault::CameraBlack => frame.rgb_mut().fill(0),
                Fault::CameraTorn => {
                    let half = frame.rgb().len() / 2;
                    frame.rgb_mut()[half..].fill(UNFILLED);
                }
                Fault::CameraFuture { by_s } => {
                    let by_ns = (by_s * 1e9) as u64;
                    header.captured_monotonic_ns = header.captured_monotonic_ns.saturating_add(by_ns);
                }
                Fault::CameraLight { factor } => {
                    for level in frame.rgb_mut() {
                        *level = (f32::from(*level) * factor) as u8;
                    }
                }
                Fault::CameraMoved { pixels } => {
                    let row = 3 * frame.side();
                    let by = 3 * usize::from(pixels) % row;
                    for row in frame.rgb_mut().chunks_exact_mut(row) {
                        row.rotate_right(by);
                    }
                }
                Fault::CameraNoise { levels } => {
                    let most = f32::from(levels);
                    for level in frame.rgb_mut() {
                        *level = (f32::from(*level) + self.random.range(-most, most)) as u8;
                    }
                }
                _ => {}
            }
        }
        passage
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frames::FrameCause;

    fn header(seq: u64) -> FrameHeader {
        FrameHeader {
            seq,
            device_time_us: seq,
            captured_monotonic_ns: seq,
            reward: 0.0,
            cause: FrameCause::Stream,
            ended: false,
            width: 32,
            height: 32,
        }
    }

    /// Each row brighter than the one above, and each picture brighter than the one before.
    fn picture(number: u8) -> Frame {
        let mut frame = Frame::new(32);
        for (index, level) in frame.rgb_mut().iter_mut().enumerate() {
            *level = number * 10 + (index / 96) as u8 + (index % 96 / 3) as u8;
        }
        frame
    }

    /// The second picture after the fault began.
    fn second(fault: Fault) -> (FrameHeader, Frame, Passage) {
        let mut lens = Lens::new();
        lens.set(&[fault]);
        lens.spoil(&mut header(1), &mut picture(1));
        let (mut header, mut frame) = (header(2), picture(2));
        let passage = lens.spoil(&mut header, &mut frame);
        (header, frame, passage)
    }

    #[test]
    fn pictures_are_spoiled_as_they_are_told_to() {
        let (whole, cut, lost) = (Passage::Whole, Passage::Cut, Passage::Lost);
        let mut black = Frame::new(32);
        black.rgb_mut().fill(0);
        for (fault, expected) in [
            (Fault::LineCut, (header(2), picture(2), whole)),
            (Fault::CameraStalled, (header(2), picture(2), lost)),
            (Fault::CameraShort, (header(2), picture(2), cut)),
            (Fault::CameraFrozen, (header(2), picture(1), whole)),
            (Fault::CameraRepeated, (header(1), picture(1), whole)),
            (Fault::CameraBlack, (header(2), black, whole)),
        ] {
            assert_eq!(second(fault), expected, "{}", fault.name());
        }
        let (header, ..) = second(Fault::CameraFuture { by_s: 1.0 });
        assert_eq!(header.captured_monotonic_ns, 1_000_000_002);
        let (_, torn, _) = second(Fault::CameraTorn);
        let half = torn.rgb().len() / 2;
        assert_eq!(torn.rgb()[..half], picture(2).rgb()[..half]);
        assert!(torn.rgb()[half..].iter().all(|level| *level == UNFILLED));
        let (_, dim, _) = second(Fault::CameraLight { factor: 0.5 });
        assert_eq!(dim.rgb()[0], picture(2).rgb()[0] / 2);
        let (_, moved, _) = second(Fault::CameraMoved { pixels: 3 });
        assert_eq!(moved.rgb()[9..96], picture(2).rgb()[..87]);
        let (_, noisy, _) = second(Fault::CameraNoise { levels: 4 });
        let sound = picture(2);
        let most = noisy.rgb().iter().zip(sound.rgb()).map(|(a, b)| a.abs_diff(*b));
        assert!((1..=4).contains(&most.max().unwrap_or(0)));
    }
}
