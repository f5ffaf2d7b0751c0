//! Sums over vectors of float32, with the widest instructions that the machine has.

use pulp::{Arch, Simd, WithSimd};

/// What is computed of a row and the query beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// Of the products.
    Products,
    /// Of the squared differences.
    SquaredDifferences,
    /// Of the row's own squares.
    Squares,
}

/// Adds up each row of `rows`, vectors of as many numbers as `query` has, one after the other. Sums are kept in float32, in several parts.
pub fn sums(sum: Sum, rows: &[f32], query: &[f32], out: &mut Vec<f32>) {
    dispatch(Rows { sum, rows, query, out });
}

fn dispatch(sums: impl WithSimd<Output = ()>) {
    thread_local!(static ARCH: Arch = Arch::new());
    ARCH.with(|arch| arch.dispatch(sums));
}

/// The products and the squares of each row, as [`sums`] gives them, in one pass: the rows come from memory once.
pub fn products_and_squares(rows: &[f32], query: &[f32], products: &mut Vec<f32>, squares: &mut Vec<f32>) {
    dispatch(Both { rows, query, products, squares });
}

struct Both<'a> {
    rows: &'a [f32],
    query: &'a [f32],
    products: &'a mut Vec<f32>,
    squares: &'a mut Vec<f32>,
}

impl WithSimd for Both<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for row in self.rows.chunks_exact(self.query.len().max(1)) {
            let (products, squares) = added_twice(simd, row, self.query);
            self.products.push(products);
            self.squares.push(squares);
        }
    }
}

struct Rows<'a> {
    sum: Sum,
    rows: &'a [f32],
    query: &'a [f32],
    out: &'a mut Vec<f32>,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.rows.chunks_exact(self.query.len().max(1));
        match self.sum {
            Sum::Products => self.out.extend(rows.map(|row| added::<S, false>(simd, row, self.query))),
            Sum::SquaredDifferences => self.out.extend(rows.map(|row| added::<S, true>(simd, row, self.query))),
            Sum::Squares => self.out.extend(rows.map(|row| added::<S, false>(simd, row, row))),
        }
    }
}

/// Parts that are added up beside each other, so that no addition waits for the one before.
const PARTS: usize = 4;

/// The products of two vectors added up, or with `APART` the squares of their differences.
#[inline(always)]
fn added<S: Simd, const APART: bool>(simd: S, a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let mut parts = [simd.splat_f32s(0.0); PARTS];
    let (a_groups, b_groups) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let last = a_groups.remainder().iter().zip(b_groups.remainder());
    for (part, (a, b)) in parts.iter_mut().zip(last) {
        *part = step::<S, APART>(simd, *a, *b, *part);
    }
    for (a, b) in a_groups.zip(b_groups) {
        for ((part, a), b) in parts.iter_mut().zip(a).zip(b) {
            *part = step::<S, APART>(simd, *a, *b, *part);
        }
    }
    together(simd, parts) + a_rest.iter().zip(b_rest).map(|(a, b)| if APART { (a - b) * (a - b) } else { a * b }).sum::<f32>()
}

#[inline(always)]
fn together<S: Simd>(simd: S, parts: [S::f32s; PARTS]) -> f32 {
    let [p, q, r, s] = parts;
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(p, q), simd.add_f32s(r, s)))
}

/// The products of two vectors and the squares of the first, each added up as by [`added`]: the first is read once.
#[inline(always)]
fn added_twice<S: Simd>(simd: S, a: &[f32], b: &[f32]) -> (f32, f32) {
    let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(a), S::as_simd_f32s(b));
    let (mut products, mut squares) = ([simd.splat_f32s(0.0); PARTS], [simd.splat_f32s(0.0); PARTS]);
    let (a_groups, b_groups) = (a.chunks_exact(PARTS), b.chunks_exact(PARTS));
    let last = a_groups.remainder().iter().zip(b_groups.remainder());
    for ((product, square), (a, b)) in products.iter_mut().zip(&mut squares).zip(last) {
        *product = simd.mul_add_e_f32s(*a, *b, *product);
        *square = simd.mul_add_e_f32s(*a, *a, *square);
    }
    for (a, b) in a_groups.zip(b_groups) {
        for (((product, square), a), b) in products.iter_mut().zip(&mut squares).zip(a).zip(b) {
            *product = simd.mul_add_e_f32s(*a, *b, *product);
            *square = simd.mul_add_e_f32s(*a, *a, *square);
        }
    }
    let rest = |other: &[f32]| a_rest.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
    (together(simd, products) + rest(b_rest), together(simd, squares) + rest(a_rest))
}

#[inline(always)]
fn step<S: Simd, const APART: bool>(simd: S, a: S::f32s, b: S::f32s, sum: S::f32s) -> S::f32s {
    if APART {
        let apart = simd.sub_f32s(a, b);
        simd.mul_add_e_f32s(apart, apart, sum)
    } else {
        simd.mul_add_e_f32s(a, b, sum)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_are_those_of_plain_loops(dim in 1usize..70, rows in 0usize..5, seed in any::<u32>()) {
            let number = |i: usize| ((seed.wrapping_mul(2_654_435_761).wrapping_add((i as u32).wrapping_mul(40_503)) >> 8) % 2000) as f32 / 100.0 - 10.0;
            let data: Vec<f32> = (0..rows * dim).map(number).collect();
            let query: Vec<f32> = (0..dim).map(|i| number(i + 1_000_000)).collect();
            for sum in [Sum::Products, Sum::SquaredDifferences, Sum::Squares] {
                let mut found = Vec::new();
                sums(sum, &data, &query, &mut found);
                let (mut products, mut squares) = (Vec::new(), Vec::new());
                products_and_squares(&data, &query, &mut products, &mut squares);
                match sum {
                    Sum::Products => prop_assert_eq!(&products, &found),
                    Sum::Squares => prop_assert_eq!(&squares, &found),
                    Sum::SquaredDifferences => {}
                }
                prop_assert_eq!(found.len(), rows);
                for (row, found) in data.chunks_exact(dim).zip(found) {
                    let pairs = row.iter().zip(&query).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                    let (plain, size) = pairs.fold((0.0, 0.0), |(plain, size), (a, b)| {
                        let one = match sum {
                            Sum::Products => a * b,
                            Sum::SquaredDifferences => (a - b) * (a - b),
                            Sum::Squares => a * a,
                        };
                        (plain + one, size + one.abs())
                    });
                    prop_assert!((f64::from(found) - plain).abs() <= 1e-5 * size + 1e-6, "{:?}: {} and {}", sum, found, plain);
                }
            }
        }
    }
}
