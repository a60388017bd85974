//! What is plugged in: cameras, servo buses and serial ports, each behind a trait of [`robot::device`].
