//! `armillary calibrate board` and `camera`.

use std::path::PathBuf;

use anyhow::bail;
use armillary::calibrate::{Person, camera};
use devices::{Camera, OpenCamera};
use robot::{Config, SystemClock};
use vision::Board;

use super::terminal::{Terminal, Told};

/// The board.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct BoardShape {
    /// Squares in a row
    #[arg(long, default_value_t = 7)]
    columns: u32,
    /// Squares in a column
    #[arg(long, default_value_t = 5)]
    rows: u32,
    /// Side of a square, in millimetres, as measured on the print
    #[arg(long, default_value_t = 30.0)]
    square_mm: f64,
}

impl BoardShape {
    pub(super) fn board(&self) -> anyhow::Result<Board> {
        if !(3..=30).contains(&self.columns) || !(3..=30).contains(&self.rows) {
            bail!(
                "--columns {} --rows {}: from 3 to 30 squares",
                self.columns,
                self.rows
            );
        }
        if !(self.square_mm >= 2.0 && self.square_mm <= 500.0) {
            bail!("--square-mm {}: from 2 to 500 mm", self.square_mm);
        }
        Ok(Board {
            columns: self.columns,
            rows: self.rows,
            square_m: self.square_mm / 1e3,
            ..Board::default()
        })
    }
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct PrintBoard {
    /// The file to write, an SVG; print it at 100 %
    #[arg(long, default_value = "board.svg")]
    out: PathBuf,
    #[command(flatten)]
    shape: BoardShape,
}

/// Arguments.
#[derive(Debug, clap::Args)]
pub(crate) struct MeasureCamera {
    /// Robot file; the lens is written into its `capture`, and a file of the camera beside it
    #[arg(long)]
    pub(super) robot: PathBuf,
    /// Frame socket to see by, in the place of the camera that the robot file names
    #[arg(long)]
    frames: Option<PathBuf>,
    /// Pictures of the board that are there already, in the place of the camera: a folder of PNG and JPEG files
    #[arg(long, conflicts_with = "frames")]
    pictures: Option<PathBuf>,
    /// Name of the file that is written, in the robot file's folder [default: as the robot file, with `.camera.ron`]
    #[arg(long)]
    out: Option<String>,
    #[command(flatten)]
    shape: BoardShape,
}

/// Writes a board to print.
pub(super) fn print(arguments: &PrintBoard) -> anyhow::Result<()> {
    let board = arguments.shape.board()?;
    let is_ours = |bytes: &[u8]| bytes.starts_with(b"<svg ");
    files::put(&arguments.out, camera::board_svg(&board)?.as_bytes(), &is_ours)?;
    let [width, height] = board.size_m().map(|metres| metres * 1e3);
    armillary::say!(
        "{}: a board of {width:.0} x {height:.0} mm. Print it at 100 %, glue it to a plate, and measure a square: --square-mm is its length",
        arguments.out.display()
    );
    Ok(())
}

/// Measures the lens, and writes it.
pub(super) fn measure(arguments: &MeasureCamera) -> anyhow::Result<()> {
    let robot = &arguments.robot;
    let config = Config::load(robot)?;
    let board = arguments.shape.board()?;
    let name = arguments
        .out
        .clone()
        .unwrap_or_else(|| super::beside(robot, "camera"));
    let measured = if let Some(folder) = &arguments.pictures {
        camera::of_pictures(&mut Told, folder, &board)?
    } else {
        let mut person = Terminal::new("calibrate camera")?;
        let OpenCamera { mut camera, .. } =
            Camera::of(&config, arguments.frames.as_deref())?.open(&config)?;
        person.tell(
            "Show the board to the camera: near, far, in each corner, tilted to each side. Hold it still for a moment each time. The map shows where it was seen; \
             Enter ends.",
        );
        camera::guide(&mut person, &mut *camera, &board, &SystemClock::default())?
    };
    for line in camera::lines(&measured) {
        armillary::say!("{line}");
    }
    let picture = robot.with_extension("camera.svg");
    let is_ours = |bytes: &[u8]| bytes.starts_with(b"<svg ");
    files::put(&picture, camera::draw(&measured).as_bytes(), &is_ours)?;
    armillary::say!("picture {}", picture.display());
    let written = camera::keep(robot, &name, &super::now(), &config, &measured)?;
    armillary::say!(
        "{}: written, and the lens into {}. A model that was trained without it does not fit any more: record anew, or `armillary recrop`",
        written.display(),
        robot.display()
    );
    Ok(())
}
