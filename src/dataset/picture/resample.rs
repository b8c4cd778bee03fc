//! Scales a square picture to the size of an image of CIFAR-10.
//!
//! A pixel of the result is a weighted mean of the pixels around its centre. The weight falls linearly with the distance,
//! along each axis, and is 0 from one pixel of the larger of both pictures on (a triangle filter). So a smaller picture is
//! an average over all pixels, and a larger one is interpolated linearly. It is applied to the columns, then to the rows.

use super::{CHANNELS, SIDE};

/// The pixels of a row or column that contribute to a pixel of the result.
struct Window {
    /// The first of them.
    start: usize,
    /// Their weights, the sum of which is 1.
    weights: Vec<f32>,
}

/// Scales `pixels` (`side`, `side`, 3) to (32, 32, 3).
pub fn resample(pixels: &[u8], side: usize) -> Vec<u8> {
    let windows: Vec<_> = (0..SIDE).map(|i| window(i, side)).collect();
    let mut line = vec![0.0; side * CHANNELS];
    let mut scaled = Vec::with_capacity(SIDE * SIDE * CHANNELS);
    for window in &windows {
        line.fill(0.0);
        let rows = pixels.chunks_exact(side * CHANNELS).skip(window.start);
        for (row, weight) in rows.zip(&window.weights) {
            for (sum, &sample) in line.iter_mut().zip(row) {
                *sum += f32::from(sample) * weight;
            }
        }
        scaled.extend(windows.iter().flat_map(|window| mean(&line, window)));
    }
    scaled
}

/// The weighted mean of the pixels of `line` in `window`.
fn mean(line: &[f32], window: &Window) -> [u8; CHANNELS] {
    let mut sums = [0.0; CHANNELS];
    for (pixel, weight) in line.chunks_exact(CHANNELS).skip(window.start).zip(&window.weights) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += value * weight;
        }
    }
    sums.map(|sum: f32| sum.clamp(0.0, 255.0).round() as u8)
}

/// The window of pixel `i` of 32, in a row or column of `side` pixels.
fn window(i: usize, side: usize) -> Window {
    let ratio = side as f32 / SIDE as f32;
    let radius = ratio.max(1.0);
    let center = (i as f32 + 0.5) * ratio;
    let start = ((center - radius).floor().max(0.0) as usize).min(side - 1);
    let end = ((center + radius).ceil() as usize).clamp(start + 1, side);
    // Pixel j is between j and j + 1, and its centre is at j + 0.5.
    let center = center - 0.5;
    let weight = |j: usize| (1.0 - ((j as f32 - center) / radius).abs()).max(0.0);
    let mut weights: Vec<f32> = (start..end).map(weight).collect();
    let sum: f32 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= sum);
    Window { start, weights }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_same_size_stays_as_it_is() {
        let pixels: Vec<u8> = (0..SIDE * SIDE * CHANNELS).map(|i| (i * 7 % 256) as u8).collect();
        assert_eq!(resample(&pixels, SIDE), pixels);
    }

    #[test]
    fn the_weights_of_half_the_size_fall_with_the_distance() {
        let inner = window(5, 2 * SIDE);
        assert_eq!((inner.start, &inner.weights[..]), (9, &[0.125, 0.375, 0.375, 0.125][..]));
        // At the edge, the missing pixel's part goes to the others.
        let first = window(0, 2 * SIDE);
        assert_eq!((first.start, &first.weights[..]), (0, &[3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0][..]));
    }

    #[test]
    fn windows_lie_in_the_picture_and_their_weights_sum_to_one() {
        for side in (1..200).chain([1000, 4097, 8192]) {
            for i in 0..SIDE {
                let Window { start, weights } = window(i, side);
                assert!(!weights.is_empty() && start + weights.len() <= side, "{i} of {side}");
                let sum: f32 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{i} of {side}: {sum}");
            }
        }
    }

    /// The triangle filter by its definition, in f64: the weight of each pixel falls with the distance of its centre.
    fn triangle(i: usize, side: usize) -> Vec<f64> {
        let ratio = side as f64 / 32.0;
        let center = (i as f64 + 0.5) * ratio;
        let weights = (0..side).map(|j| f64::max(0.0, 1.0 - (j as f64 + 0.5 - center).abs() / ratio.max(1.0)));
        let weights: Vec<f64> = weights.collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|weight| weight / sum).collect()
    }

    #[test]
    fn the_weights_are_those_of_the_triangle_filter_for_every_side() {
        for side in (1..70).chain([96, 100, 127, 640]) {
            for i in 0..SIDE {
                let Window { start, weights } = window(i, side);
                for (j, expected) in triangle(i, side).into_iter().enumerate() {
                    let found = j.checked_sub(start).and_then(|at| weights.get(at)).copied().unwrap_or(0.0);
                    assert!((f64::from(found) - expected).abs() < 1e-5, "{i}, {j} of {side}: {found}, not {expected}");
                }
            }
        }
    }

    #[test]
    fn each_pixel_is_the_weighted_mean_of_a_rectangle_in_each_channel() {
        for side in [3, 32, 50] {
            let pixels: Vec<u8> = (0..side * side * CHANNELS).map(|i| (i * i % 251) as u8).collect();
            let scaled = resample(&pixels, side);
            assert_eq!(scaled.len(), 3072);
            for (row, column, channel) in [(0, 0, 0), (0, 31, 1), (31, 0, 2), (10, 20, 0), (20, 10, 1), (31, 31, 2)] {
                let (down, right) = (triangle(row, side), triangle(column, side));
                let mut mean = 0.0;
                for y in 0..side {
                    for x in 0..side {
                        mean += down[y] * right[x] * f64::from(pixels[(y * side + x) * CHANNELS + channel]);
                    }
                }
                let found = scaled[(row * SIDE + column) * CHANNELS + channel];
                assert!((f64::from(found) - mean).abs() < 0.51, "({row}, {column}) of {side}: {found}, not {mean}");
            }
        }
    }
}
