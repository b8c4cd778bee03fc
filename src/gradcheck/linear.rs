//! Vectors, and small systems of linear equations.

/// The smallest pivot, relative to the diagonal element it began as, of a matrix that is solved.
const SINGULAR: f64 = 1e-13;

/// Solves the symmetric positive definite `matrix` (m,m) · solution = `right` (m) by Gaussian elimination; `None` if it is
/// singular.
pub(super) fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    let diagonal: Vec<f64> = (0..size).map(|i| matrix[i][i]).collect();
    for i in 0..size {
        // Without exchanges of rows: a positive definite matrix needs none.
        let is_regular = matrix[i][i] > SINGULAR * diagonal[i];
        if !is_regular {
            return None;
        }
        let (above, below) = matrix.split_at_mut(i + 1);
        let pivot = &above[i];
        for (row, j) in below.iter_mut().zip(i + 1..) {
            let factor = row[i] / pivot[i];
            for (value, above) in row[i..].iter_mut().zip(&pivot[i..]) {
                *value -= factor * above;
            }
            right[j] -= factor * right[i];
        }
    }
    for i in (0..size).rev() {
        let known: f64 = (i + 1..size).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    Some(right)
}

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Lanes of a maximum: a single one would wait for the result of each comparison.
const LANES: usize = 8;

/// The largest difference of two elements; infinite if one is NaN.
pub(super) fn distance(a: &[f64], b: &[f64]) -> f64 {
    let (mut lanes, mut has_nan) = ([0.0_f64; LANES], false);
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            let difference = (a - b).abs();
            has_nan |= difference.is_nan();
            *lane = lane.max(difference);
        }
    }
    if has_nan { f64::INFINITY } else { largest(&lanes) }
}

/// The largest absolute value; NaN counts as nothing.
pub(super) fn largest(values: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    for values in values.chunks(LANES) {
        lanes.iter_mut().zip(values).for_each(|(lane, value)| *lane = lane.max(value.abs()));
    }
    lanes.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_difference_is_found_at_each_place_and_a_nan_is_infinite() {
        for length in [1, 7, 8, 9, 20] {
            for place in 0..length {
                let mut a = vec![1.0; length];
                let b = vec![0.5; length];
                assert_eq!(distance(&a, &b), 0.5);
                a[place] = -3.0;
                assert_eq!((distance(&a, &b), largest(&a)), (3.5, 3.0));
                a[place] = f64::NAN;
                assert_eq!((distance(&a, &b), largest(&a)), (f64::INFINITY, if length == 1 { 0.0 } else { 1.0 }));
            }
        }
    }

    #[test]
    fn a_known_system_is_solved_and_a_singular_one_is_not() {
        let matrix = vec![vec![4.0, 2.0, 0.6], vec![2.0, 5.0, 1.0], vec![0.6, 1.0, 3.0]];
        let solution = [1.0, -2.0, 0.5];
        let right = matrix.iter().map(|row| row.iter().zip(solution).map(|(a, x)| a * x).sum()).collect();
        let found = solve(matrix, right).unwrap();
        assert!(found.iter().zip(solution).all(|(a, b)| (a - b).abs() < 1e-14), "{found:?}");
        assert_eq!(solve(vec![vec![1.0, 2.0], vec![2.0, 4.0]], vec![1.0, 2.0]), None);
    }

    #[test]
    fn a_matrix_is_singular_by_its_smallest_pivot_relative_to_its_diagonal() {
        let of = |scale: f64, excess: f64| {
            solve(vec![vec![scale, scale], vec![scale, scale * (1.0 + excess)]], vec![scale, scale])
        };
        for scale in [1e-20, 1.0, 1e20] {
            let found = of(scale, 1e-10).unwrap();
            assert!((found[0] - 1.0).abs() < 1e-5 && found[1].abs() < 1e-5, "{scale}: {found:?}");
            assert_eq!(of(scale, 1e-14), None, "{scale}");
        }
        assert_eq!(solve(vec![vec![0.0]], vec![0.0]), None);
        assert_eq!(solve(vec![vec![-1.0]], vec![1.0]), None);
        assert_eq!(solve(vec![vec![f64::NAN]], vec![1.0]), None);
        assert_eq!(solve(vec![vec![4.0]], vec![2.0]), Some(vec![0.5]));
        assert_eq!(solve(Vec::new(), Vec::new()), Some(Vec::new()));
    }

    #[test]
    fn a_product_is_the_sum_of_the_products_of_the_elements() {
        assert_eq!(dot(&[1.0, -2.0, 3.0], &[4.0, 5.0, 0.5]), -4.5);
        assert_eq!(dot(&[], &[]), 0.0);
    }

    #[test]
    fn two_nans_are_infinitely_far_too() {
        let with_nans = [f64::NAN, 1.0, f64::NAN, 2.0];
        assert_eq!(distance(&with_nans, &[0.0; 4]), f64::INFINITY);
        assert_eq!(distance(&[0.0; 4], &with_nans), f64::INFINITY);
        assert_eq!((distance(&[], &[]), largest(&[])), (0.0, 0.0));
        assert_eq!(largest(&with_nans), 2.0);
    }
}
