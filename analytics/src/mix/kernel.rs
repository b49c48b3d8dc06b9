//! Loops over columns that the compiler turns into vector instructions.
//!
//! All are `inline(always)`, so that they take on the instruction set of the caller: the density of [`super::density`] runs
//! inside `pulp`'s dispatch, which picks the widest one of the machine at run time. Sums run in eight fixed lanes and nothing is
//! contracted, so the widths give the same bits.

/// Work that shall run with the widest instructions of the machine; its `run` must be `inline(always)` all the way down.
pub(super) trait Wide {
    type Output;
    fn run(self) -> Self::Output;
}

struct Dispatched<W>(W);

impl<W: Wide> pulp::WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> W::Output {
        self.0.run()
    }
}

/// Runs `work` with the widest instructions of the machine.
pub(super) fn wide<W: Wide>(arch: pulp::Arch, work: W) -> W::Output {
    arch.dispatch(Dispatched(work))
}

/// Scalar product.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let mut tail = 0.0;
    for (x, y) in left.remainder().iter().zip(right.remainder()) {
        tail += x * y;
    }
    for (x, y) in left.zip(right) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    reduce(lanes) + tail
}

/// Sum.
#[inline(always)]
pub(super) fn sum(a: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let chunks = a.chunks_exact(8);
    let mut tail = 0.0;
    for x in chunks.remainder() {
        tail += x;
    }
    for x in chunks {
        for i in 0..8 {
            lanes[i] += x[i];
        }
    }
    reduce(lanes) + tail
}

#[inline(always)]
fn reduce(l: [f64; 8]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// `y += k · x`.
#[inline(always)]
pub(super) fn add_scaled(y: &mut [f64], k: f64, x: &[f64]) {
    for (v, u) in y.iter_mut().zip(x) {
        *v += k * u;
    }
}

/// The exponential function to within two units in the last place, arguments cut to ±708.
///
/// Argument reduction by multiples of ln 2 (Cody and Waite 1980) and the Taylor polynomial of degree 13 on the rest.
#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    // 1.5 · 2⁵²: adding it rounds to a whole number that stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    const LN2_HIGH: f64 = 6.931_471_803_691_238e-1;
    const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;
    let x = x.clamp(-708.0, 708.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    const C: [f64; 14] = [
        1.0,
        1.0,
        1.0 / 2.0,
        1.0 / 6.0,
        1.0 / 24.0,
        1.0 / 120.0,
        1.0 / 720.0,
        1.0 / 5_040.0,
        1.0 / 40_320.0,
        1.0 / 362_880.0,
        1.0 / 3_628_800.0,
        1.0 / 39_916_800.0,
        1.0 / 479_001_600.0,
        1.0 / 6_227_020_800.0,
    ];
    // Estrin's scheme: short chains of dependent operations.
    let r2 = r * r;
    let r4 = r2 * r2;
    let r8 = r4 * r4;
    let a = (C[0] + C[1] * r) + (C[2] + C[3] * r) * r2;
    let b = (C[4] + C[5] * r) + (C[6] + C[7] * r) * r2;
    let c = (C[8] + C[9] * r) + (C[10] + C[11] * r) * r2;
    let d = C[12] + C[13] * r;
    let polynomial = (a + b * r4) + (c + d * r4) * r8;
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(0x3ff0_0000_0000_0000));
    polynomial * power
}

/// The natural logarithm of a positive number to within two units in the last place; of zero, of the smallest normal number.
///
/// `ln m = 2 artanh((m − 1)/(m + 1))` on mantissas between √½ and √2.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    let x = x.max(f64::MIN_POSITIVE);
    let bits = x.to_bits();
    // Moves the cut between exponents to √½.
    let moved = bits.wrapping_sub(0x3fe6_a09e_667f_3bcd);
    let exponent = (moved as i64) >> 52;
    let mantissa = f64::from_bits(bits.wrapping_sub((exponent as u64) << 52));
    // A small integer as f64 without a conversion instruction that has no vector form on older machines.
    let k = f64::from_bits((exponent as u64).wrapping_add(0x4338_0000_0000_0000))
        - 6_755_399_441_055_744.0;
    let f = (mantissa - 1.0) / (mantissa + 1.0);
    let g = f * f;
    let g2 = g * g;
    let g4 = g2 * g2;
    let low = (1.0 + g / 3.0) + (1.0 / 5.0 + g / 7.0) * g2;
    let mid = (1.0 / 9.0 + g / 11.0) + (1.0 / 13.0 + g / 15.0) * g2;
    let high = (1.0 / 17.0 + g / 19.0) + g2 / 21.0;
    let series = (low + mid * g4) + high * g4 * g4;
    k * std::f64::consts::LN_2 + 2.0 * f * series
}

/// `(1 − e⁻ᶻ)/(1 + e⁻ᶻ)`, that is tanh(z/2).
#[inline(always)]
pub(super) fn logistic(z: f64) -> f64 {
    let e = exp(-z);
    (1.0 - e) / (1.0 + e)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_and_logarithm_agree_with_the_library() {
        for i in -70_000..70_000 {
            let x = f64::from(i) * 0.01;
            let (ours, library) = (exp(x), x.exp());
            assert!(
                (ours - library).abs() <= 8e-16 * library,
                "exp({x}): {ours} {library}"
            );
        }
        for i in 1..200_000 {
            let x = (f64::from(i) * 1e-4).powi(3);
            let (ours, library) = (ln(x), x.ln());
            assert!(
                (ours - library).abs() <= 4e-16 * library.abs() + 3e-16,
                "ln({x}): {ours} {library}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(0.0) < -708.0);
    }

    #[test]
    fn sums_and_products() {
        let a: Vec<f64> = (0..19).map(f64::from).collect();
        assert_eq!(sum(&a), 171.0);
        assert_eq!(dot(&a, &a), 2109.0);
        let mut y = a.clone();
        add_scaled(&mut y, -1.0, &a);
        assert_eq!(dot(&y, &y), 0.0);
        assert!((logistic(1.0) - 0.5f64.tanh()).abs() < 1e-15);
    }
}
