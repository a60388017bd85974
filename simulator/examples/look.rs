//! Draws a few episodes' first frames of every task, four times enlarged: `look contact-sheet.png`.

use robot::Frame;
use simulator::{Simulator, Task};

const COLUMNS: usize = 5;
const ENLARGE: usize = 4;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: look <contact-sheet.png>")?;
    let mut frame = Frame::default();
    let pixels = frame.side();
    let side = (pixels * ENLARGE) as u32;
    let mut sheet = image::RgbImage::new(COLUMNS as u32 * side, 2 * Task::ALL.len() as u32 * side);
    for (task_index, task) in Task::ALL.into_iter().enumerate() {
        let mut simulator = Simulator::new(task)?;
        for seed in 0..2 * COLUMNS {
            simulator.reset(seed as u64);
            simulator.render(&mut frame);
            let left = (seed % COLUMNS) as u32 * side;
            let top = (2 * task_index + seed / COLUMNS) as u32 * side;
            for y in 0..side {
                for x in 0..side {
                    let pixel = (y as usize / ENLARGE * pixels + x as usize / ENLARGE) * 3;
                    let rgb = &frame.rgb()[pixel..pixel + 3];
                    sheet.put_pixel(left + x, top + y, image::Rgb([rgb[0], rgb[1], rgb[2]]));
                }
            }
        }
    }
    sheet.save(path)?;
    Ok(())
}
