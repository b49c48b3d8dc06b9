//! The simulated market behind the demo: kept as seed and the spend of every simulated week, written out as the file an
//! importer gets, with a mapping like any other.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::{Path, PathBuf},
};

use analytics::market::{
    HISTORY, HORIZON, Row, World,
    catalogue::{BRANDS, CHANNEL_COUNT, LINES, METRICS, Metric, PROJECTS},
    first_week,
};
use chrono::{Days, NaiveDate};
use domain::{
    Error, ErrorKind,
    brand::BrandRole,
    mapping::{DateRule, FileFormat, Mapping, MetricColumn, NameRule, RoleRule, Scale, ValueRules},
    metric::{Direction, Granularity, MetricUnit},
    quality::{Cleaning, QualityLimits},
};
use serde::{Deserialize, Serialize};

/// Name of the mapping, and source of the demo's values.
const MAPPING: &str = "demo-market";

/// Which market is simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// Seed of everything random.
    pub(crate) seed: u64,
    /// Without anything to find: no brand moves another, and every marginal return is 1.
    #[serde(default)]
    pub(crate) is_null: bool,
}

impl Wanted {
    fn world(self) -> World {
        if self.is_null {
            World::null(self.seed)
        } else {
            World::planted(self.seed)
        }
    }
}

/// What is kept of the market between two starts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    #[serde(flatten)]
    wanted: Wanted,
    /// Weeks simulated after the history, each with the weekly spend of every line.
    segments: Vec<(usize, Vec<f64>)>,
}

/// The market of a demo, with the folder its files lie in.
#[derive(Debug)]
pub(super) struct Market {
    folder: PathBuf,
    kept: Kept,
    world: World,
}

impl Market {
    /// A new market, kept in `folder`.
    ///
    /// # Errors
    /// `demo.files` when the folder cannot be written.
    pub(super) fn create(folder: &Path, wanted: Wanted) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|error| files(folder, &error))?;
        let market = Self {
            folder: folder.to_owned(),
            kept: Kept {
                wanted,
                segments: Vec::new(),
            },
            world: wanted.world(),
        };
        market.keep()?;
        Ok(market)
    }

    /// The market kept in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// `demo.files` when what is kept there cannot be read.
    pub(super) fn reopen(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join("market.json");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files(&path, &error)),
        };
        let kept: Kept = serde_json::from_str(&text).map_err(|error| {
            Error::new(
                ErrorKind::Internal,
                "demo.files",
                format!("{}: {error}", path.display()),
            )
        })?;
        let mut world = kept.wanted.world();
        for (weeks, spend) in &kept.segments {
            world.advance(*weeks, spend);
        }
        Ok(Some(Self {
            folder: folder.to_owned(),
            kept,
            world,
        }))
    }

    /// Writes what must survive, and the truth to a file apart. Nothing but the demo's report and people read it.
    fn keep(&self) -> Result<(), Error> {
        let write = |name: &str, text: String| {
            let (path, half) = (
                self.folder.join(name),
                self.folder.join(format!("{name}.new")),
            );
            std::fs::write(&half, text)
                .and_then(|()| std::fs::rename(&half, &path))
                .map_err(|error| files(&path, &error))
        };
        write("market.json", json(&self.kept))?;
        write("truth.json", json(&self.world.truth()))
    }

    /// The truth, for the report.
    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Weeks simulated after the history.
    pub(super) fn weeks_simulated(&self) -> u32 {
        u32::try_from(self.world.weeks() - HISTORY).unwrap_or(u32::MAX)
    }

    /// The last day of the last week that has happened.
    pub(super) fn last_day(&self) -> NaiveDate {
        Self::monday(self.world.weeks()) - Days::new(1)
    }

    /// Monday of week `week`, counted from 0.
    pub(super) fn monday(week: usize) -> NaiveDate {
        first_week() + Days::new(7 * week as u64)
    }

    /// Lets `weeks` weeks happen; `spend` tells the weekly spend of each line (brand and channel by name and key) in the
    /// week that starts on a Monday, `None` meaning that it goes on as before. Returns the first new week.
    ///
    /// # Errors
    /// `demo.horizon` when the market cannot go that far, `demo.files` when it cannot be kept.
    pub(super) fn advance(
        &mut self,
        weeks: usize,
        spend: impl Fn(NaiveDate, &str, &str) -> Option<f64>,
    ) -> Result<usize, Error> {
        let from = self.world.weeks();
        if from + weeks > HORIZON {
            return Err(Error::conflict(
                "demo.horizon",
                format!("the market ends after {} more weeks", HORIZON - from),
            )
            .advise("start a new demo"));
        }
        let usual = self.world.baseline();
        for week in from..from + weeks {
            let plan: Vec<f64> = (0..LINES)
                .map(|line| {
                    let (brand, channel) = (BRANDS[line / CHANNEL_COUNT].name, World::line(line).1);
                    spend(Self::monday(week), brand, channel).unwrap_or(usual[line])
                })
                .collect();
            self.world.advance(1, &plan);
            match self.kept.segments.last_mut() {
                Some((length, same)) if *same == plan => *length += 1,
                _ => self.kept.segments.push((1, plan)),
            }
        }
        self.keep()?;
        Ok(from)
    }

    /// Writes weeks `from..` as a file and returns its path.
    ///
    /// # Errors
    /// `demo.files`.
    pub(super) fn export(&self, from: usize) -> Result<PathBuf, Error> {
        let path = self
            .folder
            .join(format!("market-{}.csv", Self::monday(from)));
        std::fs::write(&path, csv(&self.world.rows(from, self.world.weeks())))
            .map_err(|error| files(&path, &error))?;
        Ok(path)
    }

    /// The mapping of these files, as people would write it.
    ///
    /// # Errors
    /// `demo.files`.
    pub(super) fn mapping(&self) -> Result<String, Error> {
        let text = toml::to_string_pretty(&mapping()).expect("a mapping is plain data");
        let path = self.folder.join("market.mapping.toml");
        std::fs::write(&path, &text).map_err(|error| files(&path, &error))?;
        Ok(text)
    }

    /// Share of sales value left before media and promotion cost, by name of the own brand. The market states a margin per
    /// unit; people state a share, so it is taken of the mean price the brand's buyers paid.
    pub(super) fn margins(&self) -> BTreeMap<&'static str, f64> {
        let rows = self.world.rows(0, self.world.weeks());
        let of = |key: &str| -> HashMap<(&str, &str, NaiveDate), f64> {
            rows.iter()
                .filter(|r| r.metric == key)
                .map(|r| ((r.project, r.brand, r.period), r.value))
                .collect()
        };
        let (units, prices) = (of("units_sold"), of("average_price"));
        self.world
            .margins()
            .into_iter()
            .zip(BRANDS)
            .map(|((key, margin), brand)| {
                let (mut sold, mut paid) = (0.0, 0.0);
                for (place, count) in units.iter().filter(|((_, b, _), _)| *b == key) {
                    if let Some(price) = prices.get(place) {
                        sold += count;
                        paid += count * price;
                    }
                }
                (brand.name, margin * sold / paid)
            })
            .collect()
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data")
}

fn files(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "demo.files",
        format!("{}: {error}", path.display()),
    )
    .advise("choose a folder that can be written with --dir")
}

/// One line per project, brand and week, one column per metric; a value that was not observed is an empty cell.
fn csv(rows: &[Row]) -> String {
    let metric: HashMap<&str, usize> = METRICS
        .iter()
        .enumerate()
        .map(|(i, m)| (m.key, i))
        .collect();
    let mut lines: BTreeMap<(&str, &str, NaiveDate), [Option<f64>; METRICS.len()]> =
        BTreeMap::new();
    for row in rows {
        lines
            .entry((row.project, row.brand, row.period))
            .or_insert([None; METRICS.len()])[metric[row.metric]] = Some(row.value);
    }
    let mut text = String::from("region,brand,owner,week");
    for metric in &METRICS {
        text.push(',');
        text.push_str(metric.key);
    }
    text.push('\n');
    let name_of = |key: &str| {
        PROJECTS
            .iter()
            .find(|(k, _)| *k == key)
            .map_or("", |(_, name)| name)
    };
    for ((project, brand, week), values) in lines {
        let (name, owner) = BRANDS
            .iter()
            .find(|b| b.key == brand)
            .map_or((brand, "rival"), |b| {
                (b.name, if b.own { "own" } else { "rival" })
            });
        // Writing to a String cannot fail.
        let _ = write!(text, "{},{name},{owner},{week}", name_of(project));
        for value in values {
            let _ = match value {
                Some(value) => write!(text, ",{value}"),
                None => write!(text, ","),
            };
        }
        text.push('\n');
    }
    text
}

fn mapping() -> Mapping {
    let column = |column: &str| NameRule {
        column: Some(column.to_owned()),
        ..NameRule::default()
    };
    Mapping {
        name: MAPPING.to_owned(),
        description: "Weekly export of the simulated market: a line per region, brand and week"
            .to_owned(),
        granularity: Granularity::Week,
        restatement_weeks: Some(8),
        file: FileFormat::default(),
        date: DateRule {
            column: "week".to_owned(),
            format: domain::mapping::DateFormat::Iso,
            align: false,
            time_zone: "Europe/Berlin".to_owned(),
        },
        brand: column("brand"),
        project: column("region"),
        roles: RoleRule {
            default: BrandRole::Primary,
            column: Some("owner".to_owned()),
            values: BTreeMap::from([
                ("own".to_owned(), BrandRole::Primary),
                ("rival".to_owned(), BrandRole::Competitor),
            ]),
        },
        long: None,
        values: ValueRules::default(),
        filter: Vec::new(),
        rates: None,
        ignore: Vec::new(),
        metric: METRICS.iter().map(metric_column).collect(),
    }
}

fn metric_column(metric: &Metric) -> MetricColumn {
    MetricColumn {
        column: metric.key.to_owned(),
        key: metric.key.to_owned(),
        name: metric.name.to_owned(),
        section: metric.section,
        role: metric.role,
        unit: match metric.unit {
            "EUR" => MetricUnit::Currency,
            "%" => MetricUnit::Percent,
            "rank" => MetricUnit::Rank,
            "seconds" => MetricUnit::Seconds,
            _ if metric.additive => MetricUnit::Count,
            _ => MetricUnit::Index,
        },
        direction: if metric.higher_is_better {
            Direction::Direct
        } else {
            Direction::Indirect
        },
        weight: metric.weight,
        channel: metric.channel.map(str::to_owned),
        platform: metric.platform.to_owned(),
        divide_by: 1.0,
        scale: Scale::One,
        currency: None,
        min: None,
        max: None,
        levels: BTreeMap::new(),
        na_value: None,
        cleaning: Cleaning::default(),
        quality: QualityLimits::default(),
    }
}

/// Name of a brand by its key in the market.
pub(super) fn brand_name(key: &str) -> &'static str {
    BRANDS.iter().find(|b| b.key == key).map_or("", |b| b.name)
}

#[cfg(test)]
mod tests {
    use analytics::{
        cancel::never,
        ingest::{Item, Limits, parse, read_mapping},
        market::catalogue::OWN,
    };

    use super::*;

    fn planted(seed: u64) -> Wanted {
        Wanted {
            seed,
            is_null: false,
        }
    }

    #[test]
    fn a_market_kept_by_an_earlier_version_is_a_planted_one() {
        let kept: Kept = serde_json::from_str(r#"{"seed":7,"segments":[]}"#).expect("it is read");
        assert_eq!(kept.wanted, planted(7));
    }

    #[test]
    fn the_file_says_what_the_market_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let market = Market::create(folder.path(), planted(1_001)).expect("a market");
        let path = market.export(150).expect("a file");
        let mapping = read_mapping(&market.mapping().expect("a mapping")).expect("a sound mapping");
        let rows = market.world().rows(150, HISTORY);
        let mut sum = 0.0;
        let mut count = 0;
        let file = std::fs::File::open(path).expect("the file");
        parse(file, &mapping, &Limits::default(), &never, &mut |item| {
            match item {
                Item::Value(value) => {
                    sum += value.value;
                    count += 1;
                }
                Item::Reject(reject) => panic!("{reject:?}"),
            }
            Ok(())
        })
        .expect("it is read");
        assert_eq!(count, rows.len());
        let expected: f64 = rows.iter().map(|r| r.value).sum();
        assert!(
            (sum - expected).abs() <= 1e-9 * expected.abs(),
            "{sum} {expected}"
        );
    }

    #[test]
    fn a_market_that_was_advanced_is_the_same_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut market = Market::create(folder.path(), planted(1_002)).expect("a market");
        let usual = market.world().baseline();
        market
            .advance(3, |_, brand, channel| {
                (brand == "Alder" && channel == "search").then_some(2.0 * usual[0])
            })
            .expect("it goes on");
        let again = Market::reopen(folder.path()).expect("files").expect("kept");
        assert_eq!(
            market.world().rows(HISTORY, HISTORY + 3),
            again.world().rows(HISTORY, HISTORY + 3)
        );
        assert_eq!(again.last_day(), Market::monday(HISTORY + 3) - Days::new(1));
        assert_eq!(again.weeks_simulated(), 3);
    }

    #[test]
    fn margins_are_shares_of_sales() {
        let folder = tempfile::tempdir().expect("a folder");
        let market = Market::create(folder.path(), planted(1_003)).expect("a market");
        let margins = market.margins();
        assert_eq!(margins.len(), OWN);
        assert!(
            margins.values().all(|share| (0.2..0.6).contains(share)),
            "{margins:?}"
        );
    }
}
