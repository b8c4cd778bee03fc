use super::*;
use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::network::kernels::{ChunkColumn, GROUPS, IMAGE_WIDTH, Tile, block, instruction_sets};
use crate::network::passes;

/// The largest relative error of one rounding.
const U: f32 = f32::EPSILON / 2.0;

/// Fixed pseudo-random numbers in −1..1.
fn noise(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed * 2 + 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len + 20).map(|_| next()).skip(20).collect()
}

struct Case {
    dims: Dims,
    x: Vec<f32>,
    labels: Vec<u8>,
}

impl Case {
    fn new(n: usize, features: usize, classes: usize) -> Self {
        let mut x = noise(7, n * features);
        x.iter_mut().for_each(|x| *x *= 3.0);
        let labels = (0..n).map(|i| (i * 7 % classes) as u8).collect();
        let dims = Dims { features, classes };
        Self { dims, x, labels }
    }

    fn examples(&self) -> Examples<'_> {
        Examples::Rows(&self.x, &self.labels)
    }

    fn member(&self, seed: u64) -> Parameters {
        let Dims { features, classes } = self.dims;
        let weight = noise(seed, features * classes);
        let weight = weight.iter().map(|w| w / (features as f32).sqrt());
        Parameters::new(self.dims, weight.collect(), noise(seed + 99, classes)).unwrap()
    }

    fn members(&self, m: usize) -> Vec<Parameters> {
        (0..m).map(|j| self.member(j as u64 + 1)).collect()
    }
}

/// (n, d, k, m): widths around every number of lanes, with few and many examples, classes and members.
const SHAPES: [(usize, usize, usize, usize); 14] = [
    (1, 1, 1, 1),
    (1, 7, 2, 1),
    (3, 33, 10, 2),
    (4, 64, 10, 3),
    (5, 65, 3, 5),
    (8, 127, 1, 4),
    (9, 129, 10, 8),
    (17, 1000, 10, 1),
    (1, 3072, 10, 4),
    (100, 3072, 10, 1),
    (103, 3072, 10, 4),
    (300, 90, 10, 3),
    (130, 800, 10, 3),
    (33, 3073, 2, 3),
];

fn steps(m: usize) -> Vec<Step> {
    let step = |j: usize| Step { learning_rate: 0.01 / (j + 1) as f32, lambda: 0.1 * j as f32, bias_lambda: 0.0 };
    (0..m).map(step).collect()
}

/// Both losses, alternating.
fn losses(m: usize) -> Vec<Loss> {
    Loss::ALL.into_iter().cycle().take(m).collect()
}

/// A group of `members` with [`losses`].
fn group(members: &[Parameters]) -> Group {
    let group = Group::new(members).unwrap();
    group.with_losses(&losses(members.len())).unwrap()
}

fn in_pool<T: Send>(threads: usize, run: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.build().unwrap().install(run)
}

/// The logits of the kernel for member `j`, (n,k).
fn logits(group: &Group, examples: Examples, j: usize) -> Vec<f32> {
    let stack = group.stack_of(j);
    let mut found = Vec::new();
    for first in (0..examples.len()).step_by(CHUNK) {
        let range = first..examples.len().min(first + CHUNK);
        Scratch::with(|scratch| {
            let mut stopwatch = Stopwatch::start(None);
            scratch.multiply(std::slice::from_ref(stack), examples, range.clone(), &mut stopwatch);
            let logits = stack.logits(0, scratch);
            for e in 0..range.len() {
                found.extend(logits[stack.rows(j)].iter().map(|row| row.0[e]));
            }
        });
    }
    found
}

/// The losses, (n), and `dlogits`, (n,k), of the kernels for member `j`.
fn losses_and_dlogits(group: &Group, examples: Examples, j: usize) -> (Vec<f32>, Vec<f32>) {
    let stack = group.stack_of(j);
    let mut workspace = Workspace::default();
    stack.forward(examples, 0..examples.len(), &mut workspace);
    let losses = workspace.losses.chunks_exact(stack.members.len()).map(|losses| losses[j - stack.members.start]);
    let dlogits = workspace.dlogits.chunks_exact(stack.tiles());
    let dlogits = dlogits.flat_map(|rows| &rows.as_flattened()[stack.rows(j)]).copied();
    (losses.collect(), dlogits.collect())
}

/// True if two sums of the same products, each in any order, can differ by this much: a sum of t rounded terms is wrong
/// by at most t · U times the sum of their absolute values (Higham, *Accuracy and Stability of Numerical Algorithms*
/// (2002), section 4.2; the factor 1.01 covers its higher orders).
fn same_sum(a: f32, b: f32, terms: usize, absolute: f32) -> bool {
    (a - b).abs() <= 2.02 * terms as f32 * U * absolute
}

#[test]
fn the_forward_kernel_is_its_naive_twin_within_the_rounding_bound() {
    for (n, d, k, m) in SHAPES {
        let case = Case::new(n, d, k);
        let members = case.members(m);
        let group = Group::new(&members).unwrap();
        for (j, member) in members.iter().enumerate() {
            let found = logits(&group, case.examples(), j);
            let expected = passes::forward(member, &case.x);
            for (i, x) in case.x.chunks_exact(d).enumerate() {
                for c in 0..k {
                    let weight = &member.weight[c * d..(c + 1) * d];
                    let products = x.iter().zip(weight).map(|(x, w)| (x * w).abs());
                    let absolute = products.sum::<f32>() + member.bias[c].abs();
                    let (found, expected) = (found[i * k + c], expected[i * k + c]);
                    assert!(same_sum(found, expected, d + 1, absolute), "{n} {d} {k} {m}");
                    let control = same_sum(found + 0.1, expected, d + 1, absolute);
                    assert!(!control, "a logit that is off by 0.1 is seen");
                }
            }
        }
    }
}

#[test]
fn the_loss_kernels_are_their_naive_twins_within_the_rounding_bound() {
    for (n, d, k, m) in SHAPES {
        let case = Case::new(n, d, k);
        let members = case.members(m);
        for loss in Loss::ALL {
            let group = Group::new(&members).unwrap();
            let group = group.with_losses(&vec![loss; m]).unwrap();
            let (dlogits_bound, loss_bound) = loss_bounds(loss, n, k);
            for j in 0..m {
                let (losses, found_dlogits) = losses_and_dlogits(&group, case.examples(), j);
                let logits = logits(&group, case.examples(), j);
                let (expected_loss, dlogits) = passes::loss(loss, &logits, &case.labels);
                assert_eq!(found_dlogits.len(), dlogits.len());
                for (found, expected) in found_dlogits.iter().zip(dlogits) {
                    let within = |found: f32| (found - expected).abs() <= dlogits_bound;
                    assert!(within(*found), "{loss} {n} {d} {k} {m}");
                    assert!(!within(found + 16.0 * dlogits_bound));
                }
                let found_loss = losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / n as f64;
                let within = |found: f64| (found - expected_loss).abs() <= loss_bound(found);
                assert!(within(found_loss), "{loss} {n} {d} {k} {m}");
                assert!(!within(found_loss + 1e-4 * (1.0 + found_loss)));
            }
        }
    }
}

/// The largest difference of a kernel from its naive twin, in an element of `dlogits` and in a loss. Each exponential
/// of a kernel is off by 2 units in the last place, 4 U, and each logarithm by 3, 6 U; the twin's by half as much.
fn loss_bounds(loss: Loss, n: usize, k: usize) -> (f32, impl Fn(f64) -> f64) {
    let dlogits_bound = match loss {
        // The sum of k exponentials adds k roundings, the rest 4, on both sides.
        Loss::Softmax => 2.0 * (k + 12) as f32 * U / n as f32,
        // One exponential, a sum, a quotient, a difference and a quotient: (4 + 4) U and (2 + 4) U.
        Loss::Bce => 14.0 * U / (k * n) as f32,
    };
    let loss_bound = move |found: f64| match loss {
        Loss::Softmax => f64::from(2.0 * (k + 12) as f32 * U) * (1.0 + found),
        // All terms are positive, each within (4 + 6 + 1) U and (2 + 3 + 1) U; the kernel's sum and quotient add k + 1.
        Loss::Bce => f64::from((k + 18) as f32 * U) * found,
    };
    (dlogits_bound, loss_bound)
}

#[test]
fn the_backward_kernel_is_its_naive_twin_within_the_rounding_bound() {
    for (n, d, k, m) in SHAPES {
        let case = Case::new(n, d, k);
        let members = case.members(m);
        let group = group(&members);
        let lambdas: Vec<_> = steps(m).iter().map(|step| step.lambda).collect();
        let found = group.gradients(case.examples(), &lambdas).unwrap();
        for (j, member) in members.iter().enumerate() {
            let (_, dlogits) = losses_and_dlogits(&group, case.examples(), j);
            let expected = passes::backward(member, &case.x, &dlogits, lambdas[j]);
            let absolutes = Parameters { weight: member.weight.iter().map(|w| w.abs()).collect(), ..member.clone() };
            let absolute = |values: &[f32]| values.iter().map(|v| v.abs()).collect::<Vec<_>>();
            let absolutes = passes::backward(&absolutes, &absolute(&case.x), &absolute(&dlogits), lambdas[j]);
            let gradients = &found[j].1;
            let found = gradients.dweight.iter().chain(&gradients.dbias);
            let expected = expected.dweight.iter().chain(&expected.dbias);
            let absolutes = absolutes.dweight.iter().chain(&absolutes.dbias);
            for ((found, expected), absolute) in found.zip(expected).zip(absolutes) {
                assert!(same_sum(*found, *expected, n + 3, *absolute), "{n} {d} {k} {m}");
                assert!(!same_sum(found + 0.5 * absolute + 1e-6, *expected, n + 3, *absolute));
            }
        }
    }
}

#[test]
fn a_step_is_the_update_by_the_gradient_to_the_last_bit() {
    for (n, d, k, m) in SHAPES {
        let case = Case::new(n, d, k);
        let mut expected = case.members(m);
        let mut group = group(&expected);
        let steps = steps(m);
        let lambdas: Vec<_> = steps.iter().map(|step| step.lambda).collect();
        let gradients = group.gradients(case.examples(), &lambdas).unwrap();
        group.step(case.examples(), &steps).unwrap();
        for j in 0..m {
            assert!(k == 1 || group.member(j) != expected[j], "a step moves");
            passes::update(&mut expected[j], &gradients[j].1, steps[j].learning_rate);
            assert_eq!(group.member(j), expected[j], "{n} {d} {k} {m}");
        }
    }
}

/// The results of three steps and an evaluation of a group.
fn results(mut group: Group, case: &Case) -> Vec<(Parameters, Vec<Outcome>, f64)> {
    let steps = steps(group.len());
    for _ in 0..3 {
        group.step(case.examples(), &steps).unwrap();
    }
    let outcomes = group.outcomes(case.examples()).unwrap();
    let of_member = |j| outcomes.iter().skip(j).step_by(steps.len()).copied().collect();
    let losses = group.batch_losses();
    (0..steps.len()).map(|j| (group.member(j), of_member(j), losses[j])).collect()
}

#[test]
fn a_member_is_the_same_alone_and_in_any_group_to_the_last_bit() {
    let case = Case::new(101, 700, 10);
    let members = case.members(8);
    let alone = |j: usize| {
        let mut group = Group::new(&members[j..=j]).unwrap().with_losses(&losses(8)[j..=j]).unwrap();
        (0..3).for_each(|_| group.step(case.examples(), &steps(8)[j..=j]).unwrap());
        (group.member(0), group.outcomes(case.examples()).unwrap(), group.batch_losses()[0])
    };
    let alone: Vec<_> = (0..8).map(alone).collect();
    for m in [1, 2, 3, 4, 5, 8] {
        for threads in [1, 2] {
            let found = in_pool(threads, || results(group(&members[..m]), &case));
            assert_eq!(found, alone[..m], "a group of {m} on {threads} threads");
        }
    }
    assert_ne!(alone[0], alone[1], "two members differ");
}

#[test]
fn the_result_is_the_same_at_any_number_of_threads_to_the_last_bit() {
    let case = Case::new(101, 700, 10);
    let members = case.members(3);
    let one_stack = in_pool(1, || group(&members));
    let expected = in_pool(1, || results(one_stack.clone(), &case));
    for threads in [2, 3, 8, 33] {
        let found = in_pool(threads, || [results(group(&members), &case), results(one_stack.clone(), &case)]);
        assert_eq!(found, [expected.clone(), expected.clone()], "{threads} threads");
    }
}

#[test]
fn each_thread_gets_a_stack_if_there_are_enough_members() {
    for (members, threads, stacks) in [(1, 1, 1), (1, 2, 1), (3, 1, 1), (3, 2, 2), (3, 3, 3), (3, 4, 1), (4, 3, 3)] {
        let members = Case::new(1, 70, 3).members(members);
        let group = in_pool(threads, || Group::new(&members).unwrap());
        assert_eq!(group.stacks.len(), stacks, "{} members, {threads} threads", members.len());
        assert_eq!(group.len(), members.len());
    }
}

#[test]
fn the_result_is_the_same_with_any_instruction_set_to_the_last_bit() {
    let sets = instruction_sets();
    assert!(sets.len() > 1 || !cfg!(target_arch = "x86_64"), "this processor has no vectors");
    for (n, d, k, m) in SHAPES {
        let case = Case::new(n, d, k);
        let group = group(&case.members(m));
        let expected = results(group.clone(), &case);
        for &(name, arch) in &sets {
            assert_eq!(results(group.clone().with_arch(arch), &case), expected, "{name} {n} {d} {k} {m}");
        }
    }
}

#[test]
fn a_block_fits_the_first_level_cache_and_twice_as_long_would_not() {
    const KIB: usize = 1024;
    for (name, arch) in instruction_sets() {
        // Whole lines are read so seldom that the weights need not be there.
        let (bytes, cache) = match name {
            "AVX-512" => (size_of::<ChunkColumn>(), 36 * KIB),
            _ => (size_of::<ChunkColumn>() + size_of::<Tile>(), 32 * KIB),
        };
        assert!(block(arch).is_multiple_of(GROUPS), "{name}");
        assert!(block(arch) * bytes <= cache && 2 * block(arch) * bytes > cache, "{name}: {}", block(arch));
    }
}

#[test]
fn phases_are_measured_if_wanted_and_do_not_change_the_numbers() {
    let case = Case::new(100, 3072, 10);
    let group = group(&case.members(2));
    let phases = Arc::default();
    let expected = results(group.clone(), &case);
    assert!(Phase::ALL.iter().all(|&phase| Phases::time(&phases, phase).is_zero()));
    let began = std::time::Instant::now();
    let found = in_pool(1, || results(group.clone().with_phases(&phases).with_arch(Arch::new()), &case));
    let wall = began.elapsed();
    assert_eq!(found, expected);
    assert!(Phase::ALL.iter().all(|&phase| !phases.time(phase).is_zero()), "{phases:?}");
    assert!(Phase::ALL.iter().map(|&phase| phases.time(phase)).sum::<std::time::Duration>() <= wall, "{phases:?}");
}

#[test]
fn images_are_normalised_as_by_the_normalizer() {
    let dims = Dims { features: 130, classes: 3 };
    let pixels = noise(3, 20 * 130).into_iter().map(|v| (v * 127.0 + 128.0) as u8);
    let labels = (0..20).map(|i| i % 3).collect();
    let dataset = Dataset::new(dims, pixels.collect(), labels).unwrap();
    let normalizer = Normalizer::fit(&dataset).unwrap();
    let indices = [19, 3, 3, 0, 7, 11, 2, 5, 13];
    let x = normalizer.apply(&dataset, indices);
    let labels: Vec<_> = indices.iter().map(|&i| dataset.labels()[i]).collect();
    let case = Case::new(1, 130, 3);
    let group = Group::new(&case.members(2)).unwrap();
    let chosen = Examples::Chosen(&dataset, &normalizer, &indices);
    let rows = group.gradients(Examples::Rows(&x, &labels), &[0.0; 2]).unwrap();
    assert_eq!(group.gradients(chosen, &[0.0; 2]).unwrap(), rows);
    let other = Examples::Chosen(&dataset, &normalizer, &[1; 9]);
    assert_ne!(group.gradients(other, &[0.0; 2]).unwrap(), rows);
    let every: Vec<_> = (0..20).collect();
    let all = group.outcomes(Examples::All(&dataset, &normalizer)).unwrap();
    let chosen = Examples::Chosen(&dataset, &normalizer, &every);
    assert_eq!(group.outcomes(chosen).unwrap(), all);
}

#[test]
fn a_flipped_image_is_its_mirror_image() {
    // Three rows of an image: a pair of groups each.
    let dims = Dims { features: 96, classes: 3 };
    let pixels: Vec<u8> = noise(3, 20 * 96).into_iter().map(|v| (v * 127.0 + 128.0) as u8).collect();
    let turned = pixels.chunks(IMAGE_WIDTH).flat_map(|row| row.iter().rev().copied());
    let labels: Vec<_> = (0..20).map(|i| i % 3).collect();
    let mirror = Dataset::new(dims, turned.collect(), labels.clone()).unwrap();
    let dataset = Dataset::new(dims, pixels, labels).unwrap();
    let normalizer = Normalizer::fit(&dataset).unwrap();
    let group = group(&Case::new(1, 96, 3).members(2));
    let indices = [19, 3, 3, 0, 7, 11, 2, 5, 13];
    let gradients = |examples: Examples| group.gradients(examples, &[0.0; 2]).unwrap();
    let flipped = |flips: &[bool]| gradients(Examples::Flipped(&dataset, &normalizer, &indices, flips));
    let original = gradients(Examples::Chosen(&dataset, &normalizer, &indices));
    let mirrored = gradients(Examples::Chosen(&mirror, &normalizer, &indices));
    assert_eq!(flipped(&[false; 20]), original);
    assert_eq!(flipped(&[true; 20]), mirrored);
    assert_ne!(original, mirrored);

    // A flip belongs to an image, wherever it is in the batch.
    let flips: Vec<_> = (0..20).map(|i| i % 2 == 1).collect();
    let images = indices.map(|i| if flips[i] { &mirror } else { &dataset }.image(i));
    let labels = indices.map(|i| dataset.labels()[i]);
    let mixed = Dataset::new(dims, images.concat(), labels.to_vec()).unwrap();
    let mixed = gradients(Examples::All(&mixed, &normalizer));
    assert_eq!(flipped(&flips), mixed);
}

#[test]
fn flipping_images_without_whole_rows_is_an_error() {
    let dims = Dims { features: 33, classes: 1 };
    let dataset = Dataset::new(dims, vec![7; 66], vec![0; 2]).unwrap();
    let normalizer = Normalizer::fit(&dataset).unwrap();
    let group = Group::new(&[Parameters::zeros(dims)]).unwrap();
    let flipped = |flips| {
        let examples = Examples::Flipped(&dataset, &normalizer, &[0, 1], flips);
        group.gradients(examples, &[0.0]).unwrap_err().to_string()
    };
    assert!(flipped(&[true; 2]).contains("rows of 32 pixels"));
    assert!(flipped(&[true; 3]).contains("flips must have the shape (2)"));
}

#[test]
fn a_member_and_its_squared_norm_are_read_back_to_the_last_bit() {
    for (n, d, k, m) in SHAPES {
        let members = Case::new(n, d, k).members(m);
        let group = Group::new(&members).unwrap();
        for (j, member) in members.iter().enumerate() {
            assert_eq!(group.member(j), *member);
            assert_eq!(group.squared_norm(j), member.squared_norm());
        }
    }
    let other = Group::new(&Case::new(1, 64, 2).members(2)).unwrap();
    assert_ne!(other.squared_norm(0), other.squared_norm(1));
}

#[test]
fn zero_parameters_have_loss_ln_k_and_predict_the_first_class() {
    let case = Case::new(20, 50, 10);
    let group = Group::new(&[Parameters::zeros(case.dims)]).unwrap();
    let (outcomes, probabilities) = group.outcomes_and_probabilities(case.examples()).unwrap();
    let is_expected = |o: &Outcome| o.class == 0 && (f64::from(o.loss) - 10_f64.ln()).abs() < 1e-6;
    assert!(outcomes.len() == 20 && outcomes.iter().all(is_expected), "{outcomes:?}");
    assert!(probabilities.iter().all(|&p| p == 0.1), "{probabilities:?}");
}

#[test]
fn zero_parameters_of_sigmoids_have_loss_ln_2_and_probability_one_half() {
    let case = Case::new(20, 50, 10);
    let group = Group::new(&[Parameters::zeros(case.dims)]).unwrap();
    let group = group.with_losses(&[Loss::Bce]).unwrap();
    let (outcomes, probabilities) = group.outcomes_and_probabilities(case.examples()).unwrap();
    let is_expected = |o: &Outcome| o.class == 0 && (f64::from(o.loss) - 2_f64.ln()).abs() < 1e-6;
    assert!(outcomes.len() == 20 && outcomes.iter().all(is_expected), "{outcomes:?}");
    assert!(probabilities.iter().all(|&p| p == 0.5), "{probabilities:?}");
}

#[test]
fn the_largest_logit_is_the_prediction_and_huge_logits_stay_finite() {
    let mut case = Case::new(12, 5, 4);
    case.x.iter_mut().for_each(|x| *x *= 1e20);
    let member = case.member(5);
    let logits = passes::forward(&member, &case.x);
    let largest = |row: &[f32]| (0..4).fold(0, |best, c| if row[c] > row[best] { c } else { best });
    let expected: Vec<_> = logits.chunks_exact(4).map(|row| largest(row) as u32).collect();
    let group = group(&[member.clone(), member]);
    let outcomes = group.outcomes(case.examples()).unwrap();
    for (found, expected) in outcomes.chunks_exact(2).zip(expected) {
        assert_eq!([found[0].class, found[1].class], [expected; 2]);
    }
    for (loss, gradients) in group.gradients(case.examples(), &[0.0; 2]).unwrap() {
        assert!(loss.is_finite() && loss > 1e18, "{loss}");
        assert!(gradients.dweight.iter().all(|v| v.is_finite()));
    }
}

#[test]
fn a_feature_that_is_not_finite_affects_only_the_loss_of_its_example() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut case = Case::new(12, 70, 4);
        case.x[3 * 70 + 69] = bad;
        let group = group(&case.members(2));
        for j in 0..2 {
            let (losses, _) = losses_and_dlogits(&group, case.examples(), j);
            for (i, loss) in losses.iter().enumerate() {
                assert_eq!(loss.is_finite(), i != 3, "{bad} example {i}: {loss}");
            }
        }
        let outcomes = group.outcomes(case.examples()).unwrap();
        assert!(outcomes.chunks_exact(2).enumerate().all(|(i, o)| o.iter().all(|o| o.loss.is_finite() == (i != 3))));
    }
}

#[test]
fn the_gradient_of_a_real_sized_batch_is_within_1e_7_of_one_in_f64() {
    let case = Case::new(100, 3072, 10);
    let member = case.member(1);
    let (loss, found) =
        (Group::new(std::slice::from_ref(&member)).unwrap()).gradients(case.examples(), &[0.1]).unwrap().remove(0);
    let (d, k) = (3072, 10);
    let mut dweight: Vec<f64> = member.weight.iter().map(|&w| 0.2 * f64::from(w)).collect();
    let mut expected_loss = 0.0;
    for (x, &label) in case.x.chunks_exact(d).zip(&case.labels) {
        let dot = |c: usize| {
            let products = x.iter().zip(&member.weight[c * d..(c + 1) * d]);
            products.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum::<f64>() + f64::from(member.bias[c])
        };
        let logits: Vec<f64> = (0..k).map(dot).collect();
        let sum: f64 = logits.iter().map(|l| l.exp()).sum();
        expected_loss += (sum.ln() - logits[usize::from(label)]) / 100.0;
        for c in 0..k {
            let onehot = f64::from(u8::from(c == usize::from(label)));
            let dlogit = (logits[c].exp() / sum - onehot) / 100.0;
            for (dweight, &x) in dweight[c * d..(c + 1) * d].iter_mut().zip(x) {
                *dweight += dlogit * f64::from(x);
            }
        }
    }
    let errors = found.dweight.iter().zip(&dweight).map(|(&f, e)| (f64::from(f) - e).abs());
    let worst = errors.fold(0.0, f64::max);
    assert!(worst <= 1e-7, "{worst:e}");
    assert!(worst > 0.0, "f32 is not f64");
    assert!((loss - expected_loss).abs() <= 1e-6, "{loss} {expected_loss}");
}

#[test]
fn wrong_shapes_are_errors() {
    let case = Case::new(4, 6, 3);
    let other = Case::new(4, 7, 3);
    assert!(Group::new::<Parameters>(&[]).is_err());
    let nothing = Dims { features: 0, classes: 3 };
    assert!(Group::new(&[Parameters::zeros(nothing)]).is_err());
    assert!(Group::new(&[case.member(1), other.member(1)]).is_err());
    let pair = Group::new(&case.members(2)).unwrap();
    assert!(pair.with_losses(&[Loss::Bce]).is_err());
    let mut group = Group::new(&case.members(2)).unwrap();
    assert!(group.step(case.examples(), &steps(1)).is_err());
    assert!(group.step(other.examples(), &steps(2)).is_err());
    assert!(group.step(Examples::Rows(&[], &[]), &steps(2)).is_err());
    assert!(group.outcomes(Examples::Rows(&case.x, &[3; 4])).is_err());
    assert!(group.step(case.examples(), &steps(2)).is_ok());
}

#[test]
fn a_step_on_a_large_batch_stops_between_its_parts_and_leaves_the_parameters() {
    for (threads, m) in [(1, 2), (3, 4)] {
        in_pool(threads, || {
            let case = Case::new(300, 90, 10);
            let mut stopped = group(&case.members(m));
            let mut whole = stopped.clone();
            let asked = std::cell::Cell::new(0);
            let at_second = || {
                asked.set(asked.get() + 1);
                asked.get() == 2
            };
            let members = |group: &Group| (0..m).map(|j| group.member(j)).collect::<Vec<_>>();
            let before = members(&stopped);
            let result = stopped.step_unless(case.examples(), &steps(m), &at_second);
            assert!(matches!(result, Err(Error::Interrupted)) && asked.get() == 2);
            assert!(members(&stopped) == before);

            // Afterwards it takes the step as if nothing had been.
            stopped.step(case.examples(), &steps(m)).unwrap();
            whole.step(case.examples(), &steps(m)).unwrap();
            assert!(members(&stopped) == members(&whole) && members(&whole) != before);
            assert!(matches!(whole.outcomes_unless(case.examples(), &|| true), Err(Error::Interrupted)));
        });
    }
}
