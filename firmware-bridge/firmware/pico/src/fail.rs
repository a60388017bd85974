//! What happens when the program fails: the servos lose their supply, and the chip is reset. It boots into a latched stop.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use embassy_rp::pac;
use embassy_rp::peripherals::WATCHDOG;
use embassy_rp::watchdog::Watchdog;

use crate::pins::SUPPLY_PIN;

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cut()
}

// SAFETY: nothing that was interrupted goes on after this.
#[exception]
unsafe fn HardFault(_: &ExceptionFrame) -> ! {
    cut()
}

/// By registers alone, since nothing of the program can be relied on any more.
fn cut() -> ! {
    cortex_m::interrupt::disable();
    pac::SIO.gpio_out(0).value_clr().write_value(1 << SUPPLY_PIN);
    // SAFETY: interrupts are off and this never returns, so nobody else uses the watchdog again.
    let mut watchdog = unsafe { Watchdog::new(WATCHDOG::steal()) };
    loop {
        watchdog.trigger_reset();
    }
}
