//! What a change of spending brings, from the parameter draws of the fits.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    id::{BrandId, ChannelId},
    provenance::Provenance,
    unit::{Effect, Interval},
};
use serde_json::json;

use crate::{
    analyst::{Scanned, model::Model, provenance},
    observe::Snapshot,
    view::{Estimate, View},
};

/// An effect with the probability that it is positive.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Priced {
    /// The effect.
    pub(crate) effect: Effect,
    /// P(effect > 0).
    pub(crate) confidence: f64,
}

/// A model with where it comes from: answers the rules' what-ifs.
pub(crate) struct Pricing {
    model: Arc<Model>,
    provenance: Provenance,
}

impl Pricing {
    pub(crate) fn of(scanned: &Scanned, snapshot: &Snapshot) -> Self {
        let parameters = json!({
            "draws": scanned.params.response.draws,
            "cross_effects_up_to_q": scanned.params.false_discovery_rate,
        });
        Self {
            model: Arc::new(Model::of(scanned)),
            provenance: provenance(snapshot, "response.what_if", parameters, scanned.seed),
        }
    }

    pub(crate) fn estimate(
        &self,
        view: &View,
        changes: &[(BrandId, ChannelId, f64)],
        weeks: u32,
    ) -> Option<Estimate> {
        let priced = priced(
            &self.model,
            &view.current,
            changes,
            weeks,
            &view.organisation.currency,
        )?;
        Some(Estimate {
            effect: priced.effect,
            confidence: priced.confidence,
            provenance: self.provenance.clone(),
        })
    }
}

/// Expected change of profit with its 80 % interval and the share of draws above zero.
pub(crate) fn priced(
    model: &Model,
    current: &BTreeMap<(BrandId, ChannelId), f64>,
    changes: &[(BrandId, ChannelId, f64)],
    weeks: u32,
    currency: &str,
) -> Option<Priced> {
    let made = model.change_of_profit(current, changes, weeks as usize)?;
    Some(Priced {
        effect: Effect {
            value: made.expected,
            interval80: Interval {
                low: made.interval80.0,
                high: made.interval80.1,
            },
            base: None,
            unit: currency.to_owned(),
            horizon_weeks: weeks,
        },
        confidence: made.confidence,
    })
}

/// Margin shares of the brands that state one.
pub(crate) fn shares(view: &View) -> BTreeMap<BrandId, f64> {
    view.brands
        .iter()
        .filter_map(|b| Some((b.id, b.margin.filter(|share| *share > 0.0)?)))
        .collect()
}
