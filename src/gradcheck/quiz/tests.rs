//! A quiz is graded: its cases, the answers of sound and of unsound checks, and invalid answers.

use super::*;
use crate::gradcheck::Problem;
use crate::network::Parameters;
use crate::shape::Dims;

const ANSWERS: &str = "answers.csv";

fn quiz(layout: Layout) -> Vec<(String, Vec<u8>)> {
    let problem = Problem::random(Dims { features: 10, classes: 10 }, 3, 5);
    files(&Exercise::of(&problem, 0.1, layout).unwrap(), 7).unwrap()
}

/// The grade of a checker that accepts what `accepts` says of the given and the numerical gradients.
fn grade_of(layout: Layout, accepts: impl Fn(&[f64], &[f64]) -> bool) -> Grade {
    let files = quiz(layout);
    let mut answers = String::from("name,answer\n");
    for (name, bytes) in &files {
        let npz = crate::files::npz::Npz::open(bytes, Path::new(name)).unwrap();
        let values = |name| npz.array(name).unwrap().values;
        let mut accepted = accepts(&values("grad_W"), &values("numeric_W"));
        if layout != Layout::Cs231n {
            accepted &= accepts(&values("grad_b"), &values("numeric_b"));
        }
        answers += &format!("{name},{}\n", if accepted { "right" } else { "wrong" });
    }
    grade(&files, &answers, Path::new(ANSWERS)).unwrap()
}

#[test]
fn sound_checks_pass() {
    for layout in Layout::ALL {
        let by_absolute = grade_of(layout, |a, b| largest(a, b) <= 1e-6);
        let by_relative = grade_of(layout, |a, b| {
            a.iter().zip(b).all(|(a, b)| (a - b).abs() / (a.abs() + b.abs()).max(1e-6) <= 1e-6)
        });
        for grade in [by_absolute, by_relative] {
            assert_eq!(grade.errors, [""; 0]);
            assert_eq!((grade.cases, grade.correct), (23, 23));
        }
    }
}

#[test]
fn each_unsound_check_fails_and_is_told_why() {
    type Check = fn(&[f64], &[f64]) -> bool;
    let checks: [(&str, Check); 8] = [
        ("without its absolute value", |a, b| a.iter().zip(b).all(|(a, b)| a - b < 1e-6)),
        ("too small a tolerance", |a, b| largest(a, b) < 1e-9),
        ("mean of the relative differences", |a, b| mean_relative(a, b) < 1.0),
        ("sum of the differences", |a, b| sum(a, b) < 1e-6),
        ("mean of the differences", |a, b| mean(a, b) < 1e-6),
        ("never called", |_, _| true),
        ("too large a tolerance", |a, b| largest(a, b) < 1e-2),
        ("a NaN passes", |a, b| !a.iter().zip(b).any(|(a, b)| (a - b).abs() > 1e-6)),
    ];
    for (words, accepts) in checks {
        let grade = grade_of(Layout::Rows, accepts);
        assert!(grade.correct < grade.cases && !grade.errors.is_empty(), "{words}");
        assert!(grade.explanations.iter().any(|e| e.contains(words)), "{words}: {:?}", grade.explanations);
        // Where the answers fit several kinds, all of them are named.
        let most = if words == "too large a tolerance" { 2 } else { 1 };
        assert!(grade.explanations.len() <= most, "{words}: {:?}", grade.explanations);
    }
}

#[test]
fn invalid_answers_are_refused_in_one_line() {
    let files = quiz(Layout::Rows);
    let all: String = files.iter().map(|(name, _)| format!("{name},right\n")).collect();
    for (answers, words) in [
        (String::new(), "there is no answer for case_01"),
        (all.replace("case_03.npz,right", "case_03.npz,perhaps"), "line 3: the answer must be right or wrong"),
        (all.clone() + "case_99,right\n", "line 24: the quiz has no case_99: its cases are case_01 to case_23"),
        (format!("case_99,right\n{all}"), "line 1: the quiz has no case_99"),
        (all.clone() + "case_01,wrong\n", "line 24: case_01 is answered twice"),
        (all.clone() + "case_01\n", "line 24: must be a case and its answer"),
    ] {
        let error = grade(&files, &answers, Path::new(ANSWERS)).unwrap_err().to_string();
        assert!(error.contains(words) && error.lines().count() == 1, "{error}");
    }
    assert!(grade(&files, &all, Path::new(ANSWERS)).is_ok());
}

#[test]
fn a_wrong_answer_is_told_how_many_elements_differ_and_by_how_much() {
    let error_of = |given: Vec<f64>, right: Vec<f64>| {
        let bias = vec![0.25, -0.5];
        error(&Case { name: "case_01".into(), arrays: vec![(given, right), (bias.clone(), bias)] })
    };
    let right = vec![1.0, -2.0, 3.0, 4.0];
    assert_eq!(error_of(right.clone(), right.clone()), "case_01 is right: rounding alone is left of its differences");
    let one = vec![1.0, -2.5, 3.0, 4.0];
    assert_eq!(error_of(one, right.clone()), "case_01 is wrong: 1 of 6 elements is, by up to 5.0e-1");
    let two = vec![1.25, -2.5, 3.0, 4.0];
    assert_eq!(error_of(two, right.clone()), "case_01 is wrong: 2 of 6 elements are, by up to 5.0e-1");
    let none = vec![1.0, f64::NAN, 3.0, 4.0];
    assert_eq!(error_of(none, right), "case_01 is wrong: 1 of 6 elements is NaN");
}

#[test]
fn one_wrong_gradient_has_differences_whose_mean_is_zero() {
    let is_noise = |(given, right): &(Vec<f64>, Vec<f64>)| {
        let differences: Vec<f64> = given.iter().zip(right).map(|(a, b)| a - b).collect();
        let all_differ = differences.iter().all(|d| d.abs() > 1e-9 && d.abs() < 0.02);
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        all_differ && mean.abs() < 1e-12
    };
    let files = quiz(Layout::Rows);
    let cases: Vec<Case> = files.iter().map(|file| case(file).unwrap()).collect();
    assert_eq!(cases.iter().filter(|case| is_noise(&case.arrays[0])).count(), 1);
}

fn cases() -> Vec<Case> {
    quiz(Layout::Rows).iter().map(|file| case(file).unwrap()).collect()
}

/// The value that all `values` have up to rounding, if there is one.
fn constant(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    values.iter().all(|value| (value - values[0]).abs() < 1e-12).then_some(values[0])
}

/// The pairs of a given and a right gradient, of weights and biases.
fn pairs(case: &Case) -> impl Iterator<Item = (f64, f64)> {
    case.arrays.iter().flat_map(|(given, right)| given.iter().copied().zip(right.iter().copied()))
}

fn assert_near(mut found: Vec<f64>, expected: &[f64]) {
    found.sort_by(f64::total_cmp);
    assert_eq!(found.len(), expected.len(), "{found:?}");
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-11), "{found:?}");
}

#[test]
fn some_gradients_are_multiples_of_the_right_ones_and_some_are_moved() {
    let ratios = cases().iter().filter_map(|case| constant(pairs(case).map(|(a, b)| a / b))).collect();
    assert_near(ratios, &[-1.0, 0.0, 0.5, 1.0, 1.0, 1.0, 1.00000001, 1.00004, 1.0001, 1.01, 3.0]);
    let moved = |case: &Case| constant(pairs(case).map(|(a, b)| a - b)).filter(|d| d.abs() > 1e-3);
    assert_near(cases().iter().filter_map(moved).collect(), &[-0.1, 0.1]);
    let is_in_f32 = |case: &&Case| pairs(case).all(|(a, b)| a == f64::from(b as f32));
    assert_eq!(cases().iter().filter(is_in_f32).count(), 1);
}

#[test]
fn some_gradients_have_one_or_two_wrong_weights() {
    // The place, the right gradient and the given one.
    let changed = |case: &Case| -> Option<Vec<(usize, f64, f64)>> {
        let [(given, right), (given_bias, right_bias)] = &case.arrays[..] else { panic!() };
        let pairs = given.iter().zip(right).enumerate();
        let changed: Vec<_> = pairs.filter(|(_, (a, b))| a != b).map(|(i, (&a, &b))| (i, b, a)).collect();
        (given_bias == right_bias && (1..=2).contains(&changed.len())).then_some(changed)
    };
    let cases = cases();
    let (mut factors, mut differences) = (Vec::new(), Vec::new());
    for case in &cases {
        match changed(case).as_deref() {
            Some(&[(place, right, given)]) => {
                factors.push(given / right);
                let weights = &case.arrays[0].1;
                assert!(weights.iter().all(|w| w.abs() <= weights[place].abs()), "the largest is changed");
            }
            Some(&[(_, a, given_a), (_, b, given_b)]) => {
                assert!((given_a - a + given_b - b).abs() < 1e-12, "the sum stays");
                differences.push((given_a - a).abs());
            }
            _ => {}
        }
    }
    let (nan, factors): (Vec<f64>, Vec<f64>) = factors.into_iter().partition(|f| f.is_nan());
    assert_eq!(nan.len(), 1);
    assert_near(factors, &[1.0001, 2.0]);
    assert_near(differences, &[0.001, 0.1]);
}

#[test]
fn some_gradients_have_their_weights_in_another_order_or_lack_the_penalty() {
    let cases = cases();
    let count = |is: &dyn Fn(&[f64], &[f64]) -> bool| {
        let is_of = |case: &&Case| is(&case.arrays[0].0, &case.arrays[0].1) && case.arrays[1].0 == case.arrays[1].1;
        cases.iter().filter(is_of).count()
    };
    assert_eq!(count(&|given, right| (0..100).all(|i| given[(i + 10) % 100] == right[i])), 1, "of the class before");
    assert_eq!(count(&|given, right| (0..100).all(|i| given[i] == right[99 - i])), 1);
    // The derivative of 0.1 · w².
    let problem = Problem::random(Dims { features: 10, classes: 10 }, 3, 5);
    let weight: Vec<f64> = problem.parameters().weight.iter().map(|&w| w.into()).collect();
    let lacks_penalty =
        |given: &[f64], right: &[f64]| (0..100).all(|i| (right[i] - given[i] - 0.2 * weight[i]).abs() < 1e-12);
    assert_eq!(count(&lacks_penalty), 1);
}

#[test]
fn an_error_and_its_opposite_are_added_to_each_two_of_the_weights() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..200 {
        let mut derivatives = Derivatives { loss: 0.0, cost: 0.0, dweight: vec![0.0; 3], dbias: vec![1.0] };
        two(&mut derivatives, &mut rng, 0.25);
        let place = |error: f64| derivatives.dweight.iter().position(|&g| g == error).unwrap();
        seen.insert((place(0.25), place(-0.25)));
        assert_eq!(derivatives.dweight.iter().filter(|&&g| g == 0.0).count(), 1);
        assert_eq!(derivatives.dbias, [1.0]);
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
}

#[test]
fn the_seed_is_that_of_the_order() {
    let names: Vec<String> = quiz(Layout::Rows).into_iter().map(|(name, _)| name).collect();
    let expected: Vec<String> = (1..=23).map(|i| format!("case_{i:02}.npz")).collect();
    assert_eq!(names, expected);
    let problem = Problem::random(Dims { features: 10, classes: 10 }, 3, 5);
    let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let rights = |seed| {
        let files = files(&exercise, seed).unwrap();
        files.iter().map(|file| case(file).unwrap().is_right()).collect::<Vec<_>>()
    };
    assert_eq!(rights(1), rights(1));
    assert_ne!(rights(1), rights(2));
    assert_eq!(rights(2).iter().filter(|&&right| right).count(), 5);
}

#[test]
fn a_problem_with_one_weight_or_with_tiny_gradients_makes_no_quiz() {
    let of = |problem: &Problem| files(&Exercise::of(problem, 0.1, Layout::Rows).unwrap(), 7);
    let one = Problem::new(vec![1.0], vec![0], Parameters::zeros(Dims { features: 1, classes: 1 })).unwrap();
    assert_eq!(of(&one).unwrap_err().to_string(), "number of weights must be 2 or more, but is 1");
    assert_eq!(of(&Problem::random(Dims { features: 1, classes: 2 }, 3, 5)).unwrap().len(), 23);
    // A factor of 1.0001 changes gradients of a thousandth by less than the tolerance.
    let dims = Dims { features: 10, classes: 10 };
    let x = Problem::random(dims, 3, 5).x().iter().map(|x| x / 1000.0).collect();
    let tiny = Problem::new(x, vec![0, 1, 2], Parameters::zeros(dims)).unwrap();
    assert!(matches!(of(&tiny), Err(Error::UnfitForQuiz(_))));
}

#[test]
fn answers_may_come_from_a_spreadsheet() {
    let files = quiz(Layout::Columns);
    let truth: Vec<bool> = files.iter().map(|file| case(file).unwrap().is_right()).collect();
    let answers = |line: &dyn Fn(&str, &str) -> String| -> String {
        let of = |((name, _), right): (&(String, Vec<u8>), &bool)| {
            line(name.trim_end_matches(".npz"), if *right { "right" } else { "wrong" })
        };
        files.iter().zip(&truth).map(of).collect()
    };
    for text in [
        answers(&|name, answer| format!("{name},{answer}\n")),
        format!("\u{feff}case;answer\r\n{}", answers(&|name, answer| format!("{name};{answer}\r\n"))),
        format!("\n\n{}\n\n", answers(&|name, answer| format!(" \"{name}.npz\" , \"{}\" \n\n", answer.to_uppercase()))),
    ] {
        let found = grade(&files, &text, Path::new(ANSWERS)).unwrap();
        assert_eq!(found, Grade { cases: 23, correct: 23, errors: Vec::new(), explanations: Vec::new() });
    }
    // One wrong answer, to a case that is right.
    let first = truth.iter().position(|&right| right).unwrap() + 1;
    let text = answers(&|name, answer| format!("{name},{answer}\n"));
    let text = text.replace(&format!("case_{first:02},right"), &format!("case_{first:02},wrong"));
    let found = grade(&files, &text, Path::new(ANSWERS)).unwrap();
    assert_eq!((found.correct, found.errors.len()), (22, 1));
    assert_eq!(found.errors[0], format!("case_{first:02} is right: rounding alone is left of its differences"));
}

#[test]
fn statistics_of_differences_are_those_of_pencil_and_paper() {
    let (given, right) = ([1.0, 3.0, -2.0], [3.0, 3.0, 2.0]);
    assert_eq!(largest(&given, &right), 4.0);
    assert_eq!(mean(&given, &right), 2.0);
    assert_eq!(sum(&given, &right), 6.0);
    assert_eq!(sum(&[1.0, 2.0], &[2.0, 1.0]), 0.0);
    // 2 / 4, 0 / 6 and 4 / 4.
    assert_eq!(mean_relative(&given, &right), 0.5);
    assert_eq!(mean_relative(&[0.0, 1.0], &[0.0, 1.0]), 0.0, "0 / 0 counts as equal");
    // −2, 0 and −4 are not above 0; of 1, 5 and 2 the second is the largest.
    assert_eq!(signed(&given, &right), 0.0);
    assert_eq!(signed(&[1.0, 7.0, 5.0], &[0.0, 2.0, 3.0]), 5.0);
    assert_eq!(signed(&[7.0, 2.0], &[2.0, 1.0]), 5.0);
    for given in [[f64::NAN, 9.0], [9.0, f64::NAN]] {
        assert!(signed(&given, &[0.0, 0.0]).is_nan());
    }
}

fn with_difference(name: &str, difference: f64) -> Case {
    Case { name: name.into(), arrays: vec![(vec![1.0 + difference, 2.0], vec![1.0, 2.0]), (vec![0.5], vec![0.5])] }
}

#[test]
fn the_largest_statistic_is_that_of_either_array_and_infinite_if_one_is_not_finite() {
    let arrays = |weight: f64, bias: f64| {
        Case { name: String::new(), arrays: vec![(vec![weight], vec![0.0]), (vec![bias], vec![0.0])] }.largest(largest)
    };
    assert_eq!((arrays(0.25, -0.5), arrays(0.75, 0.5), arrays(0.0, 0.0)), (0.5, 0.75, 0.0));
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!((arrays(value, 0.0), arrays(0.0, value)), (f64::INFINITY, f64::INFINITY), "{value}");
    }
    let is_right = |given: f64| Case { name: String::new(), arrays: vec![(vec![given], vec![0.0])] }.is_right();
    assert_eq!([1e-6, 1e-6_f64.next_up(), -1e-6, f64::NAN].map(is_right), [true, false, true, false]);
}

#[test]
fn an_element_at_the_tolerance_is_not_counted_as_different() {
    let given = vec![1e-6, 1e-6_f64.next_up(), 0.5, 0.0];
    let case = Case { name: "case_07".into(), arrays: vec![(given, vec![0.0; 4])] };
    assert_eq!(error(&case), "case_07 is wrong: 2 of 4 elements are, by up to 5.0e-1");
}

#[test]
fn a_check_that_nothing_passes_is_told_so() {
    let grade = grade_of(Layout::Rows, |_, _| false);
    assert_eq!(grade.correct, 18);
    assert_eq!(grade.explanations, ["your answers are those of a check that nothing passes: not even right gradients"]);
}

#[test]
fn answers_that_no_threshold_separates_are_those_of_no_known_check() {
    let cases = [0.0, 0.25, 0.25, 0.5].map(|difference| with_difference("case", difference));
    let explain = |answers: [bool; 4]| explanations(&cases, &answers);
    // The same difference is accepted and refused.
    let none = ["your answers are those of no kind of check that this program knows"];
    assert_eq!(explain([true, true, false, false]), none);
    assert_eq!(explain([true, false, false, true]), none, "the largest alone is accepted");
    let of_each_kind = explain([true, true, true, false]);
    assert_eq!(of_each_kind.len(), KINDS.len(), "all of them separate such cases: {of_each_kind:?}");
    let tolerance = "your answers are those of a check that takes the largest difference, with too large a tolerance: ";
    assert!(of_each_kind[0].starts_with(tolerance), "{of_each_kind:?}");
}

#[test]
fn answers_that_are_wrong_only_about_nan_have_one_explanation() {
    let cases = [0.0, 0.5, f64::NAN].map(|difference| with_difference("case", difference));
    let [nan] = &explanations(&cases, &[true, false, true])[..] else { panic!() };
    assert!(nan.starts_with("a NaN passes your check: every comparison with NaN is false"), "{nan}");
    let both = explanations(&cases, &[true, true, true]);
    assert_eq!(both.len(), 1, "{both:?}");
    assert!(both[0].contains("every gradient is right"));
    let [strict] = &explanations(&[0.0, 1e-8, 0.5].map(|d| with_difference("case", d)), &[true, false, false])[..]
    else {
        panic!()
    };
    assert!(strict.contains("too small a tolerance"), "{strict}");
}
