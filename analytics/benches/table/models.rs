//! Single time-series models beside statsforecast's: ARIMA, CES and MSTL on the M3 monthly and quarterly series.

use analytics::cancel::never;
use analytics::forecast::{Steps, arima, ces, mstl};
use serde_json::Value;

use super::clock::Clock;
use super::m3::{self, Collection, Forecast};
use super::reference::{data, python};
use super::report::{Bar, Reference, Source, Table};

/// A model, its name in the reference's stored scores, and in what the reference's program prints.
struct Contender {
    title: &'static str,
    stored: &'static str,
    key: &'static str,
    run: fn(&[f64], usize, usize) -> Steps,
}

const CONTENDERS: [Contender; 3] = [
    Contender {
        title: "ARIMA",
        stored: "AutoARIMA",
        key: "arima",
        run: |train, period, horizon| {
            arima::auto(train, &[], &arima::Search::new(period), &never)
                .expect("M3 series have a model")
                .forecast(horizon)
        },
    },
    Contender {
        title: "CES",
        stored: "AutoCES",
        key: "ces",
        run: |train, period, horizon| {
            ces::auto(train, period)
                .expect("M3 series have a model")
                .forecast(horizon)
        },
    },
    Contender {
        title: "MSTL with CES(none) trend",
        stored: "MSTL_ETS",
        key: "mstl",
        run: |train, period, horizon| {
            mstl::fit(
                train,
                &mstl::Mstl::new(&[period]),
                |adjusted| ces::fit(adjusted, 1, ces::Form::None),
                &never,
            )
            .expect("M3 series have a model")
            .forecast(horizon)
        },
    },
];

pub(crate) fn measure(table: &mut Table) {
    for (name, stride) in [("m3_monthly", 30), ("m3_quarterly", 15)] {
        match m3::collection(name) {
            Some(collection) => compare(table, &collection, stride),
            None => {
                for contender in &CONTENDERS {
                    table.not_measured(
                        &format!("{} {name}: OWA", contender.title),
                        Bar::RatioAtMost(1.005),
                        "the M3 series are not at hand",
                    );
                }
            }
        }
    }
}

fn compare(table: &mut Table, collection: &Collection, stride: usize) {
    let name = collection.name;
    let stored = stored_scores(name);
    let path = data(&format!("data/forecasting/{name}.csv"));
    let timed = path.and_then(|path| {
        python(
            "models",
            "models.py",
            &[
                &path.to_string_lossy(),
                &collection.period.to_string(),
                &collection.horizon.to_string(),
                &stride.to_string(),
            ],
        )
    });
    let naive = m3::naive2_score(collection);
    if let Some(theirs) = stored
        .iter()
        .find(|row| row[""] == "Naive2")
        .and_then(|row| row["smape"].parse::<f64>().ok())
    {
        table.row(
            &format!("Naive2 {name}: sMAPE by our scorer"),
            naive.smape,
            Some((theirs, Source::Stored)),
            Bar::Within(round(theirs - 0.002), round(theirs + 0.002)),
            "the scorer of the stored figures is another program",
        );
    }
    for contender in &CONTENDERS {
        let title = contender.title;
        let begun = Clock::now();
        let forecasts: Vec<Forecast> = collection
            .series
            .iter()
            .map(|series| {
                interval((contender.run)(
                    &series.train,
                    collection.period,
                    series.test.len(),
                ))
            })
            .collect();
        let all = begun.milliseconds() / collection.series.len() as f64;
        let ours = m3::score(collection, &forecasts);
        let reference = |column: &str| -> Reference {
            let row = stored.iter().find(|row| row[""] == contender.stored)?;
            Some((row.get(column)?.parse().ok()?, Source::Stored))
        };
        table.row(
            &format!("{title} {name}: OWA"),
            ours.owa,
            reference("owa"),
            Bar::RatioAtMost(1.005),
            &format!(
                "{} of statsforecast; sMAPE {:.2}, MASE {:.3}",
                contender.stored, ours.smape, ours.mase
            ),
        );
        table.row(
            &format!("{title} {name}: share inside own 95 % intervals"),
            ours.coverage95,
            reference("cov95"),
            Bar::Shown,
            "before any calibration",
        );
        table.row(
            &format!("{title} {name}: MSIS 95 %"),
            ours.msis95,
            reference("MSIS95"),
            Bar::Shown,
            "before any calibration",
        );
        let most = match contender.key {
            "arima" => Bar::AtMost(25.0),
            "ces" => Bar::AtMost(5.0),
            _ => Bar::Shown,
        };
        table.row(
            &format!("{title} {name}: CPU ms per series, all series"),
            all,
            None,
            most,
            "one thread",
        );
        let sample: Vec<_> = collection.series.iter().step_by(stride).collect();
        let begun = Clock::now();
        for series in &sample {
            std::hint::black_box((contender.run)(
                &series.train,
                collection.period,
                collection.horizon,
            ));
        }
        let part = begun.milliseconds() / sample.len() as f64;
        let theirs = timed
            .as_ref()
            .and_then(|timed| timed[contender.key].as_f64())
            .map(|value| (value, Source::Measured))
            .or_else(|| Some((stored_time(name, contender.stored)?, Source::Stored)));
        table.row(
            &format!("{title} {name}: CPU ms per series, every {stride}th"),
            part,
            theirs,
            Bar::TimesFaster(10.0),
            &format!("{}, intervals included, one thread each", contender.stored),
        );
    }
}

/// Three decimals, for a readable bar.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

fn interval(steps: Steps) -> Forecast {
    let side = |sign: f64| {
        steps
            .mean
            .iter()
            .zip(&steps.sigma)
            .map(|(m, s)| m + sign * 1.959_964 * s)
            .collect()
    };
    Forecast {
        low95: side(-1.0),
        high95: side(1.0),
        mean: steps.mean,
    }
}

/// Rows of the stored table of scores by column; the model's name stands in the unnamed first one.
pub(crate) fn stored_scores(name: &str) -> Vec<std::collections::BTreeMap<String, String>> {
    let Some(path) = data(&format!("bench/forecast/ref/{name}_scores.csv")) else {
        return Vec::new();
    };
    let Ok(mut reader) = csv::Reader::from_path(path) else {
        return Vec::new();
    };
    reader.deserialize().filter_map(Result::ok).collect()
}

/// The smallest stored CPU time of a model.
fn stored_time(name: &str, model: &str) -> Option<f64> {
    let text = std::fs::read_to_string(data("bench/forecast/ref/timings.jsonl")?).ok()?;
    text.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|row| row["ds"] == name && row["model"] == model)
        .filter_map(|row| row["cpu_mean_ms"].as_f64())
        .min_by(f64::total_cmp)
}
