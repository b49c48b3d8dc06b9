//! The concave envelope of a cell: the least concave function above its curve on the spends it is allowed.
//!
//! What a cell may spend is an interval, or a single smaller amount (usually nothing) and an interval ("if used, at least
//! this"). An S-shaped or gapped curve is bridged by a straight line up to the point of tangency. The maximum of
//! `f(x) − price · x` over the allowed spends equals that of the envelope, which is what makes Lagrangian bounds exact per cell
//! (Falk 1969).

use super::curve::Curve;

/// Where the envelope runs along the curve and where it is a straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// On the curve.
    Curve,
    /// Straight, with this slope.
    Line(f64),
}

/// A stretch of the envelope. Slopes fall from piece to piece.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Piece {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) shape: Shape,
}

/// Concave envelope of a curve over `{anchor} ∪ [used_from, upper]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Envelope {
    pub(crate) curve: Curve,
    pub(crate) anchor: f64,
    pub(crate) upper: f64,
    pieces: [Piece; 2],
    count: usize,
}

const NONE: Piece = Piece {
    from: 0.0,
    to: 0.0,
    shape: Shape::Curve,
};

impl Envelope {
    pub(crate) fn new(curve: Curve, anchor: f64, used_from: f64, upper: f64) -> Self {
        let mut envelope = Self {
            curve,
            anchor,
            upper,
            pieces: [NONE; 2],
            count: 0,
        };
        if upper <= anchor {
            return envelope;
        }
        let straight = |from: f64, to: f64| {
            let slope = if curve.beta == 0.0 {
                0.0
            } else {
                (curve.value(to) - curve.value(from)) / (to - from)
            };
            Piece {
                from,
                to,
                shape: Shape::Line(slope),
            }
        };
        let along = |from: f64, to: f64| Piece {
            from,
            to,
            shape: Shape::Curve,
        };
        let turn = curve.inflection();
        if curve.beta == 0.0 {
            envelope.add(straight(anchor, upper));
        } else if curve.beta > 0.0 {
            let start = used_from.max(turn);
            if turn <= anchor && used_from <= anchor {
                envelope.add(along(anchor, upper));
            } else if start >= upper {
                envelope.add(straight(anchor, upper));
            } else {
                let touch = tangent_from(&curve, anchor, start, upper);
                envelope.add(straight(anchor, touch));
                envelope.add(along(touch, upper));
            }
        } else if turn <= anchor {
            // A falling convex curve.
            envelope.add(straight(anchor, upper));
        } else if turn >= upper {
            envelope.add(along(anchor, upper));
        } else {
            let touch = tangent_to(&curve, anchor, turn, upper);
            envelope.add(along(anchor, touch));
            envelope.add(straight(touch, upper));
        }
        envelope
    }

    fn add(&mut self, piece: Piece) {
        if piece.to > piece.from {
            self.pieces[self.count] = piece;
            self.count += 1;
        }
    }

    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces[..self.count]
    }

    /// Value of the envelope at an allowed spend.
    pub(crate) fn value(&self, x: f64) -> f64 {
        for piece in self.pieces() {
            if let Shape::Line(slope) = piece.shape
                && x < piece.to
                && x > piece.from
            {
                return self.curve.value(piece.from) + slope * (x - piece.from);
            }
        }
        self.curve.value(x)
    }

    /// Slope of the envelope just below and just above `x`.
    pub(crate) fn slopes(&self, x: f64) -> (f64, f64) {
        let at = |piece: &Piece| match piece.shape {
            Shape::Line(slope) => slope,
            Shape::Curve => self.curve.slope(x),
        };
        let below = self.pieces().iter().rev().find(|p| p.from < x);
        let above = self.pieces().iter().find(|p| p.to > x);
        (
            below.map_or(f64::INFINITY, at),
            above.map_or(f64::NEG_INFINITY, at),
        )
    }

    /// The smallest and the largest spend that maximise `envelope − price · x`; they differ only on a line of exactly that
    /// slope. Both are allowed spends of the cell itself.
    pub(crate) fn respond(&self, price: f64) -> (f64, f64) {
        let mut least = self.anchor;
        for piece in self.pieces() {
            match piece.shape {
                Shape::Line(slope) => {
                    if slope < price {
                        return (least, piece.from);
                    }
                    if slope == price {
                        // Pieces after a line of this slope are flatter at once or touch it.
                        return (piece.from, piece.to);
                    }
                    least = piece.to;
                }
                Shape::Curve => {
                    let x = self.at_slope(piece, price);
                    if x < piece.to {
                        return (x, x);
                    }
                    least = piece.to;
                }
            }
        }
        (least, least)
    }

    /// The spend on a curved piece whose slope is `price`, or the end of the piece.
    fn at_slope(&self, piece: &Piece, price: f64) -> f64 {
        if self.curve.beta > 0.0 {
            return self.curve.at_slope(price).clamp(piece.from, piece.to);
        }
        if self.curve.slope(piece.from) <= price {
            return piece.from;
        }
        if self.curve.slope(piece.to) >= price {
            return piece.to;
        }
        root(piece.from, piece.to, |x| {
            let jet = self.curve.jet(x);
            (jet.slope - price, jet.bend)
        })
    }
}

/// The point of `[start, upper]` at which the line from `(anchor, f(anchor))` touches the curve, or the nearer end. The curve is
/// concave from `start` on.
fn tangent_from(curve: &Curve, anchor: f64, start: f64, upper: f64) -> f64 {
    let base = curve.value(anchor);
    // Rises along the concave part.
    let lift = |t: f64| {
        let jet = curve.jet(t);
        (
            jet.value - base - jet.slope * (t - anchor),
            -jet.bend * (t - anchor),
        )
    };
    if lift(start).0 >= 0.0 {
        return start;
    }
    if lift(upper).0 <= 0.0 {
        return upper;
    }
    root(start, upper, |t| {
        let (value, slope) = lift(t);
        (-value, -slope)
    })
}

/// The point of `[anchor, turn]` from which the line to `(upper, f(upper))` leaves a falling curve that is concave up to `turn`.
fn tangent_to(curve: &Curve, anchor: f64, turn: f64, upper: f64) -> f64 {
    let end = curve.value(upper);
    let lift = |t: f64| {
        let jet = curve.jet(t);
        (
            jet.slope * (upper - t) - (end - jet.value),
            jet.bend * (upper - t),
        )
    };
    if lift(anchor).0 <= 0.0 {
        return anchor;
    }
    if lift(turn).0 >= 0.0 {
        return turn;
    }
    root(anchor, turn, lift)
}

/// Root of a function that falls from above zero at `low` to below zero at `high`: Newton steps kept inside a bracket that
/// bisection shrinks. `at` returns value and derivative.
pub(crate) fn root(mut low: f64, mut high: f64, at: impl Fn(f64) -> (f64, f64)) -> f64 {
    let mut x = 0.5 * (low + high);
    for _ in 0..200 {
        let (value, slope) = at(x);
        if value > 0.0 {
            low = x;
        } else if value < 0.0 {
            high = x;
        } else {
            return x;
        }
        let step = x - value / slope;
        let next = if step > low && step < high {
            step
        } else {
            0.5 * (low + high)
        };
        if (next - x).abs() <= 4.0 * f64::EPSILON * x.abs()
            || high - low <= f64::EPSILON * high.abs()
        {
            return next;
        }
        x = next;
    }
    x
}

#[cfg(test)]
mod tests {
    use super::super::curve::Family;
    use super::*;

    fn hill(beta: f64, a: f64) -> Curve {
        Curve {
            family: Family::Hill,
            beta,
            a,
            k: 40.0,
        }
    }

    fn cases() -> Vec<(Envelope, f64)> {
        let of = |curve: Curve, anchor: f64, used: f64, upper: f64| {
            (Envelope::new(curve, anchor, used, upper), used)
        };
        let power = Curve {
            family: Family::Power,
            beta: 5.0,
            a: 1.5,
            k: 3.0,
        };
        vec![
            of(hill(90.0, 0.7), 0.0, 0.0, 120.0),
            of(hill(90.0, 2.5), 0.0, 0.0, 120.0),
            of(hill(90.0, 2.5), 10.0, 10.0, 30.0),
            of(hill(90.0, 2.5), 0.0, 55.0, 120.0),
            of(hill(90.0, 0.7), 0.0, 25.0, 120.0),
            of(hill(-90.0, 0.7), 0.0, 0.0, 120.0),
            of(hill(-90.0, 2.5), 0.0, 0.0, 120.0),
            of(power, 0.0, 0.0, 30.0),
            of(hill(0.0, 2.0), 0.0, 0.0, 30.0),
        ]
    }

    #[test]
    fn an_envelope_lies_above_its_curve_and_its_slopes_fall() {
        for (envelope, used) in cases() {
            let mut last = f64::INFINITY;
            for i in 1..1000 {
                let x =
                    envelope.anchor + (envelope.upper - envelope.anchor) * f64::from(i) / 1000.0;
                if x >= used {
                    assert!(
                        envelope.value(x) >= envelope.curve.value(x) - 1e-9,
                        "{envelope:?} {x}"
                    );
                }
                let (below, above) = envelope.slopes(x);
                assert!(
                    below <= last + 1e-9 && above <= below + 1e-9,
                    "{envelope:?} {x}"
                );
                last = above;
            }
        }
    }

    #[test]
    fn the_response_to_a_price_is_the_best_allowed_spend() {
        for (envelope, used) in cases() {
            for price in [-1.2, -0.4, -0.05, 0.0, 0.2, 0.7, 1.1, 1.4, 3.0] {
                let worth = |x: f64| envelope.curve.value(x) - price * x;
                let best = (0..=20_000)
                    .map(|i| used + (envelope.upper - used) * f64::from(i) / 20_000.0)
                    .chain([envelope.anchor])
                    .map(worth)
                    .fold(f64::NEG_INFINITY, f64::max);
                let (low, high) = envelope.respond(price);
                for x in [low, high] {
                    assert!(x == envelope.anchor || x >= used || envelope.curve.beta <= 0.0);
                    let own = envelope.value(x) - price * x;
                    assert!(
                        own >= best - 1e-9 * (1.0 + best.abs()),
                        "{envelope:?} {price} {x}"
                    );
                    assert!(
                        own <= best + 1e-5 * (1.0 + best.abs()),
                        "{envelope:?} {price} {x}"
                    );
                }
            }
        }
    }
}
