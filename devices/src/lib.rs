//! What is plugged in: cameras, servo buses and serial ports, each behind a trait of [`robot::device`].

#[cfg(target_os = "linux")]
pub mod webcam;
