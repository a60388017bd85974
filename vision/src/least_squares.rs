//! Least squares by Levenberg and Marquardt, with slopes by differences. Problems here have some hundred numbers at most.

use nalgebra::{DMatrix, DVector};

/// Steps at most.
const STEPS_MAX: usize = 60;

/// What was found.
pub(crate) struct Solved {
    pub(crate) parameters: DVector<f64>,
    /// At the end.
    pub(crate) residuals: DVector<f64>,
    /// Of the parameters, if the residuals are independent and alike; `None` where they do not fix all parameters.
    pub(crate) covariance: Option<DMatrix<f64>>,
}

/// Makes the sum of squares of `residuals` least, from `start` on. `step` is the size by which each parameter is varied for its slope.
pub(crate) fn solve(
    start: DVector<f64>,
    step: &[f64],
    residuals: &dyn Fn(&DVector<f64>) -> DVector<f64>,
) -> Solved {
    let mut parameters = start;
    let mut now = residuals(&parameters);
    let mut damping = 1e-3;
    for _ in 0..STEPS_MAX {
        let slopes = slopes(&parameters, step, residuals, now.len());
        let (hessian, gradient) = (slopes.tr_mul(&slopes), slopes.tr_mul(&now));
        let mut moved = false;
        for _ in 0..12 {
            let mut damped = hessian.clone();
            for index in 0..damped.nrows() {
                damped[(index, index)] += damping * hessian[(index, index)].max(1e-12);
            }
            let Some(change) = damped.cholesky().map(|decomposed| decomposed.solve(&gradient)) else {
                damping *= 10.0;
                continue;
            };
            let next = &parameters - &change;
            let then = residuals(&next);
            if then.norm_squared() < now.norm_squared() {
                let gain = 1.0 - then.norm_squared() / now.norm_squared();
                (parameters, now) = (next, then);
                damping = (damping / 10.0_f64).max(1e-12);
                moved = gain > 1e-10;
                break;
            }
            damping *= 10.0;
        }
        if !moved {
            break;
        }
    }
    let slopes = slopes(&parameters, step, residuals, now.len());
    let free = now.len().saturating_sub(parameters.len());
    let covariance = (free > 0)
        .then(|| slopes.tr_mul(&slopes).cholesky())
        .flatten()
        .map(|decomposed| decomposed.inverse() * (now.norm_squared() / free as f64));
    Solved {
        parameters,
        residuals: now,
        covariance,
    }
}

fn slopes(
    parameters: &DVector<f64>,
    step: &[f64],
    residuals: &dyn Fn(&DVector<f64>) -> DVector<f64>,
    rows: usize,
) -> DMatrix<f64> {
    let mut slopes = DMatrix::zeros(rows, parameters.len());
    let mut varied = parameters.clone();
    for (column, step) in step.iter().enumerate() {
        varied[column] = parameters[column] + step;
        let above = residuals(&varied);
        varied[column] = parameters[column] - step;
        let below = residuals(&varied);
        varied[column] = parameters[column];
        slopes.set_column(column, &((above - below) / (2.0 * step)));
    }
    slopes
}
