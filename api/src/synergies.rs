//! Signed effects of one brand on another.

use chrono::NaiveDate;
use domain::id::{BrandId, CrossEffectId};
use poem_openapi::{OpenApi, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, mirror, mirror_enum},
    problem::Answer,
    quantities::{Interval, Provenance},
};

mirror_enum! {
    /// What the analysis concludes about a pair.
    SynergyVerdict of domain::synergy::Verdict {
        /// The driver's media lifts the other brand.
        Halo,
        /// The driver's media takes sales from the other brand.
        Cannibalisation,
        /// No effect could be told from zero at the stated false-discovery rate.
        NoEvidence,
        /// The data cannot tell: the driver hardly varies, or moves with another one.
        NotIdentifiable,
    }
}

mirror! {
    /// The effect of one brand's media on another brand's sales.
    CrossEffect of domain::synergy::CrossEffect {
        /// The id.
        id: Id<CrossEffectId>,
        /// Brand whose media moves.
        driver: Id<BrandId>,
        /// Brand whose sales respond.
        affected: Id<BrandId>,
        /// Change of the affected brand's sales in currency for +10 % of the driver's media over the observed path.
        estimate: f64,
        /// Its standard error.
        std_error: f64,
        /// 80 % interval.
        interval80: Interval,
        /// 95 % interval.
        interval95: Interval,
        /// Two-sided p-value.
        p_value: f64,
        /// Benjamini–Hochberg q-value over every candidate of the scan.
        q_value: f64,
        /// The conclusion.
        verdict: SynergyVerdict,
        /// Last period used.
        origin: NaiveDate,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// The latest scan of all pairs.
    Synergies of ::agents::analysis::Synergies {
        /// Last period used; absent before the first scan.
        origin: Option<NaiveDate>,
        /// Ordered pairs that were looked at.
        candidates: u32,
        /// All of them, with their verdict.
        effects: Vec<CrossEffect>,
    }
}

/// Synergies.
pub(crate) struct SynergyApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl SynergyApi {
    /// Get the cross-brand effects.
    ///
    /// Every ordered pair that was looked at, found or not, so that the false-discovery rate can be judged.
    #[oai(path = "/synergies", method = "get", operation_id = "synergy_list")]
    async fn list(&self, caller: Caller) -> Answer<Json<Synergies>> {
        Ok(Json(Mirror::of(
            self.0
                .state
                .agents
                .analysis()
                .synergies(&caller.principal)
                .await?,
        )))
    }
}
