//! Which series can be trusted, and the values that contradict the rest of the data.
//!
//! Every series of a snapshot is checked once. What fails is kept out of the models, the forecasts, the levels and the scores by
//! whoever computes them; [`Quality::obey`] is the last look at what an agent is about to propose: nothing rests on a failed
//! series, and what rests on a reviewed one says so. Corrections of data are left alone: they are the way out.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use analytics::{
    cancel::{Cancel, Cancelled},
    quality::{Criteria, Outlier, check, outliers},
};
use chrono::{Days, NaiveDate};
use domain::{
    access::AgentKind,
    budget::Rule,
    id::{BrandId, MetricId, ProjectId},
    metric::{Granularity, MetricDefinition, MetricRole},
    quality::{QualityFinding, SeriesQuality, Verdict},
    recommendation::{Action, Kind},
    series::MetricTable,
};
use serde_json::{Value, json};

use super::{
    cleaning, provenance,
    runs::{self, SeriesRows},
};
use crate::{
    metrics::rules::Suspect,
    observe::Snapshot,
    proposal::{Proposal, Verdicts},
    view::{View, evidence},
};

/// Failed series that a run's journal names.
const NAMED: usize = 20;
/// Reviewed series that a proposal's evidence names.
const TOLD: usize = 6;
/// The code under which something is recorded as not proposed because of its data.
pub(crate) const POOR_DATA: &str = "poor_data";

/// The quality of every series of a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Quality {
    series: Vec<SeriesQuality>,
    /// Places in `series` of a brand's metric in each of its projects.
    places: BTreeMap<(BrandId, MetricId), Vec<usize>>,
}

/// The series of a table that are checked together, and where their values end.
pub(crate) struct Work {
    pub(crate) series: Vec<SeriesRows>,
    /// First day of the last period with any value, by granularity.
    until: BTreeMap<Granularity, NaiveDate>,
}

/// What is to be checked in a snapshot.
pub(crate) fn work(snapshot: &Snapshot) -> Work {
    let (view, table) = (&snapshot.view, &snapshot.table);
    let series = runs::series(table);
    let mut until: BTreeMap<Granularity, NaiveDate> = BTreeMap::new();
    for one in &series {
        let (Some(metric), Some(last)) = (view.metric(one.metric), one.rows.clone().next_back())
        else {
            continue;
        };
        let last = metric.granularity.start_of(table.period[last]);
        let known = until.entry(metric.granularity).or_insert(last);
        *known = last.max(*known);
    }
    Work { series, until }
}

/// Checks some of the series.
///
/// # Errors
/// When the caller asked to stop.
pub(crate) fn check_all(
    snapshot: &Snapshot,
    series: &[SeriesRows],
    work: &Work,
    cancel: &dyn Cancel,
) -> Result<Vec<SeriesQuality>, Cancelled> {
    let mut checked = Vec::with_capacity(series.len());
    for one in series {
        cancel.check()?;
        let report = || {
            let metric = snapshot.view.metric(one.metric)?;
            let until = *work.until.get(&metric.granularity)?;
            Some(check_one(snapshot, one, metric, until))
        };
        checked.extend(report());
    }
    Ok(checked)
}

fn check_one(
    snapshot: &Snapshot,
    one: &SeriesRows,
    metric: &MetricDefinition,
    until: NaiveDate,
) -> SeriesQuality {
    let granularity = metric.granularity;
    let (periods, values) = one.dense(&snapshot.table, granularity, Some(until));
    let criteria = Criteria::of(metric.role).with(&metric.quality);
    let report = check(&values, granularity.season(), 0, &criteria);
    let name = |at: usize| periods[at].to_string();
    let mut findings: Vec<QualityFinding> = report
        .findings
        .iter()
        .map(|(verdict, finding)| QualityFinding {
            verdict: *verdict,
            text: finding.sentence(name),
        })
        .collect();
    // Whoever relies on a value that was not delivered like that is told so.
    let changed = cleaning::sentence(snapshot.changes.of(one));
    findings.extend(changed.map(|text| QualityFinding {
        verdict: Verdict::Review,
        text,
    }));
    SeriesQuality {
        project: one.project,
        brand: one.brand,
        metric: one.metric,
        verdict: findings
            .iter()
            .map(|finding| finding.verdict)
            .max()
            .unwrap_or(Verdict::Pass),
        findings,
    }
}

impl Quality {
    pub(crate) fn new(series: Vec<SeriesQuality>) -> Self {
        let mut places: BTreeMap<(BrandId, MetricId), Vec<usize>> = BTreeMap::new();
        for (place, one) in series.iter().enumerate() {
            places
                .entry((one.brand, one.metric))
                .or_default()
                .push(place);
        }
        Self { series, places }
    }

    /// Every series, in the order of the table.
    pub(crate) fn series(&self) -> &[SeriesQuality] {
        &self.series
    }

    /// A brand's metric in each of its projects.
    fn slices(&self, brand: BrandId, metric: MetricId) -> impl Iterator<Item = &SeriesQuality> {
        self.places
            .get(&(brand, metric))
            .into_iter()
            .flatten()
            .map(|place| &self.series[*place])
    }

    /// Whether a brand's metric must not be acted on: in the project, or for the whole portfolio in any of its projects, because
    /// a sum with a wrong part is wrong.
    pub(crate) fn fails(
        &self,
        brand: BrandId,
        metric: MetricId,
        project: Option<ProjectId>,
    ) -> bool {
        self.slices(brand, metric)
            .filter(|one| project.is_none_or(|p| p == one.project))
            .any(|one| one.verdict == Verdict::Fail)
    }

    /// The values of a table that may be acted on, in its order.
    pub(crate) fn trusted(&self, known: &Arc<MetricTable>) -> Arc<MetricTable> {
        let failed: BTreeSet<(BrandId, MetricId)> = self
            .series
            .iter()
            .filter(|one| one.verdict == Verdict::Fail)
            .map(|one| (one.brand, one.metric))
            .collect();
        if failed.is_empty() {
            return Arc::clone(known);
        }
        let mut table = MetricTable::default();
        for one in runs::series(known) {
            if failed.contains(&(one.brand, one.metric)) {
                continue;
            }
            for row in one.rows {
                let (period, value) = (known.period[row], known.value[row]);
                table.push(one.project, one.brand, one.metric, period, value);
            }
        }
        Arc::new(table)
    }

    /// Why a brand's metric must not be acted on, in words; `None` when it may.
    pub(crate) fn refusal(&self, view: &View, brand: BrandId, metric: MetricId) -> Option<String> {
        let refused: Vec<String> = self
            .slices(brand, metric)
            .filter(|one| one.verdict == Verdict::Fail)
            .map(|one| told(view, one))
            .collect();
        (!refused.is_empty()).then(|| refused.join("; "))
    }

    /// What a run writes down of it.
    pub(crate) fn journal(&self, view: &View) -> Value {
        let count = |verdict| self.series.iter().filter(|s| s.verdict == verdict).count();
        let refused: Vec<String> = self
            .series
            .iter()
            .filter(|one| one.verdict == Verdict::Fail)
            .take(NAMED)
            .map(|one| told(view, one))
            .collect();
        json!({
            "pass": count(Verdict::Pass),
            "review": count(Verdict::Review),
            "fail": count(Verdict::Fail),
            "refused": refused,
        })
    }

    /// Takes out what rests on a failed series, with the reason, and adds to the evidence of the rest what was found in the
    /// series it rests on.
    pub(crate) fn obey(&self, snapshot: &Snapshot, agent: AgentKind, verdicts: &mut Verdicts) {
        let view = &snapshot.view;
        for mut proposal in std::mem::take(&mut verdicts.proposals) {
            let used = rests_on(view, &proposal);
            let refusal = used
                .iter()
                .find_map(|(brand, metric)| self.refusal(view, *brand, *metric));
            // A plan covers the whole portfolio; the models left a failed brand's sales out, so its lines stay as they are.
            match refusal.filter(|_| proposal.kind() != Kind::BudgetPlan) {
                Some(reason) => {
                    let (kind, subject) = (proposal.kind(), proposal.subject);
                    verdicts.decline(agent, kind, subject, POOR_DATA, reason);
                }
                None => {
                    self.tell(snapshot, &used, &mut proposal);
                    verdicts.proposals.push(proposal);
                }
            }
        }
    }

    fn tell(
        &self,
        snapshot: &Snapshot,
        used: &BTreeSet<(BrandId, MetricId)>,
        proposal: &mut Proposal,
    ) {
        let view = &snapshot.view;
        let doubtful: Vec<&SeriesQuality> = used
            .iter()
            .flat_map(|(brand, metric)| self.slices(*brand, *metric))
            .filter(|one| one.verdict != Verdict::Pass)
            .collect();
        if doubtful.is_empty() {
            return;
        }
        let source = provenance(snapshot, "quality.check", json!({}), 0);
        for one in doubtful.iter().take(TOLD) {
            let label = match one.verdict {
                Verdict::Fail => "data not used",
                _ => "data to be reviewed",
            };
            let count = one.findings.len() as f64;
            proposal.evidence.push(evidence(
                label,
                count,
                "findings",
                None,
                told(view, one),
                &source,
            ));
        }
        if doubtful.len() > TOLD {
            proposal.evidence.push(evidence(
                "more series to be reviewed",
                (doubtful.len() - TOLD) as f64,
                "series",
                None,
                "the quality of every series is listed with the metrics",
                &source,
            ));
        }
    }
}

/// A series and what was found in it, in words.
fn told(view: &View, one: &SeriesQuality) -> String {
    let found: Vec<&str> = one
        .findings
        .iter()
        .filter(|f| f.verdict == one.verdict)
        .map(|f| f.text.as_str())
        .collect();
    format!(
        "{} of {} in {} {}",
        view.metric_name(one.metric),
        view.brand_name(one.brand),
        view.project_name(one.project),
        found.join(", and ")
    )
}

/// The series that a proposal stands or falls with. A correction of data stands on none.
fn rests_on(view: &View, proposal: &Proposal) -> BTreeSet<(BrandId, MetricId)> {
    let outcomes = |brands: &[BrandId]| {
        let outcome = view.outcome().map(|m| m.id);
        brands
            .iter()
            .filter_map(|brand| Some((*brand, outcome?)))
            .collect()
    };
    match &proposal.action {
        Action::DataFix { .. } => BTreeSet::new(),
        Action::ForecastRevision { brand, metric, .. }
        | Action::MetricTarget { brand, metric, .. } => BTreeSet::from([(*brand, *metric)]),
        Action::Guard {
            rule:
                Rule::CannibalisationCap {
                    driver, affected, ..
                }
                | Rule::JointAction {
                    driver, affected, ..
                },
        }
        | Action::Synergy {
            rule:
                Rule::CannibalisationCap {
                    driver, affected, ..
                }
                | Rule::JointAction {
                    driver, affected, ..
                },
        } => outcomes(&[*driver, *affected]),
        Action::BudgetPlan { .. }
        | Action::Guard { .. }
        | Action::Synergy { .. }
        | Action::Initiative { .. } => outcomes(&proposal.brands),
    }
}

/// Robust standard deviations from which a value is a suspect: far more than a lively week.
const SUSPECT_FROM: f64 = 8.0;
/// Robust standard deviations from which a sibling counts as lively in the same week.
const SIBLING_FROM: f64 = 4.0;
/// Suspects that are kept, the worst first.
const MOST: usize = 50;

/// A series with the values that stand out in it.
type Checked = (SeriesRows, Vec<Outlier>);

/// Suspect values, the worst first. A week that stands out in a sibling project too is something that happened, not a
/// mistake, and is left alone; so is spending, which people move at will.
pub(crate) fn suspects(snapshot: &Snapshot) -> Vec<Suspect> {
    let (view, table) = (&snapshot.view, &snapshot.table);
    let (Some(first), Some(last)) = (table.period.iter().min().copied(), view.data_until) else {
        return Vec::new();
    };
    let weeks = usize::try_from((last - first).num_days() / 7 + 1).unwrap_or(0);
    let is_watched = |s: &SeriesRows| {
        view.metric(s.metric).is_some_and(|m| {
            m.granularity == Granularity::Week
                && !matches!(
                    m.role,
                    MetricRole::Spend | MetricRole::Promotion | MetricRole::Context
                )
        })
    };
    let period = Criteria::default();
    let source = provenance(
        snapshot,
        "quality.outliers",
        json!({ "from": SUSPECT_FROM, "season": 52, "default_from": period.outlier }),
        0,
    );
    let mut groups: BTreeMap<(BrandId, MetricId), Vec<Checked>> = BTreeMap::new();
    for series in runs::series(table).into_iter().filter(is_watched) {
        let values = series.weekly(table, first, weeks);
        let found = outliers(&values, Granularity::Week.per_year(), SIBLING_FROM);
        groups
            .entry((series.brand, series.metric))
            .or_default()
            .push((series, found));
    }
    let mut suspects = Vec::new();
    for group in groups.values() {
        for (index, (series, found)) in group.iter().enumerate() {
            let lively: BTreeSet<usize> = group
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index)
                .flat_map(|(_, (_, f))| f.iter().map(|o| o.at))
                .collect();
            for outlier in found
                .iter()
                .filter(|o| o.distance.abs() >= SUSPECT_FROM && !lively.contains(&o.at))
            {
                let period = first + Days::new(7 * outlier.at as u64);
                // A rule has answered for this value, which is not the stored one.
                if snapshot.changes.touches(series, period) {
                    continue;
                }
                suspects.push(Suspect {
                    project: series.project,
                    brand: series.brand,
                    metric: series.metric,
                    period,
                    value: outlier.value,
                    expected: outlier.expected.is_finite().then_some(outlier.expected),
                    deviation: outlier.distance.abs(),
                    provenance: source.clone(),
                });
            }
        }
    }
    suspects.sort_by(|a, b| {
        b.deviation.total_cmp(&a.deviation).then(
            (a.brand, a.metric, a.project, a.period).cmp(&(b.brand, b.metric, b.project, b.period)),
        )
    });
    suspects.truncate(MOST);
    suspects
}

#[cfg(test)]
mod tests {
    use analytics::cancel::never;
    use domain::{provenance::Provenance, series::MetricTable};

    use super::*;
    use crate::{
        analyst::{panel, scores},
        view::tests_support::{a_view, brand, metric},
    };

    fn north() -> ProjectId {
        ProjectId::derive(&["o", "north"])
    }

    /// Sixty weeks of units and reviews of two brands; the units of the second stand still at the end.
    fn snapshot() -> Snapshot {
        let mut view = a_view();
        view.brands.sort_by_key(|b| b.id);
        let first = view.data_until.expect("a date") - Days::new(7 * 59);
        let mut table = MetricTable::default();
        let mut keys = Vec::new();
        for name in ["Alder", "Birch"] {
            for key in ["units_sold", "reviews"] {
                keys.push((brand(name), metric(key)));
            }
        }
        keys.sort();
        for (brand_id, metric_id) in keys {
            for week in 0..60u64 {
                let is_stuck = brand_id == brand("Birch") && metric_id == metric("units_sold");
                let value = match week {
                    50.. if is_stuck => 107.0,
                    30 if brand_id == brand("Alder") => f64::NAN,
                    _ => 100.0 + ((week * 7) % 13) as f64,
                };
                if value.is_finite() && !(brand_id == brand("Alder") && week % 14 == 3) {
                    table.push(
                        north(),
                        brand_id,
                        metric_id,
                        first + Days::new(7 * week),
                        value,
                    );
                }
            }
        }
        Snapshot {
            view,
            table: Arc::new(table),
            changes: Arc::default(),
            weeks: 60,
        }
    }

    fn checked(snapshot: &Snapshot) -> Quality {
        let work = work(snapshot);
        let all = check_all(snapshot, &work.series, &work, &never);
        Quality::new(all.expect("nobody asks to stop"))
    }

    fn proposal(action: Action) -> Proposal {
        Proposal {
            agent: AgentKind::Strategy,
            subject: "s".to_owned(),
            title: String::new(),
            summary: String::new(),
            brands: vec![brand("Alder")],
            objective: String::new(),
            action,
            effect: None,
            confidence: None,
            evidence: vec![evidence("n", 1.0, "", None, "", &Provenance::default())],
            expires_on: crate::view::tests_support::day(),
        }
    }

    fn target(name: &str) -> Action {
        Action::MetricTarget {
            brand: brand(name),
            metric: metric("units_sold"),
            from: 1.0,
            to: 2.0,
            due: crate::view::tests_support::day(),
        }
    }

    #[test]
    fn every_series_has_a_verdict_and_reasons_with_their_dates() {
        let snapshot = snapshot();
        let quality = checked(&snapshot);
        let of = |name: &str, key: &str| {
            quality
                .slices(brand(name), metric(key))
                .next()
                .expect("checked")
                .clone()
        };
        let (stuck, gaps, clean) = (
            of("Birch", "units_sold"),
            of("Alder", "units_sold"),
            of("Birch", "reviews"),
        );
        assert_eq!(
            (stuck.verdict, gaps.verdict, clean.verdict),
            (Verdict::Fail, Verdict::Review, Verdict::Pass)
        );
        assert_eq!(
            stuck.findings[0].text,
            "shows the same value 107 for 10 periods from 2024-11-04"
        );
        assert!(
            gaps.findings[0].text.contains("lacks 8 % of its periods"),
            "{gaps:?}"
        );
    }

    #[test]
    fn a_failed_series_is_in_no_model_and_in_no_score() {
        let snapshot = snapshot();
        let (quality, trusting) = (checked(&snapshot), Quality::default());
        let place = |name: &str| {
            let brands = &snapshot.view.brands;
            brands
                .iter()
                .position(|b| b.id == brand(name))
                .expect("known")
        };
        let in_panel = |quality: &Quality, name: &str| {
            let weekly = panel::weekly(&snapshot, quality);
            weekly.panel.series(place(name), 0).is_some()
        };
        assert!(in_panel(&trusting, "Birch") && in_panel(&quality, "Alder"));
        assert!(!in_panel(&quality, "Birch"));
        let scored = scores::score_all(&snapshot, &quality, &never)
            .expect("scored")
            .scores;
        let units = |name: &str| {
            let score = scored
                .iter()
                .find(|s| s.brand == brand(name))
                .expect("scored");
            let line = score
                .lines
                .iter()
                .find(|l| l.metric == metric("units_sold"));
            line.expect("a line").value
        };
        assert!(units("Alder").is_some() && units("Birch").is_none());
    }

    #[test]
    fn what_rests_on_a_failed_series_is_not_proposed_and_a_reviewed_one_is_named_in_the_evidence() {
        let snapshot = snapshot();
        let fix = Action::DataFix {
            project: north(),
            brand: brand("Birch"),
            metric: metric("units_sold"),
            period: crate::view::tests_support::day(),
            from: 107.0,
            to: None,
        };
        let mut verdicts = Verdicts {
            proposals: [target("Birch"), target("Alder"), fix.clone()]
                .map(proposal)
                .to_vec(),
            considered: Vec::new(),
        };
        checked(&snapshot).obey(&snapshot, AgentKind::Strategy, &mut verdicts);
        let actions: Vec<&Action> = verdicts.proposals.iter().map(|p| &p.action).collect();
        assert_eq!(actions, [&target("Alder"), &fix]);
        let told = &verdicts.proposals[0].evidence[1];
        assert_eq!(told.label, "data to be reviewed");
        assert!(
            told.note.starts_with("units sold of Alder"),
            "{}",
            told.note
        );
        assert_eq!(
            verdicts.proposals[1].evidence.len(),
            1,
            "a correction is the way out"
        );
        assert_eq!(verdicts.considered[0].reason, POOR_DATA);
        assert!(verdicts.considered[0].detail.contains("same value 107"));
    }

    #[test]
    fn a_value_that_a_rule_has_answered_for_is_no_suspect_any_more() {
        let mut jumped = snapshot();
        let mut table = MetricTable::clone(&jumped.table);
        let row = (0..table.len())
            .find(|row| {
                (table.brand[*row], table.metric[*row]) == (brand("Birch"), metric("reviews"))
            })
            .expect("a row");
        table.value[row + 20] = 9_000.0;
        let period = table.period[row + 20];
        jumped.table = Arc::new(table);
        let found = |snapshot: &Snapshot| -> Vec<(NaiveDate, f64)> {
            let suspects = suspects(snapshot).into_iter();
            suspects
                .filter(|s| s.metric == metric("reviews"))
                .map(|s| (s.period, s.value))
                .collect()
        };
        assert_eq!(found(&jumped), [(period, 9_000.0)]);
        let reviews = jumped
            .view
            .metrics
            .iter_mut()
            .find(|m| m.id == metric("reviews"));
        let cleaning = &mut reviews.expect("defined").cleaning;
        cleaning.outliers = domain::quality::OutlierRule::Cap;
        // Capped where it would still be a suspect: it is not the stored value, and nobody is asked to correct it.
        cleaning.outlier_limit = 20.0;
        let cleaned = cleaning::apply(&jumped.table, &jumped.view.metrics, &never);
        let cleaned = jumped.clone().with(cleaned.expect("nobody asks to stop"));
        assert_eq!(found(&cleaned), []);
    }

    #[test]
    fn failed_series_are_taken_out_and_a_sound_table_is_not_copied() {
        let snapshot = snapshot();
        let trusted = checked(&snapshot).trusted(&snapshot.table);
        let failed = (brand("Birch"), metric("units_sold"));
        let kept =
            |row: &usize| (snapshot.table.brand[*row], snapshot.table.metric[*row]) != failed;
        let expected: Vec<f64> = (0..snapshot.table.len())
            .filter(kept)
            .map(|row| snapshot.table.value[row])
            .collect();
        assert_eq!(trusted.value, expected);
        assert!(expected.len() < snapshot.table.len());
        let again = checked(&Snapshot {
            table: Arc::clone(&trusted),
            ..snapshot
        });
        assert!(Arc::ptr_eq(&again.trusted(&trusted), &trusted));
    }

    #[test]
    fn the_check_stops_when_nobody_waits_for_it_any_more() {
        let snapshot = snapshot();
        let work = work(&snapshot);
        let stopped = check_all(&snapshot, &work.series, &work, &|| true);
        assert_eq!(stopped, Err(Cancelled));
    }

    #[test]
    fn an_empty_snapshot_has_nothing_to_check() {
        let mut empty = snapshot();
        empty.table = Arc::new(MetricTable::default());
        assert_eq!(checked(&empty), Quality::default());
    }
}
