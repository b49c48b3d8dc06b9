//! What people read of the optimisation agent's fits.

use domain::id::{BrandId, ChannelId};
use serde::Serialize;
use storage::Scope;

use crate::{Error, analyst::Analyst};

/// Points of a curve that are shown.
const POINTS: u32 = 41;
/// How far beyond today's spend a curve is shown: further out nothing was observed.
const REACH: f64 = 2.0;

/// What weekly spend in a channel does to a brand's sales.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The curve from 0 to twice what is spent now.
    pub points: Vec<CurvePoint>,
    /// Weekly spend now.
    pub current: f64,
}

/// One point of a curve: steady weekly spend and the weekly sales it adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Weekly spend.
    pub weekly: f64,
    /// Weekly sales that the channel adds, in the organisation's currency.
    pub sales: f64,
    /// Lower end of the 80 % band.
    pub low80: f64,
    /// Upper end of the 80 % band.
    pub high80: f64,
}

/// The fitted curve of a line, with the 80 % band of the draws that plans are priced by: shrunk towards what all lines have in
/// common, and with what the brand's media do to its siblings.
pub(crate) async fn curve(
    scope: &Scope,
    analyst: &Analyst,
    brand: BrandId,
    channel: ChannelId,
) -> Result<Curve, Error> {
    let unknown = || {
        domain::Error::not_found(
            "response.unknown",
            "no response curve was fitted for this brand and channel",
        )
    };
    let fit = analyst.fit(scope).await?.ok_or_else(unknown)?;
    let fitted = fit
        .curves
        .iter()
        .find(|c| (c.brand, c.channel) == (brand, channel))
        .ok_or_else(unknown)?;
    let line = fit.model.line((brand, channel)).ok_or_else(unknown)?;
    let share = scope
        .brands()
        .get(brand)
        .await?
        .margin
        .filter(|share| *share > 0.0)
        .unwrap_or(1.0);
    let points = (0..POINTS).map(|step| {
        let weekly = REACH * line.current * f64::from(step) / f64::from(POINTS - 1);
        let mut draws: Vec<f64> = line
            .draws
            .iter()
            .map(|draw| draw.curve.value(weekly) / share)
            .collect();
        draws.sort_by(f64::total_cmp);
        let sales = if weekly > 0.0 {
            fitted.scale * weekly / (fitted.half + weekly)
        } else {
            0.0
        };
        let end = |level: f64| {
            if draws.is_empty() {
                sales
            } else {
                analytics::inference::quantile(&draws, level)
            }
        };
        CurvePoint {
            weekly,
            sales,
            low80: end(0.1).min(sales),
            high80: end(0.9).max(sales),
        }
    });
    Ok(Curve {
        points: points.collect(),
        current: line.current,
    })
}
