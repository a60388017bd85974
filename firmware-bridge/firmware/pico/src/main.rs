//! An arm of hobby servos on a Raspberry Pi Pico (RP2040), as a serial port on USB.
//!
//! Only what the chip needs is here: pins, clocks, USB, the watchdog, and what happens when the program fails. What the arm does is in the
//! crate `board`, which also runs on a computer and is tested there. `../README.md` has the wiring.
#![no_std]
#![no_main]

mod fail;
mod pins;
mod usb;

use core::cell::RefCell;

use board::arm::ARM;
use board::{Board, HobbyServos};
use embassy_executor::Spawner;
use embassy_futures::join::join4;
use embassy_futures::yield_now;
use embassy_rp::adc::{Adc, Channel, Config};
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Input, Level, Output, Pull};
use embassy_rp::pwm::Pwm;
use embassy_rp::watchdog::Watchdog;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Instant, Ticker};
use firmware_bridge::wire::MAX_FRAME_BYTES;

use pins::{PicoPanel, PicoPins};

/// Wakes whoever sends: there may be something to say.
type News = Signal<NoopRawMutex, ()>;

/// Time since the chip was reset, in microseconds.
fn now_us() -> u64 {
    Instant::now().as_micros()
}

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    let chip = embassy_rp::init(Default::default());
    // First of all: the servos have no supply.
    let supply = Output::new(chip.PIN_6, Level::Low);
    let timing = pins::servo_timing();
    let (first, second) = Pwm::new_output_ab(chip.PWM_SLICE1, chip.PIN_2, chip.PIN_3, timing.clone()).split();
    let (third, _) = Pwm::new_output_a(chip.PWM_SLICE2, chip.PIN_4, timing).split();
    let (Some(first), Some(second), Some(third)) = (first, second, third) else {
        panic!("a pulse output is missing");
    };
    let servos = HobbyServos::new(
        PicoPins {
            supply,
            pulses: [first, second, third],
            adc: Adc::new_blocking(chip.ADC, Config::default()),
            // The pull-down takes a wire that is broken to too few counts.
            wires: [
                Channel::new_pin(chip.PIN_26, Pull::Down),
                Channel::new_pin(chip.PIN_27, Pull::Down),
                Channel::new_pin(chip.PIN_28, Pull::Down),
            ],
        },
        ARM.joints,
    );
    let panel = PicoPanel::new(Input::new(chip.PIN_7, Pull::Up), Watchdog::new(chip.WATCHDOG));
    let serial = usb::SerialNumber::read(chip.FLASH);
    // From the chip's ring oscillator, whose bits differ from one boot to the next. They are no good random numbers for secrets, and are
    // not used for any.
    let boot_id = RoscRng.next_u64();
    let Some(options) = ARM.options(serial.text(), boot_id) else {
        panic!("arm.rs is not sound, which it was when it was compiled");
    };
    let board = RefCell::new(Board::new(options, servos, panel));
    let news = News::new();

    let mut buffers = usb::Buffers::new();
    let (mut device, mut sender, mut receiver) = usb::serial_port(chip.USB, &mut buffers, serial.text());

    let ticking = async {
        let mut ticker = Ticker::every(Duration::from_micros(ARM.tick_us.into()));
        loop {
            ticker.next().await;
            board.borrow_mut().tick(now_us());
            news.signal(());
        }
    };
    let reading = async {
        let mut packet = [0; usb::PACKET_BYTES];
        loop {
            receiver.wait_connection().await;
            while let Ok(count) = receiver.read_packet(&mut packet).await {
                board.borrow_mut().on_bytes(now_us(), &packet[..count]);
                news.signal(());
                // A host that floods the port must not keep the board from its ticks.
                yield_now().await;
            }
        }
    };
    let sending = async {
        let mut frame = [0; MAX_FRAME_BYTES];
        loop {
            sender.wait_connection().await;
            loop {
                news.wait().await;
                // A host that takes nothing holds up this future alone: what it missed is replaced by newer telemetry.
                let count = board.borrow_mut().transmit(&mut frame).len();
                if count == 0 {
                    continue;
                }
                // There may be more.
                news.signal(());
                if usb::send(&mut sender, &frame[..count]).await.is_err() {
                    break;
                }
            }
        }
    };
    join4(device.run(), ticking, reading, sending).await;
}
