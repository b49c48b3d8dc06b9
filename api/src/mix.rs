//! Marketing-mix models: what each channel sold, and whether to believe it.

use std::sync::Arc;

use chrono::NaiveDate;
use domain::id::{BrandId, ChannelId, MetricId};
use poem_openapi::{OpenApi, param::Query, payload::Json};

use crate::{
    App, Tag,
    auth::Caller,
    mirror::{Id, Mirror, Reflect, mirror, mirror_enum},
    problem::Answer,
    quantities::Provenance,
};

mirror_enum! {
    /// How a model is fitted.
    MixMethod of ::agents::analysis::MixMethod {
        /// The posterior's mode and a normal around it: a second or so.
        Fast,
        /// The no-U-turn sampler: a minute or so, with R-hat and effective sample sizes.
        Sample,
    }
}

mirror! {
    /// A brand's marketing-mix model.
    Mix of ::agents::analysis::Mix {
        /// The brand.
        brand: Id<BrandId>,
        /// The outcome.
        metric: Id<MetricId>,
        /// How it was fitted.
        method: MixMethod,
        /// First period.
        from: NaiveDate,
        /// Last period.
        to: NaiveDate,
        /// Periods with a known outcome.
        periods: u32,
        /// Whether returns are money per money. Where no price is known they are units of the outcome per money.
        is_money: bool,
        /// What each channel sold.
        channels: Vec<MixChannelResult>,
        /// Outcome without media over all periods.
        baseline: MixInterval,
        /// Posterior of every parameter, on the scale of the model.
        parameters: Vec<MixParameter>,
        /// Forecast of the last periods by a fit that had not seen them.
        holdout: Option<MixHoldout>,
        /// Signs that a channel's effect is not its own.
        confounding: Vec<MixConfounding>,
        /// Whether the model can be used.
        health: MixHealth,
        /// Metrics that could not take part.
        left_out: Vec<MixLeftOut>,
        /// Where it comes from.
        provenance: Provenance,
    }
}

mirror! {
    /// A quantity with its 90 % interval.
    MixInterval of ::agents::analysis::MixInterval {
        /// Mean.
        mean: f64,
        /// 5 % quantile.
        low: f64,
        /// 95 % quantile.
        high: f64,
    }
}

mirror! {
    /// What a channel sold over the data.
    MixChannelResult of ::agents::analysis::MixChannelResult {
        /// The channel.
        channel: Id<ChannelId>,
        /// Money spent.
        spend: f64,
        /// Outcome that would be missing had nothing been spent, in units of the outcome.
        contribution: MixInterval,
        /// The same as a share of the outcome.
        share: MixInterval,
        /// Return on spend: what the contribution is worth per money spent.
        roas: Option<MixInterval>,
        /// What one more unit of money returns, spread like the spend of the data.
        marginal_roas: Option<MixInterval>,
    }
}

mirror! {
    /// Posterior of a parameter.
    MixParameter of ::agents::analysis::MixParameter {
        /// Name, with the key of the channel's or control's metric in brackets.
        name: String,
        /// Mean.
        mean: f64,
        /// Standard deviation.
        sd: f64,
        /// 5 % quantile.
        low: f64,
        /// 95 % quantile.
        high: f64,
        /// R-hat; absent for the fast fit, whose draws are independent.
        rhat: Option<f64>,
        /// Effective sample size of the middle; absent for the fast fit.
        ess_bulk: Option<f64>,
        /// Effective sample size of the tails; absent for the fast fit.
        ess_tail: Option<f64>,
    }
}

mirror! {
    /// How unseen periods were forecast, in units of the outcome.
    MixHoldout of ::agents::analysis::MixHoldout {
        /// Periods set aside.
        periods: u32,
        /// Root mean squared error.
        rmse: f64,
        /// The same of the value one year before; absent where that is not known.
        rmse_naive: Option<f64>,
        /// Continuous ranked probability score.
        crps: f64,
        /// Share of periods inside the 80 % interval.
        coverage80: f64,
        /// Share of periods inside the 95 % interval.
        coverage95: f64,
    }
}

mirror! {
    /// What speaks against reading a channel's effect as causal.
    MixConfounding of ::agents::analysis::MixConfounding {
        /// The channel.
        channel: Id<ChannelId>,
        /// Variance inflation of its effect by everything else in the model; absent where others explain it wholly.
        variance_inflation: Option<f64>,
        /// p-value of last period's outcome as a cause of this period's spend.
        reaction_p: Option<f64>,
        /// Partial R² that a hidden cause would need with both spend and outcome to undo the effect.
        robustness: Option<f64>,
        /// What to tell a reader; empty where nothing was found.
        warnings: Vec<String>,
    }
}

mirror! {
    /// The card of a model.
    MixHealth of ::agents::analysis::MixHealth {
        /// The worst verdict of the checks.
        verdict: MixVerdict,
        /// Share of the outcome's variance that the model explains.
        r_squared: Option<f64>,
        /// Sum of absolute errors over sum of outcomes.
        wmape: Option<f64>,
        /// Correlation of errors with those of the period before.
        residual_autocorrelation: f64,
        /// Everything that was looked at.
        checks: Vec<MixCheck>,
    }
}

mirror! {
    /// One check of a model.
    MixCheck of ::agents::analysis::MixCheck {
        /// What was looked at.
        name: String,
        /// Verdict.
        verdict: MixVerdict,
        /// The figure; absent where it has none.
        value: Option<f64>,
        /// What it means, in a sentence.
        message: String,
    }
}

mirror_enum! {
    /// Verdict of a check.
    MixVerdict of ::agents::analysis::MixVerdict {
        /// Nothing to see.
        Pass,
        /// Someone should look before it is used.
        Review,
        /// It should not be used as it is.
        Fail,
    }
}

mirror! {
    /// A metric that could not take part.
    MixLeftOut of ::agents::analysis::MixLeftOut {
        /// The metric.
        metric: Id<MetricId>,
        /// Why.
        reason: MixLeftOutReason,
    }
}

mirror_enum! {
    /// Why a metric could not take part.
    MixLeftOutReason of ::agents::analysis::MixLeftOutReason {
        /// Values are missing at an end, or too many in between. A period without a value is not taken for zero.
        Gaps,
        /// It never changes, or nothing was ever spent.
        Constant,
        /// It has values below zero.
        Negative,
    }
}

/// Marketing-mix models.
pub(crate) struct MixApi(pub(crate) App);

#[OpenApi(tag = "Tag::Analytics")]
impl MixApi {
    /// Get a brand's marketing-mix model.
    ///
    /// What each channel sold with its return and interval, the forecast of weeks that the fit had not seen, signs of confounding,
    /// and the card that says whether to believe it. Computed once for each state of the data.
    #[oai(path = "/mix", method = "get", operation_id = "mix_get")]
    async fn get(
        &self,
        caller: Caller,
        /// The brand, one of your own.
        brand_id: Query<Id<BrandId>>,
        /// How to fit; fast when absent.
        method: Query<Option<MixMethod>>,
    ) -> Answer<Json<Mix>> {
        let method = method.0.unwrap_or(MixMethod::Fast).back();
        let found = self
            .0
            .state
            .agents
            .analysis()
            .mix(&caller.principal, brand_id.0.0, method)
            .await?;
        Ok(Json(Mirror::of(Arc::unwrap_or_clone(found))))
    }
}
