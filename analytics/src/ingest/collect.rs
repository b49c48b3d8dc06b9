//! The memory of a parse that must know the whole file: sums, repetitions, and absent periods.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::NaiveDate;
use domain::{
    Error, ErrorKind,
    mapping::{Absent, Duplicates, Mapping},
};

use super::{Limits, can_be_nothing, names::Names, streams};

/// What happened to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    New,
    Merged,
    Repeated,
}

/// A value that is ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) series: u32,
    pub(super) metric: usize,
    pub(super) period: NaiveDate,
    pub(super) value: f64,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    /// The value, or the sum of those that will be averaged.
    value: f64,
    rows: u32,
}

/// Everything seen so far, by key.
#[derive(Debug)]
pub(super) struct Collected {
    cells: HashMap<(u32, u32, NaiveDate), Cell>,
    duplicates: Duplicates,
    /// By metric: whether the values of several rows are averaged.
    averaged: Vec<bool>,
    max_keys: u64,
}

impl Collected {
    /// The memory a mapping needs; none when values can pass.
    pub(super) fn new(mapping: &Mapping, limits: &Limits) -> Option<Self> {
        (!streams(mapping)).then(|| Self {
            cells: HashMap::new(),
            duplicates: mapping.values.duplicates,
            averaged: mapping
                .metric
                .iter()
                .map(|metric| {
                    mapping.values.duplicates == Duplicates::Combine
                        && !metric.role.adds_up(metric.unit)
                })
                .collect(),
            max_keys: limits.max_keys,
        })
    }

    pub(super) fn add(
        &mut self,
        series: u32,
        metric: usize,
        period: NaiveDate,
        value: f64,
    ) -> Result<Added, Error> {
        if let Some(cell) = self.cells.get_mut(&(series, metric as u32, period)) {
            match self.duplicates {
                Duplicates::Reject => return Ok(Added::Repeated),
                Duplicates::Last => cell.value = value,
                Duplicates::Sum | Duplicates::Combine => cell.value += value,
            }
            cell.rows += 1;
            return Ok(Added::Merged);
        }
        self.insert(series, metric, period, Cell { value, rows: 1 })?;
        Ok(Added::New)
    }

    fn insert(
        &mut self,
        series: u32,
        metric: usize,
        period: NaiveDate,
        cell: Cell,
    ) -> Result<(), Error> {
        if self.cells.len() as u64 >= self.max_keys {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "ingest.too_many_keys",
                format!("the file has more than {} different keys to remember", self.max_keys),
            )
            .advise("split the file, or set values.duplicates = \"last\" and values.absent = \"missing\""));
        }
        self.cells.insert((series, metric as u32, period), cell);
        Ok(())
    }

    /// Distinct (series, period) keys, those that several rows made, and distinct series.
    pub(super) fn keys(&self) -> (u64, u64, u64) {
        let mut keys = HashSet::new();
        let mut merged = HashSet::new();
        let mut series = HashSet::new();
        for ((number, _, period), cell) in &self.cells {
            keys.insert((*number, *period));
            series.insert(*number);
            if cell.rows > 1 {
                merged.insert((*number, *period));
            }
        }
        (keys.len() as u64, merged.len() as u64, series.len() as u64)
    }

    /// Adds the zeros that the mapping promises and returns how many.
    pub(super) fn fill_absent(&mut self, mapping: &Mapping) -> Result<u64, Error> {
        if mapping.values.absent == Absent::Missing {
            return Ok(0);
        }
        let mut spans: BTreeMap<u32, (NaiveDate, NaiveDate)> = BTreeMap::new();
        let mut present: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for (series, metric, period) in self.cells.keys() {
            let span = spans.entry(*series).or_insert((*period, *period));
            *span = (span.0.min(*period), span.1.max(*period));
            let metrics = present.entry(*series).or_default();
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
        if mapping.values.absent == Absent::Zero {
            let whole = spans
                .values()
                .copied()
                .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
            for span in spans.values_mut() {
                *span = whole.unwrap_or(*span);
            }
        }
        let mut filled = 0;
        for (series, (first, last)) in spans {
            for metric in &present[&series] {
                if !can_be_nothing(&mapping.metric[*metric as usize]) {
                    continue;
                }
                let mut step = 0;
                loop {
                    let period = mapping.granularity.add(first, step);
                    if period > last {
                        break;
                    }
                    if !self.cells.contains_key(&(series, *metric, period)) {
                        self.insert(
                            series,
                            *metric as usize,
                            period,
                            Cell {
                                value: 0.0,
                                rows: 0,
                            },
                        )?;
                        filled += 1;
                    }
                    step += 1;
                }
            }
        }
        Ok(filled)
    }

    /// Everything by project, brand, metric and period.
    pub(super) fn sorted(self, names: &Names) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self
            .cells
            .into_iter()
            .map(|((series, metric, period), cell)| Entry {
                series,
                metric: metric as usize,
                period,
                value: if self.averaged[metric as usize] {
                    cell.value / f64::from(cell.rows.max(1))
                } else {
                    cell.value
                },
            })
            .collect();
        // Series are numbered by first appearance; people and offsets want the order of their names.
        let mut order: Vec<u32> = entries.iter().map(|e| e.series).collect();
        order.sort_unstable();
        order.dedup();
        order.sort_by(|a, b| {
            let ((pa, ba, _), (pb, bb, _)) = (names.of(*a), names.of(*b));
            (pa, ba).cmp(&(pb, bb))
        });
        let rank: HashMap<u32, usize> = order
            .into_iter()
            .enumerate()
            .map(|(rank, series)| (series, rank))
            .collect();
        entries.sort_unstable_by_key(|e| (rank[&e.series], e.metric, e.period));
        entries
    }
}
