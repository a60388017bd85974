//! The arm as a serial port on USB (CDC-ACM). Opening the port does not reset the board.

use embassy_rp::Peri;
use embassy_rp::bind_interrupts;
use embassy_rp::flash::{Blocking, Flash};
use embassy_rp::peripherals::{FLASH, USB};
use embassy_rp::usb::{Driver, InterruptHandler};
use embassy_usb::class::cdc_acm::{CdcAcmClass, Receiver, Sender, State};
use embassy_usb::driver::EndpointError;
use embassy_usb::{Builder, Config, UsbDevice};

bind_interrupts!(struct Interrupts {
    USBCTRL_IRQ => InterruptHandler<USB>;
});

/// Size of a USB packet at full speed.
pub(crate) const PACKET_BYTES: usize = 64;

/// Numbers of pid.codes for tests. Whoever gives boards to others needs numbers of their own.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0001;

/// The flash chip's number, so that a board is found by name where several are plugged in.
pub(crate) struct SerialNumber([u8; 16]);

impl SerialNumber {
    /// Reads it. All zeros if the flash chip has none.
    pub(crate) fn read(flash: Peri<'static, FLASH>) -> Self {
        let mut number = [0; 8];
        let mut flash = Flash::<_, Blocking, { 2 * 1024 * 1024 }>::new_blocking(flash);
        if flash.blocking_unique_id(&mut number).is_err() {
            number = [0; 8];
        }
        let mut text = [b'0'; 16];
        for (index, digit) in text.iter_mut().enumerate() {
            let half = number[index / 2] >> (4 * (1 - index % 2)) & 0xF;
            *digit = b"0123456789ABCDEF"[usize::from(half)];
        }
        Self(text)
    }

    /// Sixteen hexadecimal digits.
    pub(crate) fn text(&self) -> &str {
        // They are digits.
        core::str::from_utf8(&self.0).unwrap_or("")
    }
}

/// What the USB stack writes into.
pub(crate) struct Buffers<'d> {
    config: [u8; 256],
    bos: [u8; 32],
    control: [u8; 64],
    state: State<'d>,
}

impl Buffers<'_> {
    pub(crate) fn new() -> Self {
        Self {
            config: [0; 256],
            bos: [0; 32],
            control: [0; 64],
            state: State::new(),
        }
    }
}

type UsbDriver<'d> = Driver<'d, USB>;

/// The device, which must be run, and the port's two directions.
pub(crate) fn serial_port<'d>(
    usb: Peri<'d, USB>,
    buffers: &'d mut Buffers<'d>,
    serial_number: &'d str,
) -> (
    UsbDevice<'d, UsbDriver<'d>>,
    Sender<'d, UsbDriver<'d>>,
    Receiver<'d, UsbDriver<'d>>,
) {
    let mut config = Config::new(VENDOR, PRODUCT);
    config.manufacturer = Some("Armillary");
    config.product = Some("Armillary arm");
    config.serial_number = Some(serial_number);
    let mut builder = Builder::new(
        Driver::new(usb, Interrupts),
        config,
        &mut buffers.config,
        &mut buffers.bos,
        &mut [],
        &mut buffers.control,
    );
    let port = CdcAcmClass::new(&mut builder, &mut buffers.state, PACKET_BYTES as u16);
    let (sender, receiver) = port.split();
    (builder.build(), sender, receiver)
}

/// Sends one frame.
///
/// # Errors
/// The host has left.
pub(crate) async fn send<'d>(
    sender: &mut Sender<'d, UsbDriver<'d>>,
    frame: &[u8],
) -> Result<(), EndpointError> {
    for packet in frame.chunks(PACKET_BYTES) {
        sender.write_packet(packet).await?;
    }
    // A host waits for more after a full packet.
    if frame.len().is_multiple_of(PACKET_BYTES) {
        sender.write_packet(&[]).await?;
    }
    Ok(())
}
