//! Response curves of every own brand and channel, fitted jointly per brand, with intervals and parameter draws.
//!
//! Per brand: sales (as margin) on the saturated, carried-over spend of each channel, on the media of the other own
//! brands, and on controls: trend, two harmonics of the year, own price and promotion, context, mean rival price, each
//! rival's media pressure, level shifts and one-off weeks found in the residuals. See [`fit`](self) for the method.
//!
//! A brand with more siblings than its weeks have room for keeps the largest of them apart and takes the others together as one control:
//! no cross-effect is estimated for those.
//!
//! Brands are fitted twice: first with a rough idea of what the other brands' media do, then with what the first round
//! learned about them.

mod bootstrap;
pub mod curve;
pub(crate) mod design;
pub(crate) mod fit;

use serde::{Deserialize, Serialize};

use crate::cancel::{Cancel, Cancelled};
use crate::inference::{t_width, two_sided_p};
use crate::linear::dot;
use crate::panel::Panel;
use crate::rng::stream;
pub use curve::Curve;
use design::{Design, SHAPE};
use fit::{Fitted, unpack};
pub use fit::{ShapePrior, ShapePriors};

/// Weeks of spend kept with a fit: enough for every carry-over to forget what was before.
pub const RECENT: usize = 60;

/// Parameters of the fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponseParams {
    /// Weak priors on carry-over and saturation.
    pub priors: ShapePriors,
    /// Number of bootstrap draws.
    pub draws: usize,
    /// Factor on standard errors for the uncertainty about the functional form.
    pub form_inflation: f64,
}

impl Default for ResponseParams {
    fn default() -> Self {
        Self {
            priors: ShapePriors::default(),
            draws: 200,
            form_inflation: 1.0,
        }
    }
}

/// The fitted curve of one budget line (brand × channel).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseFit {
    /// Brand key.
    pub brand: String,
    /// Channel key.
    pub channel: String,
    /// Key of the spend metric.
    pub metric: String,
    /// The curve.
    pub curve: Curve,
    /// Mean weekly spend over the last 52 weeks, in currency.
    pub current: f64,
    /// Spend of the last weeks, oldest first: what still carries into a plan.
    pub recent: Vec<f64>,
    /// Margin × extra sales, tail included, per extra unit of spend, for +10 % over the observed path; break-even is 1.
    pub marginal_return: f64,
    /// Its standard error.
    pub std_error: f64,
    /// Degrees of freedom of the t distribution behind the intervals.
    pub dof: f64,
    /// 80 % interval of the marginal return.
    pub interval80: (f64, f64),
    /// 95 % interval of the marginal return.
    pub interval95: (f64, f64),
    /// Two-sided p-value against break-even.
    pub p_value: f64,
    /// Bootstrap draws.
    pub draws: Vec<CurveDraw>,
}

/// One draw of a line's curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurveDraw {
    /// The drawn shape, with the coefficient that gives it a marginal return of one over the observed path.
    pub at_break_even: Curve,
    /// The drawn marginal return over the observed path.
    pub marginal_return: f64,
}

/// A fitted brand: what the other estimators build on.
#[derive(Debug, Clone)]
pub struct BrandModel {
    pub(crate) design: Design,
    pub(crate) fitted: Fitted,
    /// Positions of the driver brands, in the order of the driver columns.
    pub(crate) driver_brands: Vec<usize>,
    /// Extra margin each driver earns on itself for +10 % of its media over the path, tail included.
    pub(crate) driver_uplift: Vec<f64>,
    /// Deviations of all parameters, one vector per draw.
    pub(crate) deviations: Vec<Vec<f64>>,
    /// Curves of this brand's lines.
    pub lines: Vec<ResponseFit>,
}

impl BrandModel {
    /// Position of the brand in the panel.
    #[must_use]
    pub fn brand(&self) -> usize {
        self.design.brand
    }

    /// Estimated first-order autocorrelation of the errors.
    #[must_use]
    pub fn autocorrelation(&self) -> f64 {
        self.fitted.rho
    }

    /// Weeks in which the sales level was found to shift, counted from the first week.
    #[must_use]
    pub fn level_shifts(&self) -> &[usize] {
        &self.design.shifts
    }

    /// Weeks left out as one-off events or because sales were not observed.
    #[must_use]
    pub fn one_off_weeks(&self) -> &[usize] {
        &self.design.one_offs
    }
}

/// Fits every own brand of a panel that has an outcome and enough weeks.
///
/// # Errors
/// [`Cancelled`] when the caller asked to stop.
pub fn fit_all(
    panel: &Panel,
    params: &ResponseParams,
    seed: u64,
    cancel: &dyn Cancel,
    progress: &mut dyn FnMut(f64),
) -> Result<Vec<BrandModel>, Cancelled> {
    let mut designs: Vec<Design> = panel
        .own()
        .filter_map(|b| design::design(panel, b))
        .collect();
    let count = designs.len();
    let rough: Vec<Driver> = designs
        .iter()
        .map(|d| rough_driver(d, &params.priors))
        .collect();
    for (i, design) in designs.iter_mut().enumerate() {
        cancel.check()?;
        let mut columns = fit::media_columns(design, &fit::start(design, &params.priors));
        let siblings = Siblings::of(design, &rough, i);
        columns.extend(siblings.columns(&rough));
        columns.extend(siblings.rest);
        design::note_breaks(design, &columns, cancel)?;
        progress(0.3 * (i + 1) as f64 / count as f64);
    }
    let mut first = Vec::with_capacity(count);
    for (i, design) in designs.iter().enumerate() {
        cancel.check()?;
        let siblings = Siblings::of(design, &rough, i);
        let columns = siblings.columns(&rough);
        let design = siblings.controlled(design);
        first.push(fit::fit(&design, &columns, &params.priors, cancel)?);
        progress(0.3 + 0.3 * (i + 1) as f64 / count as f64);
    }
    let learned = learn_drivers(&designs, &first);
    let mut models = Vec::with_capacity(count);
    for (i, design) in designs.iter().enumerate() {
        cancel.check()?;
        let siblings = Siblings::of(design, &learned, i);
        let drivers = siblings.columns(&learned);
        let design = siblings.controlled(design);
        let fitted = fit::fit(&design, &drivers, &params.priors, cancel)?;
        let rng = &mut stream(seed, &[1, design.brand as u64]);
        let deviations = bootstrap::draws(&fitted, params.draws, rng);
        let joint = JointFit {
            design: &design,
            drivers: &drivers,
            fitted: &fitted,
            deviations: &deviations,
        };
        let lines = (0..design.media.len())
            .map(|c| {
                cancel.check()?;
                line(panel, &joint, c, params, cancel)
            })
            .collect::<Result<_, _>>()?;
        models.push(BrandModel {
            fitted,
            driver_brands: siblings.own.iter().map(|&j| designs[j].brand).collect(),
            driver_uplift: siblings.own.iter().map(|&j| learned[j].uplift).collect(),
            deviations,
            lines,
            design,
        });
        progress(0.6 + 0.4 * (i + 1) as f64 / count as f64);
    }
    Ok(models)
}

/// What a brand's media earn on itself, as a regressor for its siblings.
struct Driver {
    column: Vec<f64>,
    uplift: f64,
}

/// The other brands in the regression of one.
struct Siblings {
    /// Positions of those with a column of their own.
    own: Vec<usize>,
    /// What all others earn on themselves together, where there are too many for columns of their own; a control.
    rest: Option<Vec<f64>>,
}

impl Siblings {
    /// The siblings of brand `i`; where there is not room for all, those whose media earn most stand alone.
    fn of(design: &Design, drivers: &[Driver], i: usize) -> Self {
        let mut own: Vec<usize> = (0..drivers.len()).filter(|j| *j != i).collect();
        let room = design.room();
        if own.len() <= room {
            return Self { own, rest: None };
        }
        own.sort_by(|a, b| drivers[*b].uplift.total_cmp(&drivers[*a].uplift));
        let mut rest = vec![0.0; design.y.len()];
        for j in own.split_off(room - 1) {
            crate::linear::add_scaled(&mut rest, 1.0, &drivers[j].column);
        }
        own.sort_unstable();
        Self {
            own,
            rest: Some(rest),
        }
    }

    fn columns(&self, drivers: &[Driver]) -> Vec<Vec<f64>> {
        self.own
            .iter()
            .map(|&j| drivers[j].column.clone())
            .collect()
    }

    /// The design with the media of all others as one more control.
    fn controlled(&self, design: &Design) -> Design {
        let mut design = design.clone();
        design.controls.extend(self.rest.clone());
        design
    }
}

/// Before anything is known: default shapes, every line at break-even.
fn rough_driver(design: &Design, priors: &ShapePriors) -> Driver {
    let theta = fit::start(design, priors);
    driver(design, &theta, &vec![1.0; design.media.len()])
}

fn driver(design: &Design, theta: &[f64], returns: &[f64]) -> Driver {
    let n = design.y.len();
    let (mut column, mut uplift) = (vec![0.0; n], 0.0);
    for (i, line) in design.media.iter().enumerate() {
        let unit = unpack(theta, i, line.mean);
        let coefficient = returns[i] / unit.marginal_return(&line.spend, line.before, line.after);
        let curve = Curve {
            coefficient,
            ..unit
        };
        crate::linear::add_scaled(&mut column, 1.0, &curve.margin(&line.spend, line.before));
        uplift += curve.uplift(&line.spend, line.before, line.after, 0.1);
    }
    Driver { column, uplift }
}

/// After the first round: fitted shapes, marginal returns shrunk towards what the lines have in common.
fn learn_drivers(designs: &[Design], fits: &[Fitted]) -> Vec<Driver> {
    let estimates: Vec<Vec<(f64, f64)>> = designs
        .iter()
        .zip(fits)
        .map(|(d, f)| {
            (0..d.media.len())
                .map(|i| {
                    let (estimate, error, _) = f.marginal_return(d, i);
                    (estimate, error)
                })
                .collect()
        })
        .collect();
    let prior = Shrinkage::estimate(&estimates.concat());
    let each = designs
        .iter()
        .zip(fits)
        .zip(&estimates)
        .map(|((design, fitted), estimates)| {
            let returns: Vec<f64> = estimates
                .iter()
                .map(|&(m, e)| prior.mean(m, e).max(0.05))
                .collect();
            driver(design, &fitted.theta, &returns)
        });
    each.collect()
}

/// A normal prior for marginal returns, learned from all lines (empirical Bayes).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Shrinkage {
    /// Mean of the prior.
    pub centre: f64,
    /// Variance of the prior.
    pub variance: f64,
}

impl Shrinkage {
    /// Learns the prior from estimates and standard errors (Paule–Mandel moment equation).
    ///
    /// Fewer than three estimates say too little: the prior then is break-even with a variance of 0.25. A variance above 4 is taken for 4.
    #[must_use]
    pub fn estimate(estimates: &[(f64, f64)]) -> Self {
        let usable: Vec<(f64, f64)> = estimates
            .iter()
            .copied()
            .filter(|(m, e)| m.is_finite() && e.is_finite() && *e > 0.0)
            .collect();
        if usable.len() < 3 {
            return Self {
                centre: 1.0,
                variance: 0.25,
            };
        }
        let moments = |variance: f64| {
            let weights: Vec<f64> = usable
                .iter()
                .map(|(_, e)| 1.0 / (e * e + variance))
                .collect();
            let total: f64 = weights.iter().sum();
            let centre = usable
                .iter()
                .zip(&weights)
                .map(|((m, _), w)| m * w)
                .sum::<f64>()
                / total;
            let spread: f64 = usable
                .iter()
                .zip(&weights)
                .map(|((m, _), w)| w * (m - centre).powi(2))
                .sum();
            (centre, spread)
        };
        let goal = (usable.len() - 1) as f64;
        let (mut low, mut high) = (0.0, 4.0);
        if moments(0.0).1 <= goal {
            return Self {
                centre: moments(0.0).0,
                variance: 0.0,
            };
        }
        for _ in 0..60 {
            let mid = 0.5 * (low + high);
            if moments(mid).1 > goal {
                low = mid
            } else {
                high = mid
            }
        }
        Self {
            centre: moments(high).0,
            variance: high,
        }
    }

    /// Posterior mean of an estimate with this standard error.
    #[must_use]
    pub fn mean(&self, estimate: f64, error: f64) -> f64 {
        self.centre + self.weight(error) * (estimate - self.centre)
    }

    /// Weight the data get against the prior.
    #[must_use]
    pub fn weight(&self, error: f64) -> f64 {
        self.variance / (self.variance + error * error)
    }
}

/// A brand's regression with what was fitted and drawn of it.
struct JointFit<'a> {
    design: &'a Design,
    drivers: &'a [Vec<f64>],
    fitted: &'a Fitted,
    deviations: &'a [Vec<f64>],
}

fn line(
    panel: &Panel,
    joint: &JointFit<'_>,
    c: usize,
    params: &ResponseParams,
    cancel: &dyn Cancel,
) -> Result<ResponseFit, Cancelled> {
    let JointFit {
        design,
        drivers,
        fitted,
        deviations,
    } = *joint;
    let media = &design.media[c];
    let (estimate, error, gradient) = fitted.marginal_return(design, c);
    // Where the delta method claims a difference from break-even, let the likelihood have the last word.
    let claimed = (estimate - 1.0).abs() / error;
    let widening = if claimed > 2.0 {
        let ratio =
            fit::break_even_ratio(design, drivers, fitted, &params.priors, c, cancel)?.sqrt();
        (claimed / ratio.max(0.5)).max(1.0)
    } else {
        1.0
    };
    let inflation = params.form_inflation * widening;
    let std_error = error * inflation;
    let interval = |level: f64| {
        let width = t_width(level, fitted.dof) * std_error;
        (estimate - width, estimate + width)
    };
    let draws = deviations
        .iter()
        .map(|deviation| {
            // The marginal return is close to linear in the parameters, the coefficient alone is not.
            let marginal = estimate + inflation * dot(&gradient, deviation);
            let mut theta = fitted.theta.clone();
            for k in SHAPE * c..SHAPE * (c + 1) {
                theta[k] += deviation[k];
            }
            let unit = unpack(&theta, c, media.mean);
            CurveDraw {
                at_break_even: with_return(unit, 1.0, &media.spend, media.before, media.after),
                marginal_return: marginal,
            }
        })
        .collect();
    Ok(ResponseFit {
        brand: panel.brands()[design.brand].key.clone(),
        channel: media.channel.clone(),
        metric: panel.metrics()[media.metric].key.clone(),
        curve: fitted.curve(design, c),
        current: media.after,
        recent: media.spend[media.spend.len().saturating_sub(RECENT)..].to_vec(),
        marginal_return: estimate,
        std_error,
        dof: fitted.dof,
        interval80: interval(0.8),
        interval95: interval(0.95),
        p_value: two_sided_p((estimate - 1.0) / std_error, fitted.dof),
        draws,
    })
}

/// The curve of a shape that has this marginal return over a path.
fn with_return(unit: Curve, marginal: f64, spend: &[f64], before: f64, after: f64) -> Curve {
    let per_unit = unit.marginal_return(spend, before, after);
    Curve {
        coefficient: if per_unit > 0.0 {
            marginal / per_unit
        } else {
            0.0
        },
        ..unit
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};
    use domain::metric::MetricRole;

    use super::*;
    use crate::cancel::never;
    use crate::panel::{BrandInfo, MetricInfo};
    use crate::rng::{normal, stream};
    use crate::series;

    /// Sales on one channel's spend for `own` brands, and the media pressure of `rivals`, over `weeks`.
    fn portfolio(own: usize, rivals: usize, weeks: u64) -> Panel {
        let metric = |key: &str, role, channel: Option<&str>| MetricInfo {
            key: key.to_owned(),
            role,
            channel: channel.map(str::to_owned),
            higher_is_better: true,
            additive: true,
        };
        let metrics = vec![
            metric("sales", MetricRole::Outcome, None),
            metric("search", MetricRole::Spend, Some("search")),
            metric("pressure", MetricRole::Exposure, None),
        ];
        let brands: Vec<BrandInfo> = (0..own + rivals)
            .map(|b| BrandInfo {
                key: format!("brand {b:03}"),
                own: b < own,
                margin: 0.5,
            })
            .collect();
        let (mut names, mut keys, mut periods, mut values) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let monday = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap();
        for (b, brand) in brands.iter().enumerate() {
            let rng = &mut stream(5, &[b as u64]);
            for week in 0..weeks {
                let mut add = |metric: &str, value: f64| {
                    names.push(brand.key.clone());
                    keys.push(metric.to_owned());
                    periods.push(monday + Days::new(7 * week));
                    values.push(value);
                };
                let spend = 100.0 * (0.4 * normal(rng)).exp();
                if brand.own {
                    add("search", spend);
                    add("sales", 5_000.0 + 3.0 * spend + 100.0 * normal(rng));
                } else {
                    add("pressure", spend);
                }
            }
        }
        let projects = vec!["one".to_owned(); names.len()];
        let frame = series::frame(projects, names, keys, &periods, values).unwrap();
        Panel::from_frame(&frame, brands, metrics).unwrap()
    }

    fn fitted(panel: &Panel) -> Vec<BrandModel> {
        fit_all(panel, &ResponseParams::default(), 1, &never, &mut |_| {}).unwrap()
    }

    #[test]
    fn a_brand_with_more_siblings_than_weeks_is_fitted_beside_the_largest_of_them() {
        let models = fitted(&portfolio(40, 0, 64));
        assert_eq!(models.len(), 40);
        for model in &models {
            assert!(
                model.driver_brands.len() < 39,
                "{}",
                model.driver_brands.len()
            );
            assert!(!model.driver_brands.contains(&model.brand()));
            assert_eq!(model.driver_brands.len(), model.driver_uplift.len());
            assert!(model.fitted.dof > 10.0);
            let line = &model.lines[0];
            assert!(line.marginal_return.is_finite() && line.std_error > 0.0);
        }
        // The same brands beside seven siblings are found to earn much the same.
        let apart = fitted(&portfolio(8, 0, 64));
        let differences: f64 = apart
            .iter()
            .zip(&models)
            .map(|(a, b)| a.lines[0].marginal_return - b.lines[0].marginal_return)
            .sum();
        assert!((differences / 8.0).abs() < 0.5, "{differences}");
    }

    #[test]
    fn brands_are_fitted_beside_more_rivals_than_weeks() {
        assert_eq!(fitted(&portfolio(2, 120, 104)).len(), 2);
    }
}
