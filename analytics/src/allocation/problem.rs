//! An allocation problem as it is written down: JSON in, checked and laid out by cell.

use serde::{Deserialize, Serialize};

use super::{
    AllocationError,
    curve::{Curve, Family},
    grid::Grid,
    rule::{Extent, Rule},
};

/// A curve family for all cells, or one per cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "the name of a curve family, a list with one per channel, or a table with a row per brand"
)]
pub enum Families {
    /// The same for every cell.
    Same(Family),
    /// One brand, a family per channel.
    Channels(Vec<Family>),
    /// A row per brand, a family per channel.
    Cells(Vec<Vec<Family>>),
}

impl Default for Families {
    fn default() -> Self {
        Self::Same(Family::Hill)
    }
}

/// How much may be spent in all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "the total as a number, or {\"min\": …, \"max\": …}"
)]
pub enum Total {
    /// Exactly this.
    Exactly(f64),
    /// Between these two.
    Between {
        /// Least total.
        #[serde(default)]
        min: f64,
        /// Largest total.
        max: f64,
    },
}

/// What happens to spend after the plan's last week, while its response still counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Terminal {
    /// Spend goes on at `current`, so that a plan is not rewarded for a last-week spike.
    #[default]
    Baseline,
    /// Nothing is spent after the plan.
    Nothing,
    /// These amounts per week.
    Spend {
        /// Spend per cell and week.
        weekly: Grid,
    },
}

/// Weekly decisions: spend carries over by geometric adstock.
///
/// The response of a cell is `Σ_t season_t · f(e_t)` over the plan's weeks and the tail, with
/// `e_t = Σ_{l<lags} αˡ x_{t−l} / Σ_{l<lags} αˡ`. Bounds and `current` are then per week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weeks {
    /// Weeks that are planned.
    pub count: usize,
    /// Weeks that a spend works, its own included.
    pub lags: usize,
    /// Retention per week, in `[0, 1)`.
    pub alpha: Grid,
    /// Seasonal factor per week of the plan and of the tail; 1 where absent.
    #[serde(default)]
    pub season: Vec<f64>,
    /// Spend before the plan, brand × channel × week, oldest first; the last `lags − 1` weeks count. `current` where absent.
    #[serde(default)]
    pub carry_in: Option<Vec<Vec<Vec<f64>>>>,
    /// Weeks after the plan whose response counts; `lags − 1` where absent.
    #[serde(default)]
    pub tail: Option<usize>,
    /// Spend in those weeks.
    #[serde(default)]
    pub terminal: Terminal,
}

/// What is maximised over the scenarios.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Attitude {
    /// `(1 − weight) · mean + weight · CVaR`, the mean of the worst `1 − level` share of scenarios
    /// (Rockafellar and Uryasev 2000).
    MeanCvar {
        /// Weight of the bad scenarios, in `[0, 1]`.
        weight: f64,
        /// Level such as 0.9 for the worst tenth.
        level: f64,
    },
    /// `mean − aversion / 2 · variance` (Markowitz 1952), in its monotone form (Maccheroni, Marinacci, Rustichini and
    /// Taboga 2009): a good surprise never counts against a plan.
    MeanVariance {
        /// Aversion, per unit of outcome.
        aversion: f64,
    },
    /// The largest shortfall against the best plan of each scenario is made small (Savage 1951).
    Regret,
}

/// Equally likely parameter draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenarios {
    /// Per scenario, a factor on each cell's `beta`, brand-major.
    pub scale: Vec<Vec<f64>>,
    /// Per scenario, `k` of each cell instead of the problem's.
    #[serde(default)]
    pub k: Option<Vec<Vec<f64>>>,
    /// Per scenario, `a` of each cell instead of the problem's.
    #[serde(default)]
    pub a: Option<Vec<Vec<f64>>>,
    /// What is maximised.
    pub objective: Attitude,
}

/// An allocation problem.
///
/// maximise `Σ_b value_b (C_b + Σ_j cross_bj C_j)` with `C_j = Σ_c f_jc(x_jc)`, within bounds, total and rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Names of the brands; numbered where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// Names of the channels; numbered where absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Shape of the response curves.
    #[serde(default)]
    pub family: Families,
    /// Scale of the response.
    pub beta: Grid,
    /// Exponent, for families that have one.
    #[serde(default = "one")]
    pub a: Grid,
    /// Scale of the spend.
    pub k: Grid,
    /// Worth of one unit of a brand's outcome; 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Vec<f64>>,
    /// Effect of brand j's own response on brand i's outcome, `cross[i][j]`; may be negative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cross: Option<Vec<Vec<f64>>>,
    /// Spend now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Grid>,
    /// Least spend; 0 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<Grid>,
    /// Largest spend; the total where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upper: Option<Grid>,
    /// The total.
    #[serde(rename = "B")]
    pub total: Total,
    /// Rules on groups of cells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// Weekly decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weeks: Option<Weeks>,
    /// Uncertain curves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenarios: Option<Scenarios>,
}

fn one() -> Grid {
    Grid::Same(1.0)
}

/// One cell, laid out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) brand: usize,
    pub(crate) channel: usize,
    /// Its own response.
    pub(crate) curve: Curve,
    /// What a unit of its response is worth to the portfolio, effects on other brands included.
    pub(crate) weight: f64,
    pub(crate) current: f64,
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    /// Least spend if anything at all is spent; `lower` where there is no such rule.
    pub(crate) used_from: f64,
    /// The rule that asks for it.
    pub(crate) least_use: Option<LeastUse>,
}

/// A rule on the least use of a cell, as it is written down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LeastUse {
    /// Its number in the problem's list.
    pub(crate) number: usize,
    /// Least spend if anything is spent.
    pub(crate) min: f64,
    /// Upper bound of the cell without the rule: below the least use the cell can only stay unused.
    pub(crate) upper: f64,
}

/// A problem that passed every check that needs no optimisation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Laid {
    pub(crate) brands: Vec<String>,
    pub(crate) channels: Vec<String>,
    pub(crate) cells: Vec<Cell>,
    pub(crate) total: (f64, f64),
    pub(crate) value: Vec<f64>,
    /// Effects between brands, where there are any.
    pub(crate) cross: Option<Vec<Vec<f64>>>,
    pub(crate) has_current: bool,
    /// Weeks per cell; 1 for a problem without weeks.
    pub(crate) span: usize,
    /// Whether spends are decided by week.
    pub(crate) weekly: bool,
}

impl Problem {
    /// Checks the problem and lays it out by cell.
    pub(crate) fn lay(&self) -> Result<Laid, AllocationError> {
        let shapes = [Some(&self.beta), Some(&self.k), Some(&self.a)];
        let more = [
            self.current.as_ref(),
            self.lower.as_ref(),
            self.upper.as_ref(),
        ];
        let (brands, channels) = shapes
            .into_iter()
            .chain(more)
            .flatten()
            .find_map(Grid::shape)
            .unwrap_or((self.brands.len().max(1), self.channels.len().max(1)));
        if brands * channels == 0 {
            return Err(AllocationError::Empty("cells"));
        }
        let names = |given: &[String], count: usize, noun: &'static str| {
            if given.is_empty() {
                Ok((0..count).map(|i| format!("{noun} {i}")).collect())
            } else if given.len() == count {
                Ok(given.to_vec())
            } else {
                Err(AllocationError::Names {
                    noun,
                    given: given.len(),
                    wanted: count,
                })
            }
        };
        let brand_names: Vec<String> = names(&self.brands, brands, "brand")?;
        let channel_names: Vec<String> = names(&self.channels, channels, "channel")?;
        let cells = |grid: &Grid, name| grid.cells(name, brands, channels);
        let beta = cells(&self.beta, "beta")?;
        let a = cells(&self.a, "a")?;
        let k = cells(&self.k, "k")?;
        let positive = |values: &[f64], name| {
            values
                .iter()
                .find(|v| **v <= 0.0)
                .map_or(Ok(()), |v| Err(AllocationError::Number { name, value: *v }))
        };
        positive(&a, "a")?;
        positive(&k, "k")?;
        let families: Vec<Family> = match &self.family {
            Families::Same(family) => vec![*family; brands * channels],
            Families::Channels(row) => row.clone(),
            Families::Cells(rows) => rows.concat(),
        };
        if families.len() != brands * channels {
            return Err(AllocationError::Table {
                name: "a family per cell",
                rows: brands,
                columns: channels,
            });
        }
        let span = match &self.weeks {
            None => 1,
            Some(weeks) if weeks.count == 0 => return Err(AllocationError::Empty("weeks")),
            Some(weeks) => weeks.count,
        };
        let total = match self.total {
            Total::Exactly(amount) => (amount, amount),
            Total::Between { min, max } => (min, max),
        };
        for value in [total.0, total.1] {
            if !value.is_finite() || value < 0.0 {
                return Err(AllocationError::Number { name: "B", value });
            }
        }
        if total.0 > total.1 {
            return Err(AllocationError::Crossed {
                what: "the total".to_owned(),
                lower: total.0,
                upper: total.1,
            });
        }
        let optional = |grid: &Option<Grid>, name, otherwise: f64| {
            grid.as_ref()
                .map_or(Ok(vec![otherwise; brands * channels]), |g| cells(g, name))
        };
        let current = optional(&self.current, "current", 0.0)?;
        let lower = optional(&self.lower, "lower", 0.0)?;
        let upper = match &self.upper {
            Some(grid) => cells(grid, "upper")?,
            // The total limits every cell; where it is below a cell's least, that is a conflict of the two.
            None => lower.iter().map(|least| total.1.max(*least)).collect(),
        };
        if let Some(value) = lower.iter().find(|v| **v < 0.0) {
            return Err(AllocationError::Number {
                name: "lower",
                value: *value,
            });
        }
        let value = self.value.clone().unwrap_or_else(|| vec![1.0; brands]);
        let cross = self.cross.clone();
        if value.len() != brands {
            return Err(AllocationError::Length {
                name: "value",
                given: value.len(),
                wanted: brands,
            });
        }
        if let Some(cross) = &cross
            && (cross.len() != brands || cross.iter().any(|r| r.len() != brands))
        {
            return Err(AllocationError::Table {
                name: "cross",
                rows: brands,
                columns: brands,
            });
        }
        for (name, bad) in [
            ("value", value.iter().find(|v| !v.is_finite())),
            (
                "cross",
                cross.iter().flatten().flatten().find(|v| !v.is_finite()),
            ),
        ] {
            if let Some(value) = bad {
                return Err(AllocationError::Number {
                    name,
                    value: *value,
                });
            }
        }
        let mut laid = Laid {
            brands: brand_names,
            channels: channel_names,
            cells: Vec::with_capacity(brands * channels),
            total,
            has_current: self.current.is_some(),
            value,
            cross,
            span,
            weekly: self.weeks.is_some(),
        };
        // Money spent on a brand earns what it does to every brand.
        let mut weights = laid.value.clone();
        for (i, value) in laid.value.iter().enumerate() {
            for (weight, effect) in weights.iter_mut().zip(laid.effects_on(i)) {
                *weight += value * effect;
            }
        }
        for (brand, &weight) in weights.iter().enumerate() {
            for channel in 0..channels {
                let i = brand * channels + channel;
                laid.cells.push(Cell {
                    brand,
                    channel,
                    curve: Curve {
                        family: families[i],
                        beta: beta[i],
                        a: a[i],
                        k: k[i],
                    },
                    weight,
                    current: current[i],
                    lower: lower[i],
                    upper: upper[i],
                    used_from: lower[i],
                    least_use: None,
                });
            }
        }
        self.adjust_cells(&mut laid)?;
        Ok(laid)
    }

    /// Applies the rules that speak of single cells: limits of change, least use, then fixed amounts, whatever their order.
    fn adjust_cells(&self, laid: &mut Laid) -> Result<(), AllocationError> {
        let extent = laid.extent();
        for (number, rule) in self.rules.iter().enumerate() {
            rule.check(number, extent)?;
        }
        for i in 0..laid.cells.len() {
            let cell = &laid.cells[i];
            if cell.lower > cell.upper {
                return Err(AllocationError::Crossed {
                    what: laid.name(i),
                    lower: cell.lower,
                    upper: cell.upper,
                });
            }
        }
        let channels = laid.channels.len();
        // Cells whose upper bound is the total only because they have no other.
        let mut unlimited = vec![self.upper.is_none(); laid.cells.len()];
        for (number, rule) in self.rules.iter().enumerate() {
            if let Rule::CellChange {
                brand,
                channel,
                max_relative,
            } = rule
            {
                let i = brand * channels + channel;
                let cell = &mut laid.cells[i];
                let (low, high) = (
                    cell.current * (1.0 - max_relative),
                    cell.current * (1.0 + max_relative),
                );
                let most = if unlimited[i] {
                    cell.upper.max(low)
                } else {
                    cell.upper
                };
                let bounds = (cell.lower, most);
                cell.lower = bounds.0.max(low);
                cell.upper = bounds.1.min(high);
                cell.used_from = cell.lower;
                unlimited[i] = false;
                if cell.lower > cell.upper {
                    let why = format!(
                        "a spend from {low} to {high} on {} contradicts its limits, {} and {}",
                        laid.name(i),
                        bounds.0,
                        bounds.1
                    );
                    return Err(AllocationError::Rule { number, why });
                }
            }
        }
        for (number, rule) in self.rules.iter().enumerate() {
            if let Rule::MinimumIfUsed {
                brand,
                channel,
                min,
            } = rule
            {
                let cell = &mut laid.cells[brand * channels + channel];
                let upper = cell.least_use.map_or(cell.upper, |l| l.upper);
                if *min > cell.lower && cell.least_use.is_none_or(|l| *min > l.min) {
                    cell.least_use = Some(LeastUse {
                        number,
                        min: *min,
                        upper,
                    });
                    // A least use that cannot be reached leaves the unused amount only.
                    if *min > upper {
                        (cell.upper, cell.used_from) = (cell.lower, cell.lower);
                    } else {
                        cell.used_from = *min;
                    }
                }
            }
        }
        for (number, rule) in self.rules.iter().enumerate() {
            if let Rule::Fixed {
                brand,
                channel,
                amount,
            } = rule
            {
                let i = brand * channels + channel;
                let cell = &mut laid.cells[i];
                let amount = amount.unwrap_or(cell.current);
                let least = cell.least_use.map_or(cell.lower, |l| l.min);
                let most = match (unlimited[i], cell.least_use) {
                    (true, _) => f64::INFINITY,
                    (false, Some(rule)) => rule.upper,
                    (false, None) => cell.upper,
                };
                if amount != cell.lower && !(least..=most).contains(&amount) {
                    let unused = if least > cell.lower {
                        format!("{} or ", cell.lower)
                    } else {
                        String::new()
                    };
                    let why = format!(
                        "{amount} on {} contradicts its limits, {unused}{least} to {most}",
                        laid.name(i)
                    );
                    return Err(AllocationError::Rule { number, why });
                }
                (cell.lower, cell.upper, cell.used_from) = (amount, amount, amount);
                cell.least_use = None;
                unlimited[i] = false;
            }
        }
        Ok(())
    }
}

impl Laid {
    /// What a rule may name.
    pub(crate) fn extent(&self) -> Extent {
        Extent {
            brands: self.brands.len(),
            channels: self.channels.len(),
            weeks: self.span,
            current: self.has_current,
            weekly: self.weekly,
        }
    }

    /// Effect of every brand's own response on brand `i`'s outcome; nothing where brands do not act on each other.
    pub(crate) fn effects_on(&self, i: usize) -> &[f64] {
        self.cross.as_ref().map_or(&[], |cross| &cross[i])
    }

    /// Name of a cell.
    pub(crate) fn name(&self, cell: usize) -> String {
        let cell = &self.cells[cell];
        format!(
            "{} × {}",
            self.brands[cell.brand], self.channels[cell.channel]
        )
    }
}
