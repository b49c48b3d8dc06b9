//! Signed effects of one brand on another: halo and cannibalisation.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

use crate::{
    id::{BrandId, CrossEffectId},
    provenance::Provenance,
    unit::Interval,
};

/// What the analysis concludes about a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The driver's media lifts the other brand.
    Halo,
    /// The driver's media takes sales from the other brand.
    Cannibalisation,
    /// No effect could be told from zero at the stated false-discovery rate.
    NoEvidence,
    /// The data cannot tell: the driver hardly varies, or moves with another one.
    NotIdentifiable,
}

/// The effect of one brand's media on another brand's sales.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEffect {
    /// The id.
    pub id: CrossEffectId,
    /// Brand whose media moves.
    pub driver: BrandId,
    /// Brand whose sales respond.
    pub affected: BrandId,
    /// Change of the affected brand's sales in currency for +10 % of the driver's media over the observed path.
    pub estimate: f64,
    /// Its standard error.
    pub std_error: f64,
    /// 80 % interval.
    pub interval80: Interval,
    /// 95 % interval.
    pub interval95: Interval,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Benjamini–Hochberg q-value over every candidate of the scan.
    pub q_value: f64,
    /// The conclusion.
    pub verdict: Verdict,
    /// Last period used.
    pub origin: NaiveDate,
    /// Where it comes from.
    pub provenance: Provenance,
}
