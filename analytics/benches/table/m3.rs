//! The M3 series and the measures of the M4 competition.

use super::reference::data;

/// One series.
pub(crate) struct Series {
    pub(crate) train: Vec<f64>,
    pub(crate) test: Vec<f64>,
}

/// A collection and what is known of it.
pub(crate) struct Collection {
    /// File name without its ending.
    pub(crate) name: &'static str,
    pub(crate) period: usize,
    pub(crate) horizon: usize,
    pub(crate) series: Vec<Series>,
}

/// Reads `m3_monthly` or `m3_quarterly`; `None` where the file is not at hand.
pub(crate) fn collection(name: &'static str) -> Option<Collection> {
    let path = data(&format!("data/forecasting/{name}.csv"))?;
    let text = std::fs::read_to_string(path).ok()?;
    let mut series: Vec<Series> = Vec::new();
    let mut last = "";
    for line in text.lines().skip(1) {
        let mut fields = line.split(',');
        let (id, _, value, test) = (
            fields.next()?,
            fields.next()?,
            fields.next()?,
            fields.next()?,
        );
        if id != last {
            series.push(Series {
                train: Vec::new(),
                test: Vec::new(),
            });
            last = id;
        }
        let current = series.last_mut()?;
        let part = if test == "1" {
            &mut current.test
        } else {
            &mut current.train
        };
        part.push(value.parse().ok()?);
    }
    let (period, horizon) = if name == "m3_monthly" {
        (12, 18)
    } else {
        (4, 8)
    };
    Some(Collection {
        name,
        period,
        horizon,
        series,
    })
}

/// A forecast with the ends of its 95 % interval.
pub(crate) struct Forecast {
    pub(crate) mean: Vec<f64>,
    pub(crate) low95: Vec<f64>,
    pub(crate) high95: Vec<f64>,
}

/// Means over a collection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Score {
    pub(crate) smape: f64,
    pub(crate) mase: f64,
    /// Mean of the two relative to Naive2.
    pub(crate) owa: f64,
    pub(crate) coverage95: f64,
    pub(crate) msis95: f64,
}

/// Scores one forecast for each series of a collection (Makridakis, Spiliotis and Assimakopoulos 2020).
pub(crate) fn score(collection: &Collection, forecasts: &[Forecast]) -> Score {
    let base = naive2_score(collection);
    let mut ours = plain(collection, forecasts);
    ours.owa = 0.5 * (ours.smape / base.smape + ours.mase / base.mase);
    ours
}

/// Scores Naive2, which the weighted average is relative to.
pub(crate) fn naive2_score(collection: &Collection) -> Score {
    let naive: Vec<Forecast> = collection
        .series
        .iter()
        .map(|series| {
            let mean = naive2(&series.train, collection.period, series.test.len());
            Forecast {
                low95: mean.clone(),
                high95: mean.clone(),
                mean,
            }
        })
        .collect();
    plain(collection, &naive)
}

fn plain(collection: &Collection, forecasts: &[Forecast]) -> Score {
    assert_eq!(collection.series.len(), forecasts.len());
    let m = collection.period;
    let (mut smape, mut mase, mut covered, mut msis, mut scaled) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (series, forecast) in collection.series.iter().zip(forecasts) {
        let h = series.test.len() as f64;
        let (mut relative, mut absolute, mut inside, mut interval) = (0.0, 0.0, 0.0, 0.0);
        for (k, y) in series.test.iter().enumerate() {
            let (f, low, high) = (forecast.mean[k], forecast.low95[k], forecast.high95[k]);
            let size = y.abs() + f.abs();
            if size > 0.0 {
                relative += 200.0 * (y - f).abs() / size;
            }
            absolute += (y - f).abs();
            inside += f64::from(u8::from((low..=high).contains(y)));
            interval += high - low + 40.0 * ((low - y).max(0.0) + (y - high).max(0.0));
        }
        smape += relative / h;
        covered += inside / h;
        let train = &series.train;
        let scale = train
            .windows(m + 1)
            .map(|w| (w[m] - w[0]).abs())
            .sum::<f64>()
            / (train.len() - m) as f64;
        if scale > 0.0 {
            mase += absolute / h / scale;
            msis += interval / h / scale;
            scaled += 1.0;
        }
    }
    let count = forecasts.len() as f64;
    Score {
        smape: smape / count,
        mase: mase / scaled,
        owa: 1.0,
        coverage95: covered / count,
        msis95: msis / scaled,
    }
}

/// The last value, seasonally adjusted by a classical multiplicative decomposition where the correlation at one season is significant.
fn naive2(y: &[f64], m: usize, horizon: usize) -> Vec<f64> {
    let n = y.len();
    let last = y[n - 1];
    if m < 2 || !is_seasonal(y, m) {
        return vec![last; horizon];
    }
    let half = m / 2;
    let mut sums = vec![(0.0, 0.0); m];
    for t in half..n - half {
        let trend = (0.5 * (y[t - half] + y[t + half])
            + y[t - half + 1..t + half].iter().sum::<f64>())
            / m as f64;
        sums[t % m].0 += y[t] / trend;
        sums[t % m].1 += 1.0;
    }
    let factors: Vec<f64> = sums.iter().map(|(sum, count)| sum / count).collect();
    let mean = factors.iter().sum::<f64>() / m as f64;
    let level = last / (factors[(n - 1) % m] / mean);
    (0..horizon)
        .map(|h| level * factors[(n + h) % m] / mean)
        .collect()
}

fn is_seasonal(y: &[f64], m: usize) -> bool {
    let n = y.len();
    if n < 3 * m {
        return false;
    }
    let mean = y.iter().sum::<f64>() / n as f64;
    let from: Vec<f64> = y.iter().map(|v| v - mean).collect();
    let total: f64 = from.iter().map(|v| v * v).sum();
    if total == 0.0 {
        return false;
    }
    let correlation = |k: usize| (k..n).map(|t| from[t] * from[t - k]).sum::<f64>() / total;
    let spread = 1.0 + (1..m).map(|k| 2.0 * correlation(k).powi(2)).sum::<f64>();
    correlation(m).abs() > 1.645 * (spread / n as f64).sqrt()
}
