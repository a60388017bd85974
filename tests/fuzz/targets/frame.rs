#![no_main]

#[path = "../checks/frame.rs"]
mod check;
mod seeds;

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;

thread_local! {
    static CHECK: RefCell<check::Check> = RefCell::default();
}

fuzz_target!(
    init: CHECK.with_borrow(|check| seeds::write(&check.seeds())),
    |data: &[u8]| CHECK.with_borrow_mut(|check| check.check(data))
);
