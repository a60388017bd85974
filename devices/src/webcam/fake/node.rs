//! An open node of the camera: what it answers, and the buffers that circulate.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use robot::{Clock, MonotonicNs};

use super::super::abi::{
    Buffer, CAP_DEVICE_CAPS, CAP_STREAMING, CAP_TIME_PER_FRAME, CAP_VIDEO_CAPTURE, DISCRETE, FLAG_ERROR,
    FLAG_STAMP_MONOTONIC,
};
use super::super::kernel::{Call, Kernel, Readiness};
use super::camera::{Fault, Offered, bytes_max, draw, rows};
use super::{World, lock};

/// Seconds that the wall clock is ahead of the clock since boot.
const WALL_CLOCK_S: i64 = 1_700_000_000;

pub(super) struct Node {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
    plugging: u64,
    chosen: Option<Offered>,
    /// Seconds between pictures: numerator, denominator.
    interval: [u32; 2],
    buffers: Vec<Vec<u8>>,
    held: Vec<bool>,
    queued: VecDeque<u32>,
    done: VecDeque<Buffer>,
    /// A picture that is handed over after the next.
    late: Option<Buffer>,
    /// When the next picture is taken; `None` while nothing runs.
    due_ns: Option<MonotonicNs>,
    sequence: u32,
}

impl Node {
    pub(super) fn new(world: Arc<Mutex<World>>, clock: Arc<dyn Clock>, plugging: u64) -> Self {
        Self {
            world,
            clock,
            plugging,
            chosen: None,
            interval: [1, 30],
            buffers: Vec::new(),
            held: Vec::new(),
            queued: VecDeque::new(),
            done: VecDeque::new(),
            late: None,
            due_ns: None,
            sequence: 0,
        }
    }

    /// What a node of a camera that was pulled out answers.
    fn dead(&self) -> Option<Errno> {
        let mut world = lock(&self.world);
        world.look(self.clock.now_ns());
        let alive = world.back_ns.is_none() && world.plugging == self.plugging;
        (!alive).then_some(world.gone)
    }

    fn period_ns(&self) -> u64 {
        1_000_000_000 * u64::from(self.interval[0]) / u64::from(self.interval[1].max(1))
    }

    /// When the next picture arrives.
    fn arrives_ns(&self) -> Option<MonotonicNs> {
        Some(self.due_ns? + lock(&self.world).latency_ns)
    }

    /// Takes all pictures that have arrived by `now_ns`.
    fn take_pictures(&mut self, now_ns: MonotonicNs) {
        while self.dead().is_none() {
            match (self.due_ns, self.arrives_ns()) {
                (Some(due_ns), Some(arrives_ns)) if arrives_ns <= now_ns => self.take_picture(due_ns),
                _ => return,
            }
        }
    }

    fn take_picture(&mut self, due_ns: MonotonicNs) {
        let Some(offered) = self.chosen else {
            return;
        };
        let mut world = lock(&self.world);
        let number = world.next;
        let fault = world.faults.remove(&number);
        match fault {
            Some(Fault::Stall { ns }) => {
                self.due_ns = Some(due_ns + ns);
                return;
            }
            Some(Fault::Unplug { ns, answer }) => {
                world.next += 1;
                (world.back_ns, world.gone) = (Some(due_ns + world.latency_ns + ns), answer);
                return;
            }
            _ => {}
        }
        world.next += 1;
        let place = (number % world.taken_ns.len() as u64) as usize;
        world.taken_ns[place] = (number, due_ns);
        self.due_ns = Some(due_ns + self.period_ns());
        let sequence = self.sequence;
        self.sequence += 1;
        if fault == Some(Fault::Lost) {
            return;
        }
        let Some(index) = self.queued.pop_front() else {
            // Nowhere to put it: as every driver does.
            return;
        };
        let memory = &mut self.buffers[index as usize];
        let mut bytes = if world.pictures.is_empty() {
            let number = if fault == Some(Fault::Frozen) { 0 } else { number };
            draw(&offered, number, fault == Some(Fault::Black), memory)
        } else {
            let picture = &world.pictures[(number % world.pictures.len() as u64) as usize];
            let length = picture.len().min(memory.len());
            memory[..length].copy_from_slice(&picture[..length]);
            length as u32
        };
        if let Some(Fault::Short { bytes: short }) = fault {
            bytes = short.min(bytes);
        }
        let wall = matches!(fault, Some(Fault::WallClock | Fault::WallClockAsMonotonic));
        let mut buffer = Buffer {
            index,
            bytes_used: bytes,
            flags: FLAG_STAMP_MONOTONIC,
            stamp_s: (due_ns / 1_000_000_000) as i64 + if wall { WALL_CLOCK_S } else { 0 },
            stamp_us: (due_ns % 1_000_000_000 / 1_000) as i64,
            sequence,
            ..Buffer::default()
        };
        match fault {
            Some(Fault::Flagged) => buffer.flags |= FLAG_ERROR,
            Some(Fault::WallClock) => buffer.flags = 0,
            Some(Fault::Index(index)) => buffer.index = index,
            Some(Fault::Disordered) => {
                self.late = Some(buffer);
                return;
            }
            _ => {}
        }
        self.done.push_back(buffer);
        self.done.extend(self.late.take());
    }

    fn choose(&mut self, width: u32, height: u32, code: u32) -> Result<Offered, Errno> {
        let world = lock(&self.world);
        let distance = |offered: &&Offered| {
            let apart = offered.width.abs_diff(width) + offered.height.abs_diff(height);
            (offered.code != code, apart)
        };
        let chosen = world.offered.iter().min_by_key(distance).copied();
        self.chosen = chosen;
        chosen.ok_or(Errno::EINVAL)
    }

    fn streaming(&mut self, call: Call<'_>) -> Result<(), Errno> {
        match call {
            Call::RequestBuffers(request) => {
                let offered = self.chosen.ok_or(Errno::EINVAL)?;
                let length = bytes_max(&offered) as usize;
                self.buffers = vec![vec![0; length]; request.count as usize];
                self.held = vec![false; request.count as usize];
            }
            Call::QueryBuffer(buffer) => {
                let memory = self.buffers.get(buffer.index as usize).ok_or(Errno::EINVAL)?;
                buffer.length = memory.len() as u32;
            }
            Call::Queue(buffer) => {
                let held = self.held.get_mut(buffer.index as usize).ok_or(Errno::EINVAL)?;
                *held = false;
                self.queued.push_back(buffer.index);
            }
            Call::Dequeue(buffer) => {
                self.take_pictures(self.clock.now_ns());
                if let Some(errno) = self.dead() {
                    return Err(errno);
                }
                *buffer = self.done.pop_front().ok_or(Errno::EAGAIN)?;
                if let Some(held) = self.held.get_mut(buffer.index as usize) {
                    *held = true;
                }
            }
            Call::StreamOn => self.due_ns = Some(self.clock.now_ns() + self.period_ns()),
            Call::StreamOff => self.due_ns = None,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(())
    }

    fn control(&mut self, call: Call<'_>) -> Result<(), Errno> {
        let mut world = lock(&self.world);
        match call {
            Call::QueryControl(about) => {
                let [low, high, _] = *world.controls.get(&about.id).ok_or(Errno::EINVAL)?;
                (about.minimum, about.maximum) = (low, high);
            }
            Call::GetControl(control) => {
                control.value = world.controls.get(&control.id).ok_or(Errno::EINVAL)?[2];
            }
            Call::SetControl(control) => {
                let [low, high, value] = world.controls.get_mut(&control.id).ok_or(Errno::EINVAL)?;
                if !(*low..=*high).contains(&control.value) {
                    return Err(Errno::ERANGE);
                }
                *value = control.value;
            }
            _ => return Err(Errno::ENOTTY),
        }
        Ok(())
    }
}

impl Kernel for Node {
    fn call(&mut self, call: Call<'_>) -> Result<(), Errno> {
        if let (false, Some(errno)) = (matches!(call, Call::Dequeue(_)), self.dead()) {
            return Err(errno);
        }
        match call {
            Call::QueryCapability(about) => {
                about.card[..4].copy_from_slice(b"Fake");
                about.driver[..4].copy_from_slice(b"fake");
                about.capabilities = CAP_DEVICE_CAPS;
                about.device_caps = CAP_VIDEO_CAPTURE | CAP_STREAMING;
            }
            Call::EnumerateFormat(format) => {
                let world = lock(&self.world);
                let mut codes: Vec<u32> = world.offered.iter().map(|offered| offered.code).collect();
                codes.dedup();
                format.pixel_format = *codes.get(format.index as usize).ok_or(Errno::EINVAL)?;
            }
            Call::EnumerateSize(size) => {
                let world = lock(&self.world);
                let code = size.pixel_format;
                let mut sizes = world.offered.iter().filter(|offered| offered.code == code);
                let offered = sizes.nth(size.index as usize).ok_or(Errno::EINVAL)?;
                size.kind = DISCRETE;
                [size.size[0], size.size[1]] = [offered.width, offered.height];
            }
            Call::EnumerateInterval(interval) => {
                let world = lock(&self.world);
                let offered = world.offered.iter().find(|offered| {
                    let size = (offered.width, offered.height);
                    offered.code == interval.pixel_format && size == (interval.width, interval.height)
                });
                let rate_hz = offered
                    .filter(|_| interval.index == 0)
                    .ok_or(Errno::EINVAL)?
                    .rate_hz_max;
                interval.kind = DISCRETE;
                [interval.interval[0], interval.interval[1]] = [1, rate_hz];
            }
            Call::SetFormat(format) => {
                let chosen = self.choose(format.width, format.height, format.pixel_format)?;
                (format.width, format.height) = (chosen.width, chosen.height);
                format.pixel_format = chosen.code;
                format.bytes_per_line = rows(&chosen).0 + chosen.padding;
                format.size_image = bytes_max(&chosen);
            }
            Call::GetParameters(parameters) => parameters.time_per_frame = self.interval,
            Call::SetParameters(parameters) => {
                let [numerator, denominator] = parameters.time_per_frame;
                let most = self.chosen.map_or(30, |offered| offered.rate_hz_max);
                let too_fast = u64::from(denominator) > u64::from(most) * u64::from(numerator);
                self.interval = if too_fast {
                    [1, most]
                } else {
                    [numerator, denominator]
                };
                parameters.time_per_frame = self.interval;
                parameters.capability = CAP_TIME_PER_FRAME;
            }
            Call::QueryControl(_) | Call::GetControl(_) | Call::SetControl(_) => return self.control(call),
            _ => return self.streaming(call),
        }
        Ok(())
    }

    fn wait(&mut self, timeout_ms: u16) -> Result<Readiness, Errno> {
        let end_ns = self.clock.now_ns() + u64::from(timeout_ms) * 1_000_000;
        loop {
            self.take_pictures(self.clock.now_ns());
            if self.dead().is_some() || !self.done.is_empty() {
                return Ok(Readiness::Ready);
            }
            match self.arrives_ns() {
                Some(arrives_ns) if arrives_ns <= end_ns => self.clock.sleep_until_ns(arrives_ns),
                _ => {
                    self.clock.sleep_until_ns(end_ns);
                    return Ok(Readiness::TimedOut);
                }
            }
        }
    }

    fn map(&mut self, index: usize, _: u32, length: usize) -> Result<(), Errno> {
        match self.buffers.get(index) {
            Some(memory) if memory.len() == length => Ok(()),
            _ => Err(Errno::EINVAL),
        }
    }

    fn memory(&self, index: usize) -> &[u8] {
        match (self.buffers.get(index), self.held.get(index)) {
            (Some(memory), Some(true)) => memory,
            _ => &[],
        }
    }
}
