//! What a change of spending brings, from the parameter draws of the fits.

use std::{collections::BTreeMap, sync::Arc};

use domain::{
    id::{BrandId, ChannelId},
    provenance::Provenance,
    unit::{Effect, Interval},
};
use rust_decimal::prelude::ToPrimitive;
use serde_json::json;

use super::Ground;
use crate::{
    Error,
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
pub(super) fn priced(
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

/// A view that knows names and money, for texts about a plan.
pub(super) async fn named(scope: &storage::Scope, ground: &Ground) -> Result<View, Error> {
    Ok(View {
        organisation: ground.organisation.clone(),
        as_of: ground.as_of,
        digest: String::new(),
        data_until: None,
        brands: scope.brands().list().await?,
        channels: scope.channels().list().await?,
        metrics: Vec::new(),
        projects: Vec::new(),
        constraints: Vec::new(),
        targets: Vec::new(),
        current: ground
            .current
            .iter()
            .map(|(line, weekly)| (*line, weekly.to_f64().unwrap_or_default()))
            .collect(),
    })
}
