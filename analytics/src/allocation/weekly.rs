//! Weekly decisions: what is spent in one week still works in later ones.
//!
//! Geometric adstock is linear in spend, so with concave curves the whole plan is one concave program. A cell's weeks form a
//! block with a banded Hessian (a spend works for `lags` weeks), and the interior-point method of [`super::interior`] costs
//! `cells · weeks · lags²` per step. S-shaped curves are replaced by their concave envelopes on the carried-over spend a cell
//! can reach; the answer is then improved on the curves themselves, and the distance to the envelope's bound is the gap.

// Several lists share one index, as in the formulas.
#![allow(clippy::needless_range_loop)]

use super::{
    AllocationError, Answer, Held, Plan, PlannedCell, assemble,
    certificate::{self, Place},
    conflict,
    curve::{Curve, Jet},
    envelope::{Envelope, Shape},
    fits, held,
    interior::{self, Point, Program, Response, Row},
    problem::{Laid, Terminal, Weeks},
    rows::Named,
};
use crate::cancel::Cancel;

/// Most steps of the ascent on curves that are not concave.
const ASCENTS: usize = 12;

/// One cell's response to its weekly spends.
struct Carried {
    curve: Curve,
    /// Concave envelope on the carried-over spends within reach, where what the curve is worth is not concave there.
    envelope: Option<Envelope>,
    /// Envelopes of the curve and of the curve with its sign turned, on the same spends.
    both: [Envelope; 2],
    /// Whether any of its spends can move.
    moves: bool,
    /// Adstock weights by lag, that of the week itself first.
    weights: Vec<f64>,
    /// Carried-over spend per week that no decision changes.
    given: Vec<f64>,
}

impl Carried {
    /// Chooses the envelope for responses that count with this sign, where it is not the curve itself.
    fn show(&mut self, sign: f64) {
        let envelope = &self.both[usize::from(sign < 0.0)];
        let bridged = envelope
            .pieces()
            .iter()
            .any(|p| p.shape != Shape::Curve && !self.curve.is_straight());
        self.envelope = bridged.then(|| envelope.clone());
    }
}

/// Value, slope and bend of an envelope.
fn on(envelope: &Envelope, e: f64) -> Jet {
    for piece in envelope.pieces() {
        if let Shape::Line(slope) = piece.shape
            && e >= piece.from
            && e <= piece.to
        {
            return Jet {
                value: envelope.curve.value(piece.from) + slope * (e - piece.from),
                slope,
                bend: 0.0,
            };
        }
    }
    envelope.curve.jet(e)
}

/// All cells over all weeks, plan and tail.
pub(crate) struct Weekly {
    starts: Vec<usize>,
    cells: Vec<Carried>,
    season: Vec<f64>,
    weeks: usize,
    lags: usize,
    /// What stands in for curves that are not concave.
    view: View,
}

/// How curves that are not concave are seen.
enum View {
    /// As they are.
    Curve,
    /// By their concave envelopes: a bound.
    Envelope,
    /// With their convex part replaced by its tangent at these carried-over spends (cell by cell, week by week): concave, never
    /// above the curve and touching it there.
    Tangent(Vec<f64>),
}

impl Weekly {
    fn new(laid: &Laid, weeks: &Weeks) -> Result<Self, AllocationError> {
        let (brands, channels) = (laid.brands.len(), laid.channels.len());
        let (count, lags) = (weeks.count, weeks.lags);
        if lags == 0 {
            return Err(AllocationError::Number {
                name: "lags",
                value: 0.0,
            });
        }
        let alpha = weeks.alpha.cells("alpha", brands, channels)?;
        if let Some(value) = alpha.iter().find(|a| !(0.0..1.0).contains(*a)) {
            return Err(AllocationError::Number {
                name: "alpha",
                value: *value,
            });
        }
        let tail = weeks.tail.unwrap_or(lags - 1);
        let mut season = weeks.season.clone();
        if season.len() > count + tail {
            return Err(AllocationError::Length {
                name: "season",
                given: season.len(),
                wanted: count + tail,
            });
        }
        if let Some(value) = season.iter().find(|s| !s.is_finite() || **s < 0.0) {
            return Err(AllocationError::Number {
                name: "season",
                value: *value,
            });
        }
        season.resize(count + tail, 1.0);
        let after = match &weeks.terminal {
            Terminal::Baseline => laid.cells.iter().map(|c| c.current).collect(),
            Terminal::Nothing => vec![0.0; brands * channels],
            Terminal::Spend { weekly } => weekly.cells("terminal", brands, channels)?,
        };
        if let Some(carry) = &weeks.carry_in {
            let fits = carry.len() == brands && carry.iter().all(|row| row.len() == channels);
            if !fits {
                return Err(AllocationError::Table {
                    name: "carry_in",
                    rows: brands,
                    columns: channels,
                });
            }
            if let Some(short) = carry.iter().flatten().find(|w| w.len() < lags - 1) {
                return Err(AllocationError::Length {
                    name: "a cell's carry_in",
                    given: short.len(),
                    wanted: lags - 1,
                });
            }
        }
        let mut cells = Vec::with_capacity(laid.cells.len());
        for (i, cell) in laid.cells.iter().enumerate() {
            let mut weights: Vec<f64> = (0..lags).map(|l| alpha[i].powi(l as i32)).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter_mut().for_each(|w| *w /= sum);
            let before: Vec<f64> = match &weeks.carry_in {
                Some(carry) => carry[cell.brand][cell.channel].clone(),
                None => vec![cell.current; lags - 1],
            };
            if let Some(value) = before
                .iter()
                .chain([&after[i]])
                .find(|v| !v.is_finite() || **v < 0.0)
            {
                return Err(AllocationError::Number {
                    name: "spend before or after the plan",
                    value: *value,
                });
            }
            // Spend outside the plan, by week: negative weeks come before it.
            let outside = |t: i64| -> f64 {
                if t >= count as i64 {
                    after[i]
                } else if t >= 0 {
                    0.0
                } else {
                    // No further back than `lags − 1` weeks, which are there.
                    before[before.len() - (-t) as usize]
                }
            };
            let given = (0..count + tail)
                .map(|t| {
                    (0..lags)
                        .map(|l| weights[l] * outside(t as i64 - l as i64))
                        .sum()
                })
                .collect();
            let nothing = Envelope::new(cell.curve, 0.0, 0.0, 0.0);
            cells.push(Carried {
                curve: cell.curve,
                envelope: None,
                both: [nothing.clone(), nothing],
                moves: cell.upper > cell.lower,
                weights,
                given,
            });
        }
        let mut this = Self {
            starts: (0..=cells.len()).map(|b| b * count).collect(),
            cells,
            season,
            weeks: count,
            lags,
            view: View::Curve,
        };
        for (b, cell) in laid.cells.iter().enumerate() {
            let reach = |x: f64| this.carried(b, &vec![x; count]);
            let least = reach(cell.lower).into_iter().fold(f64::INFINITY, f64::min);
            let most = reach(cell.upper).into_iter().fold(0.0, f64::max);
            let of = |sign: f64| Envelope::new(cell.curve.scaled(sign), least, least, most);
            this.cells[b].both = [of(1.0), of(-1.0)];
            this.cells[b].show(cell.weight);
        }
        Ok(this)
    }

    /// The same for a test of whether rows can hold: every cell is seen by the envelope of the sign with which rows on outcomes
    /// count it. `None` where they count one with both.
    fn for_rows(mut self, rows: &[Row]) -> Option<Self> {
        for (b, cell) in self.cells.iter_mut().enumerate() {
            let mut signs = rows
                .iter()
                .flat_map(|row| &row.outcome)
                .filter(|(of, _)| *of == b)
                .map(|(_, c)| c.signum());
            let sign = signs.next().unwrap_or(1.0);
            if signs.any(|other| other != sign) && !cell.curve.is_straight() {
                return None;
            }
            cell.show(sign);
        }
        self.view = View::Envelope;
        Some(self)
    }

    fn is_concave(&self) -> bool {
        self.cells.iter().all(|c| c.envelope.is_none())
    }

    /// Carried-over spend of a cell, week by week through the tail.
    fn carried(&self, b: usize, x: &[f64]) -> Vec<f64> {
        let cell = &self.cells[b];
        let mut carried = cell.given.clone();
        for (j, spend) in x.iter().enumerate() {
            for (l, weight) in cell.weights.iter().enumerate() {
                if let Some(e) = carried.get_mut(j + l) {
                    *e += weight * spend;
                }
            }
        }
        carried
    }

    /// Value, slope and bend of a cell's curve in a week, or of what stands in for it. Always finite: an infinite slope at zero
    /// is stated as [`Curve::marginal`] does.
    fn jet(&self, b: usize, t: usize, e: f64) -> Jet {
        let jet = self.seen(b, t, e);
        if jet.slope.is_finite() && jet.bend.is_finite() {
            return jet;
        }
        Jet {
            slope: self.cells[b].curve.marginal(e),
            bend: 0.0,
            ..jet
        }
    }

    fn seen(&self, b: usize, t: usize, e: f64) -> Jet {
        let cell = &self.cells[b];
        let Some(envelope) = &cell.envelope else {
            return cell.curve.jet(e);
        };
        // The envelope of a worth that falls was taken with its sign turned.
        let sign = if envelope.curve.beta * cell.curve.beta < 0.0 {
            -1.0
        } else {
            1.0
        };
        match &self.view {
            View::Curve => cell.curve.jet(e),
            View::Envelope => {
                let jet = on(envelope, e);
                Jet {
                    value: sign * jet.value,
                    slope: sign * jet.slope,
                    bend: sign * jet.bend,
                }
            }
            View::Tangent(at) => {
                let turn = cell.curve.inflection();
                let at = at[b * self.season.len() + t];
                if sign < 0.0 || turn.is_infinite() {
                    // Convex all the way, or concave first: the plain tangent.
                    let slope = cell.curve.marginal(at);
                    return Jet {
                        value: cell.curve.value(at) + slope * (e - at),
                        slope,
                        bend: 0.0,
                    };
                }
                // f = convex up to the turn and straight beyond + nothing up to the turn and concave beyond.
                let corner = cell.curve.jet(turn);
                let straight = |e: f64| corner.value + corner.slope * (e - turn);
                let (value, slope) = if at < turn {
                    let jet = cell.curve.jet(at);
                    (jet.value + jet.slope * (e - at), jet.slope)
                } else {
                    (straight(e), corner.slope)
                };
                let beyond = if e > turn {
                    let jet = cell.curve.jet(e);
                    Jet {
                        value: jet.value - straight(e),
                        slope: jet.slope - corner.slope,
                        bend: jet.bend,
                    }
                } else {
                    Jet {
                        value: 0.0,
                        slope: 0.0,
                        bend: 0.0,
                    }
                };
                Jet {
                    value: value + beyond.value,
                    slope: slope + beyond.slope,
                    bend: beyond.bend,
                }
            }
        }
    }

    /// Carried-over spends of a plan, cell by cell, week by week.
    fn all_carried(&self, x: &[f64]) -> Vec<f64> {
        (0..self.cells.len())
            .flat_map(|b| self.carried(b, &x[self.starts[b]..self.starts[b + 1]]))
            .collect()
    }

    /// Value at `x` of a linear function of a cell's spends that is nowhere below `weight` times its response; its slope goes to
    /// `slope`.
    fn most(&self, b: usize, x: &[f64], weight: f64, slope: &mut [f64]) -> f64 {
        let cell = &self.cells[b];
        if weight == 0.0 {
            return 0.0;
        }
        let envelope = &cell.both[usize::from(weight < 0.0)];
        let carried = self.carried(b, x);
        let mut value = 0.0;
        for (t, (&e, season)) in carried.iter().zip(&self.season).enumerate() {
            let mut jet = on(envelope, e);
            if !jet.slope.is_finite() {
                // Infinitely steep at zero: the tangent a little further on is above the curve as well.
                let near = envelope.curve.jet(envelope.curve.start());
                jet.slope = near.slope;
                if cell.moves {
                    jet.value = near.value - near.slope * envelope.curve.start();
                }
            }
            value += weight.abs() * season * jet.value;
            let from = (t + 1).saturating_sub(self.lags);
            for i in from..(t + 1).min(self.weeks) {
                slope[i] += weight.abs() * season * jet.slope * cell.weights[t - i];
            }
        }
        value
    }

    fn value(&self, b: usize, x: &[f64]) -> f64 {
        self.carried(b, x)
            .iter()
            .zip(&self.season)
            .map(|(e, s)| s * self.cells[b].curve.value(*e))
            .sum()
    }
}

impl Response for Weekly {
    fn starts(&self) -> &[usize] {
        &self.starts
    }

    fn band(&self, _: usize) -> usize {
        (self.lags - 1).min(self.weeks - 1)
    }

    fn evaluate(&self, b: usize, x: &[f64], slope: &mut [f64], bend: &mut [f64]) -> f64 {
        let weights = &self.cells[b].weights;
        let carried = self.carried(b, x);
        let w = self.band(b) + 1;
        slope.fill(0.0);
        bend.fill(0.0);
        let mut value = 0.0;
        for (t, (e, season)) in carried.iter().zip(&self.season).enumerate() {
            if *season == 0.0 {
                continue;
            }
            let jet = self.jet(b, t, *e);
            value += season * jet.value;
            let (first, down) = (season * jet.slope, -season * jet.bend);
            // Weeks of the plan whose spend still works in week t.
            let from = (t + 1).saturating_sub(self.lags);
            for i in from..(t + 1).min(self.weeks) {
                let mine = weights[t - i];
                slope[i] += first * mine;
                let scaled = down * mine;
                for j in from..=i {
                    bend[i * w + i - j] += scaled * weights[t - j];
                }
            }
        }
        value
    }
}

/// What a point is worth and what bounds every other: the objective, the row sums, the net marginal returns, and a bound
/// from the tangent of the Lagrangian over the envelopes of the sign with which it counts each response, which is concave.
struct Judged {
    value: f64,
    own: Vec<f64>,
    sums: Vec<f64>,
    net: Vec<f64>,
    marginal: Vec<f64>,
    /// What one unit of spend costs.
    price: Vec<f64>,
    bound: f64,
}

fn judge(
    weekly: &Weekly,
    laid: &Laid,
    rows: &[Row],
    lower: &[f64],
    upper: &[f64],
    x: &[f64],
    prices: &[f64],
) -> Judged {
    let blocks = weekly.cells.len();
    let mut bend = vec![0.0; weekly.weeks * (weekly.band(0) + 1)];
    let mut slope = vec![0.0; x.len()];
    let mut own = vec![0.0; blocks];
    for b in 0..blocks {
        let range = weekly.starts[b]..weekly.starts[b + 1];
        own[b] = weekly.evaluate(b, &x[range.clone()], &mut slope[range], &mut bend);
    }
    let value: f64 = own
        .iter()
        .zip(&laid.cells)
        .map(|(f, c)| if c.weight == 0.0 { 0.0 } else { c.weight * f })
        .sum();
    let mut weight: Vec<f64> = laid.cells.iter().map(|c| c.weight).collect();
    let mut price = vec![0.0; x.len()];
    let mut sums = vec![0.0; rows.len()];
    let mut bound = 0.0;
    for (r, row) in rows.iter().enumerate() {
        sums[r] = row.terms.iter().map(|&(i, a)| a * x[i]).sum::<f64>()
            + row.outcome.iter().map(|&(b, c)| c * own[b]).sum::<f64>();
        let y = prices[r];
        if y != 0.0 {
            for &(i, a) in &row.terms {
                price[i] += y * a;
            }
            for &(b, c) in &row.outcome {
                weight[b] -= y * c;
            }
            bound += y * if y > 0.0 { row.upper } else { row.lower };
        }
    }
    let at = |w: f64, i: usize| if w == 0.0 { 0.0 } else { w * slope[i] };
    let net: Vec<f64> = (0..x.len())
        .map(|i| at(weight[i / weekly.weeks], i) - price[i])
        .collect();
    let marginal: Vec<f64> = (0..x.len())
        .map(|i| at(laid.cells[i / weekly.weeks].weight, i))
        .collect();
    for b in 0..blocks {
        let range = weekly.starts[b]..weekly.starts[b + 1];
        let mut tangent = vec![0.0; range.len()];
        bound += weekly.most(b, &x[range.clone()], weight[b], &mut tangent);
        for (i, tangent) in range.zip(tangent) {
            let net = tangent - price[i];
            bound -= price[i] * x[i];
            if upper[i] > lower[i] {
                bound += (net * (upper[i] - x[i])).max(net * (lower[i] - x[i]));
            }
        }
    }
    Judged {
        value,
        own,
        sums,
        // Only rows on outcomes price the response as well.
        price: (0..x.len())
            .map(|i| {
                let b = i / weekly.weeks;
                if weight[b] == laid.cells[b].weight {
                    price[i]
                } else {
                    marginal[i] - net[i]
                }
            })
            .collect(),
        marginal,
        net,
        bound,
    }
}

/// Solves a weekly problem.
pub(crate) fn solve(
    laid: &Laid,
    weeks: &Weeks,
    named: &[Named],
    cancel: &dyn Cancel,
) -> Result<Answer, AllocationError> {
    let mut weekly = Weekly::new(laid, weeks)?;
    let span = laid.span;
    let spread = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..laid.cells.len() * span).map(|i| of(i / span)).collect()
    };
    let lower = spread(&|b| laid.cells[b].lower);
    let upper = spread(&|b| laid.cells[b].upper);
    let start = spread(&|b| {
        if laid.has_current {
            laid.cells[b].current
        } else {
            0.5 * (laid.cells[b].lower + laid.cells[b].upper)
        }
    });
    let rows: Vec<Row> = named.iter().map(|n| n.row.clone()).collect();
    let weights: Vec<f64> = laid.cells.iter().map(|c| c.weight).collect();
    weekly.view = View::Envelope;
    let run = |weekly: &Weekly, start: &[f64]| -> Result<Point, AllocationError> {
        let program = Program {
            response: weekly,
            weights: &weights,
            lower: &lower,
            upper: &upper,
            rows: &rows,
        };
        Ok(interior::maximise(&program, start, cancel)?)
    };
    let mut first = run(&weekly, &start)?;
    let judged = |weekly: &Weekly, point: &Point| {
        judge(weekly, laid, &rows, &lower, &upper, &point.x, &point.prices)
    };
    // A response that is worth something may count in a row with the other sign: then what stands in for it in the objective is
    // no relaxation of the row, in either direction.
    let mixed = rows.iter().flat_map(|row| &row.outcome).any(|&(b, c)| {
        let worth = laid.cells[b].weight;
        (c * worth < 0.0 || worth == 0.0) && !laid.cells[b].curve.is_straight()
    });
    let concave = weekly.is_concave() && !mixed;
    let obeys = |weekly: &Weekly, point: &Point| {
        let sums = judged(weekly, point).sums;
        rows.iter().zip(&sums).all(|(row, sum)| {
            (row.lower - sum).max(sum - row.upper) <= 1e-8 * super::separable::row_size(row)
        })
    };
    if mixed {
        weekly.view = View::Curve;
        if !(first.converged && obeys(&weekly, &first)) {
            first = run(&weekly, &start)?;
            first.converged &= obeys(&weekly, &first);
        }
    }
    if !first.converged {
        let Some(weekly) = weekly.for_rows(&rows) else {
            return Err(AllocationError::Unsolved(
                "floors on outcomes count the same response with both signs",
            ));
        };
        let offset = vec![0.0; lower.len()];
        let test = conflict::Test {
            response: &weekly,
            lower: &lower,
            upper: &upper,
            rows: &rows,
            rules: rows.len(),
            widest: (0.0, laid.total.1),
            offset: &offset,
            start: &start,
        };
        let owner = |i: usize| format!("{}, week {}", laid.name(i / span), i % span);
        return match test.conflict(named, &owner, cancel)? {
            Some(conflict) => Ok(Answer::Infeasible(conflict)),
            None => Err(AllocationError::Unsolved(
                "the weekly program did not converge",
            )),
        };
    }
    let mut bound = judged(&weekly, &first).bound;
    let mut best = first;
    if !concave {
        // Ascent on the curves themselves: the concave minorant that touches at the plan is maximised again and again
        // (concave-convex procedure, Yuille and Rangarajan 2003).
        weekly.view = View::Curve;
        let mut value = judged(&weekly, &best).value;
        for from in [best.x.clone(), start.clone()] {
            let mut at = from;
            let mut last = f64::NEG_INFINITY;
            for _ in 0..ASCENTS {
                weekly.view = View::Tangent(weekly.all_carried(&at));
                let next = run(&weekly, &at)?;
                weekly.view = View::Curve;
                if !next.converged || mixed && !obeys(&weekly, &next) {
                    break;
                }
                let found = judged(&weekly, &next).value;
                at = next.x.clone();
                if found > value {
                    (value, best) = (found, next);
                }
                if found <= last + 1e-10 * last.abs() {
                    break;
                }
                last = found;
            }
        }
    }
    weekly.view = View::Curve;
    let at = judged(&weekly, &best);
    bound = bound.min(at.bound);
    Ok(Answer::Planned(Box::new(plan(
        &weekly, laid, weeks, named, &lower, &upper, &best, &at, bound, concave,
    ))))
}

/// Value of weekly spends, cell by cell.
pub(crate) fn evaluate(laid: &Laid, weeks: &Weeks, x: &[f64]) -> Result<f64, AllocationError> {
    let weekly = Weekly::new(laid, weeks)?;
    Ok(x.chunks(laid.span)
        .enumerate()
        .map(|(b, x)| laid.cells[b].weight * weekly.value(b, x))
        .sum())
}

/// Judges a plan by its spends and prices alone.
pub(crate) fn verify(
    laid: &Laid,
    weeks: &Weeks,
    named: &[Named],
    plan: &Plan,
) -> Result<certificate::Certificate, AllocationError> {
    let mut weekly = Weekly::new(laid, weeks)?;
    let spread = |of: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..laid.cells.len() * laid.span)
            .map(|i| of(i / laid.span))
            .collect()
    };
    let lower = spread(&|b| laid.cells[b].lower);
    let upper = spread(&|b| laid.cells[b].upper);
    let x: Vec<f64> = plan.cells.iter().flat_map(|c| c.weekly.clone()).collect();
    fits(&x, lower.len(), plan, named)?;
    let rows: Vec<Row> = named.iter().map(|n| n.row.clone()).collect();
    let mut prices = plan.certificate.prices.clone();
    interior::drop_idle(&rows, &mut prices);
    let point = Point {
        x,
        prices,
        converged: true,
        iterations: 0,
    };
    let concave = weekly.is_concave();
    weekly.view = View::Curve;
    let at = judge(
        &weekly,
        laid,
        &rows,
        &lower,
        &upper,
        &point.x,
        &point.prices,
    );
    let bound = at.bound;
    Ok(super::weekly::plan(
        &weekly, laid, weeks, named, &lower, &upper, &point, &at, bound, concave,
    )
    .certificate)
}

#[allow(clippy::too_many_arguments)]
fn plan(
    weekly: &Weekly,
    laid: &Laid,
    weeks: &Weeks,
    named: &[Named],
    lower: &[f64],
    upper: &[f64],
    point: &Point,
    at: &Judged,
    bound: f64,
    concave: bool,
) -> Plan {
    let span = laid.span;
    let places: Vec<Place> = (0..point.x.len())
        .map(|i| Place {
            x: point.x[i],
            lower: lower[i],
            upper: upper[i],
            rest: lower[i],
            net: at.net[i],
            marginal: at.marginal[i],
        })
        .collect();
    let mut certificate = certificate::certify(
        if concave {
            "one concave program over all weeks: primal-dual interior point on banded blocks"
        } else {
            "concave envelopes over all weeks for the bound, local ascent on the curves"
        },
        &places,
        named,
        &at.sums,
        &point.prices,
        at.value,
        bound,
    );
    certificate.notes.push(format!(
        "adstock over {} weeks; {} weeks after the plan count; spend in them: {}",
        weekly.lags,
        weekly.season.len() - weekly.weeks,
        match &weeks.terminal {
            Terminal::Baseline => "current spend goes on",
            Terminal::Nothing => "nothing",
            Terminal::Spend { .. } => "the stated amounts",
        }
    ));
    let cells: Vec<PlannedCell> = (0..laid.cells.len())
        .map(|b| {
            let range = b * span..(b + 1) * span;
            let best = range
                .clone()
                .max_by(|&i, &j| at.net[i].total_cmp(&at.net[j]))
                .unwrap_or(b * span);
            let states: Vec<Held> = places[range.clone()].iter().map(held).collect();
            let all = |state: Held| states.iter().all(|s| *s == state);
            PlannedCell {
                brand: laid.brands[laid.cells[b].brand].clone(),
                channel: laid.channels[laid.cells[b].channel].clone(),
                spend: point.x[range.clone()].iter().sum(),
                current: laid.cells[b].current * span as f64,
                response: laid.cells[b].weight * at.own[b],
                marginal: at.marginal[best],
                price: at.price[best],
                held: [Held::Fixed, Held::Lower, Held::Upper]
                    .into_iter()
                    .find(|s| all(*s))
                    .unwrap_or(Held::Free),
                weekly: point.x[range].to_vec(),
            }
        })
        .collect();
    let current_value = laid.has_current.then(|| {
        (0..laid.cells.len())
            .map(|b| laid.cells[b].weight * weekly.value(b, &vec![laid.cells[b].current; span]))
            .sum()
    });
    assemble(laid, cells, &at.own, current_value, certificate)
}
