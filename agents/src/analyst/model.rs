//! The stored form of the fits: everything a what-if needs, without the data they were made from. Keys in it are text ids.

use std::collections::BTreeMap;

use analytics::budget::{ProfitEffect, ValueLine, ValueModel, evaluate};
use domain::id::{BrandId, ChannelId};
use serde::{Deserialize, Serialize};

use super::Scanned;

/// What spend is worth, line by line, under the parameter draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) value: ValueModel,
}

/// A budget line by its ids.
pub(crate) type Line = (BrandId, ChannelId);

impl Model {
    /// The part of a scan that is worth storing.
    pub(crate) fn of(scanned: &Scanned) -> Self {
        Self {
            value: ValueModel::from_findings(&scanned.findings, scanned.seed),
        }
    }

    /// A line by its ids.
    pub(crate) fn line(&self, line: Line) -> Option<&ValueLine> {
        let (brand, channel) = (line.0.to_string(), line.1.to_string());
        self.value
            .lines
            .iter()
            .find(|line| line.brand == brand && line.channel == channel)
    }

    /// The same model with other weekly amounts as "now". Lines that `current` does not name stay.
    pub(crate) fn spending_now(&self, current: &BTreeMap<Line, f64>) -> ValueModel {
        let mut value = self.value.clone();
        for line in &mut value.lines {
            if let Some(weekly) = ids(line).and_then(|ids| current.get(&ids)) {
                line.current = *weekly;
            }
        }
        value
    }

    /// Change of profit when lines are spent at other weekly amounts for `weeks` weeks and then as now again. `None` when
    /// none of them has a curve.
    pub(crate) fn change_of_profit(
        &self,
        current: &BTreeMap<Line, f64>,
        changes: &[(BrandId, ChannelId, f64)],
        weeks: usize,
    ) -> Option<ProfitEffect> {
        let wanted: BTreeMap<Line, f64> = changes
            .iter()
            .map(|(brand, channel, then)| ((*brand, *channel), *then))
            .collect();
        let mut value = self.spending_now(current);
        // Only the lines that move cost time.
        value
            .lines
            .retain(|line| ids(line).is_some_and(|ids| wanted.contains_key(&ids)));
        if value.lines.is_empty() {
            return None;
        }
        let spend: Vec<f64> = value
            .lines
            .iter()
            .map(|line| ids(line).map_or(line.current, |ids| wanted[&ids]))
            .collect();
        Some(evaluate(&value, &spend, weeks))
    }

    /// Change of profit that `weeks` weeks made against spending `before` every week, for the lines that `before` names;
    /// `later` is the number of observed weeks after those, which are left out. `None` when no line has a curve that
    /// remembers that far back.
    pub(crate) fn realised_change(
        &self,
        before: &BTreeMap<Line, f64>,
        weeks: usize,
        later: usize,
    ) -> Option<ProfitEffect> {
        let mut value = self.value.clone();
        value.lines.retain(|line| {
            line.recent.len() >= weeks + later
                && ids(line).is_some_and(|ids| before.contains_key(&ids))
        });
        if value.lines.is_empty() {
            return None;
        }
        for line in &mut value.lines {
            line.recent
                .truncate(line.recent.len().saturating_sub(later));
        }
        let baseline: Vec<f64> = value
            .lines
            .iter()
            .map(|line| ids(line).map_or(line.current, |ids| before[&ids]))
            .collect();
        Some(ProfitEffect::of(&value.attributed_gains(&baseline, weeks)))
    }

    /// Mean margin × extra sales per extra unit of steady spend at `weekly`, for the whole portfolio.
    pub(crate) fn marginal(&self, line: Line, weekly: f64) -> Option<f64> {
        let line = self.line(line)?;
        let slopes = line.draws.iter().map(|draw| {
            draw.curve.coefficient * draw.curve.half / (draw.curve.half + weekly).powi(2)
        });
        let count = line.draws.len();
        (count > 0).then(|| slopes.sum::<f64>() / count as f64)
    }
}

/// The ids of a line.
pub(crate) fn ids(line: &ValueLine) -> Option<Line> {
    Some((line.brand.parse().ok()?, line.channel.parse().ok()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use analytics::{
        budget::ValueDraw,
        response::{Curve, Shrinkage},
    };

    use super::*;
    use crate::view::tests_support::{brand, channel};

    fn line(name: &str, key: &str, coefficient: f64) -> ValueLine {
        let curve = Curve {
            retention: 0.4,
            delay: 0.0,
            half: 100.0,
            coefficient,
        };
        let draw = |share: f64| ValueDraw {
            curve: Curve {
                coefficient: share * coefficient,
                ..curve
            },
            level: 100.0,
        };
        ValueLine {
            brand: brand(name).to_string(),
            channel: channel(key).to_string(),
            current: 100.0,
            recent: vec![100.0; 26],
            draws: vec![draw(0.9), draw(1.1), draw(1.0)],
        }
    }

    /// Two lines at break-even and one that earns three times its cost.
    pub(crate) fn model() -> Model {
        let lines = vec![
            line("Alder", "search", 400.0),
            line("Birch", "search", 400.0),
            line("Cedar", "search", 1_200.0),
        ];
        Model {
            value: ValueModel {
                lines,
                shrinkage: Shrinkage {
                    centre: 1.0,
                    variance: 0.1,
                },
                cross_effects: Vec::new(),
            },
        }
    }

    #[test]
    fn spending_as_now_changes_nothing() {
        let same = [(brand("Alder"), channel("search"), 100.0)];
        let effect = model()
            .change_of_profit(&BTreeMap::new(), &same, 12)
            .expect("fitted");
        assert!(effect.expected.abs() < 1e-9 && effect.interval80.1.abs() < 1e-9);
    }

    #[test]
    fn what_counts_as_now_is_what_the_plan_of_record_says() {
        let record = BTreeMap::from([((brand("Cedar"), channel("search")), 150.0)]);
        let back = [(brand("Cedar"), channel("search"), 100.0)];
        let effect = model()
            .change_of_profit(&record, &back, 12)
            .expect("fitted");
        assert!(
            effect.expected < 0.0,
            "cutting a line that earns three times its cost loses: {effect:?}"
        );
        let ahead = [(brand("Cedar"), channel("search"), 150.0)];
        assert!(
            model()
                .change_of_profit(&BTreeMap::new(), &ahead, 12)
                .expect("fitted")
                .expected
                > 0.0
        );
    }

    #[test]
    fn what_was_spent_after_the_window_is_not_counted_in_it() {
        let mut late = model();
        let cedar = (brand("Cedar"), channel("search"));
        let line = &mut late.value.lines[2];
        line.recent[14..22].fill(150.0);
        let before = BTreeMap::from([(cedar, 100.0)]);
        let measured = |model: &Model, later| {
            model
                .realised_change(&before, 8, later)
                .expect("fitted")
                .expected
        };
        let whole = measured(&late, 4);
        assert!(whole > 0.0, "a line that earns three times its cost gained");
        late.value.lines[2].recent[22..].fill(1_000.0);
        assert_eq!(measured(&late, 4), whole);
    }

    #[test]
    fn the_marginal_return_is_the_slope_of_the_mean_curve() {
        // 400·100/(100 + 100)² = 1.
        let marginal = model()
            .marginal((brand("Alder"), channel("search")), 100.0)
            .expect("fitted");
        assert!((marginal - 1.0).abs() < 1e-12, "{marginal}");
    }

    #[test]
    fn a_line_without_a_curve_has_no_price() {
        assert_eq!(
            model().change_of_profit(
                &BTreeMap::new(),
                &[(brand("Cedar"), channel("video"), 90.0)],
                12
            ),
            None
        );
    }

    #[test]
    fn a_stored_model_reads_back_as_it_was() {
        let text = serde_json::to_value(model()).expect("plain data");
        assert_eq!(
            serde_json::from_value::<Model>(text).expect("the same shape"),
            model()
        );
    }
}
