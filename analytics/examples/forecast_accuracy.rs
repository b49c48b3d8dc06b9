//! Accuracy of the forecasts on a collection of series with hold-outs, by the measures of the M4 competition.
//!
//! ```sh
//! cargo run --release -p analytics --example forecast_accuracy -- m3_monthly.csv 12
//! ```
//!
//! The file has the columns `unique_id,t,y,is_test`, as the M competitions are usually passed on; the second argument is the
//! length of a season. OWA is measured against Naive2 (the naive forecast of the seasonally adjusted series), like the
//! competition did. No such collection is shipped with this project.

use std::{collections::BTreeMap, error::Error, process::ExitCode, time::Instant};

use analytics::forecast::{
    Model, Options, Step, coverage, forecast, forecast_with, mase, msis, scale, smape,
};

/// Past and hold-out of each series.
type Collection = BTreeMap<String, (Vec<f64>, Vec<f64>)>;

/// Sums of the measures over series.
#[derive(Default)]
struct Sums {
    series: f64,
    scaled: f64,
    smape: f64,
    mase: f64,
    inside80: f64,
    inside95: f64,
    msis: f64,
}

impl Sums {
    fn add(&mut self, train: &[f64], test: &[f64], period: usize, steps: &[Step]) {
        let points: Vec<f64> = steps.iter().map(|s| s.mean).collect();
        self.series += 1.0;
        self.smape += smape(test, &points);
        let (inside80, inside95) = coverage(test, steps);
        self.inside80 += inside80;
        self.inside95 += inside95;
        if let Some(scale) = scale(train, period) {
            self.scaled += 1.0;
            self.mase += mase(test, &points, scale);
            self.msis += msis(test, steps, scale);
        }
    }

    fn owa(&self, reference: &Self) -> f64 {
        let smape = (self.smape / self.series) / (reference.smape / reference.series);
        let mase = (self.mase / self.scaled) / (reference.mase / reference.scaled);
        0.5 * (smape + mase)
    }
}

fn read(path: &str) -> Result<Collection, Box<dyn Error>> {
    let mut collection = Collection::new();
    for row in csv::Reader::from_path(path)?.records() {
        let row = row?;
        let (past, future) = collection.entry(row[0].to_owned()).or_default();
        let value: f64 = row[2].trim().parse()?;
        if row[3].trim() == "1" {
            future.push(value)
        } else {
            past.push(value)
        }
    }
    Ok(collection)
}

/// The competition's Naive2: seasonal factors by classical multiplicative decomposition when the autocorrelation test finds a
/// season, and the last adjusted value.
fn naive2(values: &[f64], horizon: usize, period: usize) -> Vec<f64> {
    let n = values.len();
    let last = values[n - 1];
    if period < 2 || !seasonal(values, period) {
        return vec![last; horizon];
    }
    let half = period / 2;
    let mut sums = vec![(0.0, 0.0); period];
    for t in half..n - half {
        let trend = if period.is_multiple_of(2) {
            (0.5 * (values[t - half] + values[t + half])
                + values[t - half + 1..t + half].iter().sum::<f64>())
                / period as f64
        } else {
            values[t - half..=t + half].iter().sum::<f64>() / period as f64
        };
        sums[t % period].0 += values[t] / trend;
        sums[t % period].1 += 1.0;
    }
    let factors: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    (0..horizon)
        .map(|h| last / factors[(n - 1) % period] * factors[(n + h) % period])
        .collect()
}

fn seasonal(values: &[f64], period: usize) -> bool {
    let n = values.len();
    if n < 3 * period {
        return false;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    let total: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let correlation = |lag: usize| {
        values[lag..]
            .iter()
            .zip(values)
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / total
    };
    let spread: f64 = 1.0 + 2.0 * (1..period).map(|lag| correlation(lag).powi(2)).sum::<f64>();
    correlation(period).abs() > 1.645 * (spread / n as f64).sqrt()
}

fn run(path: &str, period: usize) -> Result<(), Box<dyn Error>> {
    let collection = read(path)?;
    let mut reference = Sums::default();
    for (train, test) in collection.values() {
        let flat = |mean: f64| Step {
            mean,
            low80: mean,
            high80: mean,
            low95: mean,
            high95: mean,
        };
        let steps: Vec<Step> = naive2(train, test.len(), period)
            .into_iter()
            .map(flat)
            .collect();
        reference.add(train, test, period, &steps);
    }
    println!("{} series", collection.len());
    println!(
        "{:16} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>9}",
        "model", "sMAPE", "MASE", "OWA", "in 80%", "in 95%", "MSIS", "ms/series"
    );
    let candidates = std::iter::once(None).chain(Model::ALL.into_iter().map(Some));
    for wanted in candidates {
        let started = Instant::now();
        let mut sums = Sums::default();
        for (train, test) in collection.values() {
            let options = Options::new(test.len(), period);
            let made = match wanted {
                None => forecast(train, &options)?,
                Some(model) => forecast_with(train, &options, model)?,
            };
            sums.add(train, test, period, &made.steps);
        }
        let each = 1e3 * started.elapsed().as_secs_f64() / sums.series;
        println!(
            "{:16} {:7.3} {:7.3} {:7.4} {:7.3} {:7.3} {:7.2} {:9.2}",
            wanted.map_or("(champion)", Model::name),
            sums.smape / sums.series,
            sums.mase / sums.scaled,
            sums.owa(&reference),
            sums.inside80 / sums.series,
            sums.inside95 / sums.series,
            sums.msis / sums.scaled,
            each
        );
    }
    println!("(times include the backtest of all models)");
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, period] = arguments.as_slice() else {
        eprintln!("usage: forecast_accuracy FILE.csv SEASON_LENGTH");
        return ExitCode::from(2);
    };
    let outcome = period
        .parse()
        .map_err(Into::into)
        .and_then(|period| run(path, period));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
