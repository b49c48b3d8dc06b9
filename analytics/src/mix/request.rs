//! What a model is asked for; readable as TOML.

use serde::{Deserialize, Serialize};

use super::{
    prior::Prior,
    transform::{Adstock, Saturation},
};

/// A model and how to fit it.
///
/// ```toml
/// outcome = "revenue"
/// date = "week"
/// seed = 7
///
/// [[controls]]
/// column = "competitor_sales"
///
/// [[channels]]
/// name = "tv"
/// spend = "tv_spend"
///
/// [season]
/// harmonics = 2
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Column of the outcome, in units or money per period; an empty cell is not known.
    pub outcome: String,
    /// Column of the money that one unit of the outcome is worth; one where absent.
    #[serde(default)]
    pub value: Option<String>,
    /// Column of the period's first day, `YYYY-MM-DD`.
    #[serde(default)]
    pub date: Option<String>,
    /// Column that names the group (geo, brand, project) of a row; every group has the same periods.
    #[serde(default)]
    pub group: Option<String>,
    /// Column of a group's size, such as its population. Outcome and exposures are per unit of size. Without it, and with several
    /// groups, the size is the mean outcome.
    #[serde(default)]
    pub size: Option<String>,
    /// How outcome, exposures and controls are scaled before priors apply.
    #[serde(default)]
    pub scaling: Scaling,
    /// Trend.
    #[serde(default)]
    pub trend: Trend,
    /// Yearly season.
    #[serde(default)]
    pub season: Option<Season>,
    /// What else moves the outcome.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// Media.
    pub channels: Vec<Channel>,
    /// Priors of what is not a channel.
    #[serde(default)]
    pub priors: Priors,
    /// How to fit.
    #[serde(default)]
    pub method: Method,
    /// Last periods of every group to set aside: they are forecast by a fit that has not seen them.
    #[serde(default)]
    pub holdout: usize,
    /// Seed of every random number.
    #[serde(default)]
    pub seed: u64,
}

impl Request {
    /// A model of one series with all defaults: a constant and these channels, by the fast fit.
    #[must_use]
    pub fn new(outcome: &str, date: &str, channels: Vec<Channel>) -> Self {
        Self {
            outcome: outcome.to_owned(),
            value: None,
            date: Some(date.to_owned()),
            group: None,
            size: None,
            scaling: Scaling::default(),
            trend: Trend::default(),
            season: None,
            controls: Vec::new(),
            channels,
            priors: Priors::default(),
            method: Method::default(),
            holdout: 0,
            seed: 0,
        }
    }
}

/// Scaling before priors apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Outcome by its largest absolute value, exposures by their largest, controls as they are (PyMC-Marketing).
    #[default]
    Maximum,
    /// Outcome and controls centred with standard deviation one, exposures by the median of the positive ones (Meridian).
    Standard,
}

/// Trend of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// A constant.
    #[default]
    Constant,
    /// A constant and a straight line from 0 to 1 over the periods.
    Linear,
    /// A line with bends at this many equally spaced knots, the first and the last period among them; no constant besides it.
    Knots(usize),
}

/// A yearly season of sines and cosines of the day of the year; needs dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Season {
    /// Pairs of sine and cosine, with 1, 2, … waves a year.
    pub harmonics: usize,
}

/// A control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// Its column.
    pub column: String,
    /// Its prior; by default that of [`Priors::control`].
    #[serde(default)]
    pub prior: Option<Prior>,
    /// Whether its coefficient differs between groups.
    #[serde(default)]
    pub varies: bool,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Column of what people were exposed to, such as impressions; the spend where absent.
    #[serde(default)]
    pub exposure: Option<String>,
    /// Column of the money spent; without it there is no return on it.
    #[serde(default)]
    pub spend: Option<String>,
    /// Carry-over family.
    #[serde(default = "geometric")]
    pub adstock: Adstock,
    /// Periods in which an exposure has an effect, its own among them.
    #[serde(default = "eight")]
    pub lags: usize,
    /// Whether the weights of the lags sum to one.
    #[serde(default = "yes")]
    pub normalise: bool,
    /// Saturation family.
    #[serde(default = "logistic")]
    pub saturation: Saturation,
    /// Priors of the carry-over's parameters, in its order; defaults where empty.
    #[serde(default)]
    pub adstock_priors: Vec<Prior>,
    /// Priors of the saturation's parameters, in its order; defaults where empty.
    #[serde(default)]
    pub saturation_priors: Vec<Prior>,
    /// Prior of the coefficient on the scaled outcome; used where there is no prior on the return.
    #[serde(default = "half_normal")]
    pub coefficient: Prior,
    /// Prior of the return on spend over the whole data, value per money; needs spend.
    #[serde(default)]
    pub roi: Option<Prior>,
    /// Prior of the standard deviation between groups of the logarithm of the coefficient; `Fixed` at zero for one effect for all.
    #[serde(default = "eta")]
    pub spread: Prior,
    /// Experiments on this channel.
    #[serde(default)]
    pub lift_tests: Vec<LiftTest>,
}

impl Channel {
    /// A channel with all defaults whose exposure is its spend.
    #[must_use]
    pub fn of_spend(name: &str, spend: &str) -> Self {
        Self {
            name: name.to_owned(),
            exposure: None,
            spend: Some(spend.to_owned()),
            adstock: geometric(),
            lags: eight(),
            normalise: true,
            saturation: logistic(),
            adstock_priors: Vec::new(),
            saturation_priors: Vec::new(),
            coefficient: half_normal(),
            roi: None,
            spread: eta(),
            lift_tests: Vec::new(),
        }
    }
}

/// An experiment: steady exposure was raised from one level to another, and the outcome moved.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiftTest {
    /// Exposure per period before or in the control arm, in the units of the column (of one average group).
    pub from: f64,
    /// Exposure per period in the treated arm.
    pub to: f64,
    /// Change of the outcome per period, in its units (of one average group).
    pub lift: f64,
    /// Standard error of the change.
    pub error: f64,
}

/// Priors of what is not a channel, on the scaled outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Priors {
    /// Constant.
    pub intercept: Prior,
    /// Slope of a linear trend.
    pub slope: Prior,
    /// Value at a knot.
    pub knot: Prior,
    /// Coefficient of a control.
    pub control: Prior,
    /// Coefficient of a sine or cosine.
    pub season: Prior,
    /// Standard deviation of the noise.
    pub noise: Prior,
    /// Standard deviation between groups of the constant and of the controls that vary.
    pub spread: Prior,
}

impl Default for Priors {
    /// The defaults of PyMC-Marketing; Meridian's N(0, 5) for knots.
    fn default() -> Self {
        let normal = Prior::Normal { mean: 0.0, sd: 2.0 };
        Self {
            intercept: normal,
            slope: normal,
            knot: Prior::Normal { mean: 0.0, sd: 5.0 },
            control: normal,
            season: Prior::Laplace {
                mean: 0.0,
                scale: 1.0,
            },
            noise: Prior::HalfNormal { sd: 2.0 },
            spread: Prior::HalfNormal { sd: 2.0 },
        }
    }
}

/// How to fit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// Variable projection from several starts, then the posterior's mode and a normal around it: seconds at most.
    Fast {
        /// Draws from the normal.
        #[serde(default = "thousand")]
        draws: usize,
    },
    /// The no-U-turn sampler.
    Sample {
        /// Chains.
        #[serde(default = "four")]
        chains: usize,
        /// Draws of each chain before those that count.
        #[serde(default = "thousand")]
        warmup: usize,
        /// Draws of each chain that count.
        #[serde(default = "thousand")]
        draws: usize,
        /// Acceptance the step size aims at.
        #[serde(default = "acceptance")]
        target_accept: f64,
    },
}

impl Default for Method {
    fn default() -> Self {
        Self::Fast { draws: thousand() }
    }
}

impl Method {
    /// The sampler with defaults: 4 chains of 1,000 + 1,000 draws.
    #[must_use]
    pub fn sample() -> Self {
        Self::Sample {
            chains: four(),
            warmup: thousand(),
            draws: thousand(),
            target_accept: acceptance(),
        }
    }
}

fn geometric() -> Adstock {
    Adstock::Geometric
}
fn logistic() -> Saturation {
    Saturation::Logistic
}
fn eight() -> usize {
    8
}
fn four() -> usize {
    4
}
fn thousand() -> usize {
    1000
}
fn acceptance() -> f64 {
    0.85
}
fn yes() -> bool {
    true
}
fn half_normal() -> Prior {
    Prior::HalfNormal { sd: 2.0 }
}
fn eta() -> Prior {
    Prior::HalfNormal { sd: 1.0 }
}

/// Default priors of a carry-over family: those of PyMC-Marketing.
pub(super) fn adstock_priors(family: Adstock) -> Vec<Prior> {
    let alpha = Prior::Beta {
        alpha: 1.0,
        beta: 3.0,
    };
    match family {
        Adstock::None => vec![],
        Adstock::Geometric | Adstock::Binomial | Adstock::BinomialWide => vec![alpha],
        Adstock::Delayed => vec![alpha, Prior::HalfNormal { sd: 1.0 }],
        Adstock::WeibullPdf | Adstock::WeibullCdf => vec![
            Prior::Gamma {
                shape: 9.0,
                rate: 3.0,
            },
            Prior::Gamma {
                shape: 4.0,
                rate: 2.0,
            },
        ],
    }
}

/// Default priors of a saturation family: those of PyMC-Marketing.
pub(super) fn saturation_priors(family: Saturation) -> Vec<Prior> {
    match family {
        Saturation::None => vec![],
        Saturation::Logistic => vec![Prior::Gamma {
            shape: 3.0,
            rate: 1.0,
        }],
        Saturation::Hill => vec![Prior::HalfNormal { sd: 1.5 }, Prior::HalfNormal { sd: 1.5 }],
        Saturation::MichaelisMenten | Saturation::Tanh => vec![Prior::HalfNormal { sd: 1.0 }],
        Saturation::Root => vec![Prior::Beta {
            alpha: 1.0,
            beta: 2.0,
        }],
    }
}
