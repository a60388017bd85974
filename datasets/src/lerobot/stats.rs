//! Statistics of features, for those who normalise by them.

use serde_json::{Map, Value, json};

/// Minimum, maximum and the sums behind mean and deviation of one feature.
#[derive(Debug, Clone)]
pub(super) struct Stats {
    low: Vec<f64>,
    high: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
    /// Numbers an element.
    count: u64,
    /// Observations, which LeRobot calls the count.
    observed: u64,
}

impl Stats {
    pub(super) fn new(width: usize) -> Self {
        Self {
            low: vec![f64::INFINITY; width],
            high: vec![f64::NEG_INFINITY; width],
            sum: vec![0.0; width],
            squares: vec![0.0; width],
            count: 0,
            observed: 0,
        }
    }

    /// One observation of one vector.
    pub(super) fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        self.observed += 1;
        self.add_element(values);
    }

    /// A picture: its pixels are elements of one observation, in [0, 1].
    pub(super) fn add_picture(&mut self, rgb: &[u8]) {
        self.observed += 1;
        for pixel in rgb.chunks_exact(3) {
            self.add_element(pixel.iter().map(|&value| f64::from(value) / 255.0));
        }
    }

    fn add_element(&mut self, values: impl IntoIterator<Item = f64>) {
        self.count += 1;
        for (index, value) in values.into_iter().enumerate().take(self.sum.len()) {
            self.low[index] = self.low[index].min(value);
            self.high[index] = self.high[index].max(value);
            self.sum[index] += value;
            self.squares[index] += value * value;
        }
    }

    /// As `stats.json` has it; `picture` nests channels as LeRobot does, `[[[r]], [[g]], [[b]]]`.
    pub(super) fn json(&self, picture: bool) -> Value {
        let count = self.count.max(1) as f64;
        let mean: Vec<f64> = self.sum.iter().map(|sum| sum / count).collect();
        let deviation: Vec<f64> = self
            .squares
            .iter()
            .zip(&mean)
            .map(|(squares, mean)| (squares / count - mean * mean).max(0.0).sqrt())
            .collect();
        let shaped = |values: &[f64]| -> Value {
            if picture {
                values.iter().map(|value| json!([[value]])).collect()
            } else {
                json!(values)
            }
        };
        let mut map = Map::new();
        for (name, values) in [
            ("min", &self.low),
            ("max", &self.high),
            ("mean", &mean),
            ("std", &deviation),
        ] {
            map.insert(name.to_owned(), shaped(values));
        }
        map.insert("count".to_owned(), json!([self.observed]));
        Value::Object(map)
    }
}
