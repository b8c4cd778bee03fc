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
}
