//! Every known mistake, and every pair of two, is made on purpose and named.

use super::mistake::{Features, Mistake, known};
use super::recipe::Parts;
use super::table::Judged;
use super::*;
use crate::gradcheck::Problem;
use crate::gradcheck::reference::Parameters64;
use crate::hyperparameters::Loss;
use rayon::prelude::*;

fn exercises() -> Vec<Exercise> {
    let mut exercises = Vec::new();
    for (n, features, classes) in [(30, 20, 10), (3, 10, 10), (7, 12, 4)] {
        for loss in Loss::ALL {
            for (layout, seed) in [(Layout::Rows, 1), (Layout::Cs231n, 4)] {
                let problem = Problem::random(Dims { features, classes }, n, seed).with_loss(loss);
                exercises.push(Exercise::of(&problem, 0.1, layout).unwrap());
            }
        }
    }
    exercises
}

/// The quantities that `mistakes` lead to.
fn submission(parts: &Parts, mistakes: &[Mistake]) -> Submission {
    let derivatives = parts.with(mistakes);
    let answer = |quantity: Quantity| Answer { quantity, values: quantity.of(&derivatives).to_vec(), is_f32: false };
    let has = |quantity: &Quantity| *quantity != Quantity::Bias || parts.exercise.layout() != Layout::Cs231n;
    Quantity::ALL.into_iter().filter(has).map(answer).collect()
}

#[derive(Default, Debug)]
struct Count {
    exactly: usize,
    equivalently: usize,
    failures: Vec<String>,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.exactly += other.exactly;
        self.equivalently += other.equivalently;
        self.failures.extend(other.failures);
    }
}

/// The counts of the single mistakes and of the pairs.
fn counts(exercise: &Exercise) -> [Count; 2] {
    let (mut alone, mut pairs) = (Count::default(), Count::default());
    let referee = Referee::new(exercise, Tolerance::default()).unwrap();
    let known = known(exercise);
    for (i, a) in known.iter().enumerate() {
        count(&referee, std::slice::from_ref(a), &mut alone);
        for b in known[i + 1..].iter().filter(|b| !a.overrides(b)) {
            count(&referee, &[a.clone(), b.clone()], &mut pairs);
        }
    }
    [alone, pairs]
}

/// Judges the submission with `mistakes` and counts how each quantity that differs is explained.
fn count(referee: &Referee, mistakes: &[Mistake], count: &mut Count) {
    let exercise = referee.exercise();
    let findings = referee.judge(&submission(&referee.parts, mistakes)).unwrap();
    for finding in findings.iter().filter(|f| f.verdict == Verdict::Differs) {
        let made: Vec<String> =
            mistakes.iter().filter(|m| m.affects(finding.quantity)).map(|m| m.name(exercise)).collect();
        let names = |explanation: &Vec<Diagnosis>| explanation.iter().map(|d| d.mistake.clone()).collect::<Vec<_>>();
        let named: Vec<Vec<String>> = finding.explanations.iter().map(names).collect();
        let is_exact = named.iter().any(|named| made.iter().all(|m| named.contains(m)) && named.len() == made.len());
        if is_exact {
            count.exactly += 1;
        } else if finding.remainder.is_none() && named.iter().any(|named| (1..=2).contains(&named.len())) {
            count.equivalently += 1;
        } else {
            count.failures.push(format!(
                "{}, {}: {made:?} -> {named:?} {:?}",
                exercise.describe(),
                finding.quantity.name(),
                finding.remainder
            ));
        }
    }
}

#[test]
fn every_known_mistake_and_every_pair_is_named() {
    let counts: Vec<[Count; 2]> = exercises().par_iter().map(counts).collect();
    let (mut alone, mut pairs) = (Count::default(), Count::default());
    for [of_one, of_two] in counts {
        alone.add(of_one);
        pairs.add(of_two);
    }
    for (what, count) in [("single mistakes", alone), ("pairs", pairs)] {
        eprintln!("{what}: {} named exactly, {} by an equivalent", count.exactly, count.equivalently);
        let failures = &count.failures;
        assert!(
            failures.is_empty(),
            "{} {what} without a name:\n{}",
            failures.len(),
            failures[..failures.len().min(40)].join("\n")
        );
    }
}

fn exercise(lambda: f64) -> Exercise {
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    Exercise::of(&problem, lambda, Layout::Rows).unwrap()
}

/// The findings on a submission that `change` makes of the right one.
fn findings(exercise: &Exercise, change: impl Fn(&mut Derivatives)) -> Vec<Finding> {
    let referee = Referee::new(exercise, Tolerance::default()).unwrap();
    let mut derivatives = referee.right().clone();
    change(&mut derivatives);
    let answer = |quantity: Quantity| Answer { quantity, values: quantity.of(&derivatives).to_vec(), is_f32: false };
    referee.judge(&Quantity::ALL.map(answer).to_vec()).unwrap()
}

#[test]
fn a_mistake_of_which_no_trace_can_be_seen_is_never_certified() {
    let without_penalty = |exercise: &Exercise| {
        let parts = Parts::new(exercise);
        let mistake = Mistake::Factor(factor::Term::Penalty, factor::Factor::ZERO);
        let wrong = parts.with(&[mistake]);
        findings(exercise, |d| *d = wrong.clone())[0].clone()
    };
    let small = exercise(1e-8);
    let finding = without_penalty(&small);
    assert_eq!(finding.verdict, Verdict::CannotTell);
    assert_eq!(findings(&small, |_| {})[0].verdict, Verdict::CannotTell);
    let hidden = finding.hidden.unwrap();
    assert!(hidden.mistakes.contains(&"missing penalty".to_owned()), "{hidden:?}");
    // The problem that it suggests tells.
    let lambda = hidden.advice.strip_prefix("--lambda ").unwrap().parse().unwrap();
    assert_eq!(without_penalty(&exercise(lambda)).verdict, Verdict::Differs);
    assert!(findings(&exercise(lambda), |_| {}).iter().all(|f| f.verdict == Verdict::Agrees));
    // The smallest λ at which it is certified is one at which the forgotten penalty is seen.
    for exponent in -10..0 {
        let exercise = exercise(10_f64.powi(exponent));
        let [right, wrong] = [findings(&exercise, |_| {})[0].verdict, without_penalty(&exercise).verdict];
        assert_ne!(wrong, Verdict::Agrees);
        assert_eq!(right == Verdict::Agrees, wrong == Verdict::Differs, "λ = 1e{exponent}");
    }
}

#[test]
fn one_example_or_a_bias_of_zero_is_no_proof() {
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 1, 5);
    let one = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let hidden = findings(&one, |_| {})[0].hidden.clone().unwrap();
    assert!(hidden.mistakes[0].contains("missing 1/n") && hidden.advice == "--examples 2 or more", "{hidden:?}");

    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    let parameters = Parameters { bias: vec![0.0; 10], ..problem.parameters().clone() };
    let problem = Problem::new(problem.x().into(), problem.labels().into(), parameters).unwrap();
    let zero = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let hidden = findings(&zero, |_| {})[1].hidden.clone().unwrap();
    assert!(hidden.mistakes.iter().any(|m| m.contains("the bias is missing")), "{hidden:?}");
    assert_eq!(hidden.advice, "a bias that is not 0");
}

#[test]
fn an_unknown_difference_is_located_and_has_no_name() {
    let exercise = exercise(0.1);
    let place = |change: &dyn Fn(&mut Derivatives)| {
        let finding = findings(&exercise, change)[0].clone();
        assert_eq!((finding.verdict, finding.explanations.len()), (Verdict::Differs, 0), "{finding:?}");
        finding.remainder.unwrap().place
    };
    assert_eq!(place(&|d| d.dweight[3 * 40 + 7] += 0.01), "class 3, feature 7");
    assert_eq!(place(&|d| d.dweight[5 * 40..6 * 40].iter_mut().for_each(|g| *g *= 1.7)), "all of class 5");
    assert_eq!(place(&|d| (0..10).for_each(|c| d.dweight[c * 40 + 9] = 0.0)), "feature 9");
    let x = exercise.x()[13 * 40..14 * 40].to_vec();
    let of_example = place(&|d| {
        for (c, row) in d.dweight.chunks_mut(40).enumerate() {
            row.iter_mut().zip(&x).for_each(|(g, x)| *g += 0.01 * (c as f64 - 4.0) * x);
        }
    });
    assert!(of_example.ends_with("example 13"), "{of_example}");
    let mut state = 1_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        (state >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    };
    let noise: Vec<f64> = (0..400).map(|_| noise()).collect();
    assert_eq!(place(&|d| d.dweight.iter_mut().zip(&noise).for_each(|(g, noise)| *g += 1e-3 * noise)), "in every part");
}

#[test]
fn beside_a_named_mistake_the_rest_is_located() {
    let exercise = exercise(0.1);
    let parts = Parts::new(&exercise);
    let summed =
        parts.with(&[Mistake::Factor(factor::Term::Data, factor::Factor::of(factor::Step::TimesExamples, &exercise))]);
    let finding = &findings(&exercise, |d| {
        *d = summed.clone();
        d.dweight[11] = 0.0;
    })[0];
    assert!(finding.explanations[0][0].mistake.contains("missing 1/n"), "{finding:?}");
    assert_eq!(finding.remainder.as_ref().unwrap().place, "class 0, feature 11");
}

#[test]
fn parts_of_the_batch_are_found() {
    let exercise = exercise(0.1);
    let parts = Parts::new(&exercise);
    for (weights, words) in [
        ((0..20).map(|i| if i == 19 { 0.0 } else { 1.0 }).collect::<Vec<_>>(), "example 19 is left out"),
        ((0..20).map(|i| if i == 19 { 0.0 } else { 20.0 / 19.0 }).collect(), "example 19 is left out"),
        ((0..20).map(|i| if i < 7 { 1.0 } else { 0.0 }).collect(), "only examples 0–6 count"),
        ((0..20).map(|i| if i == 4 { 2.0 } else { 1.0 }).collect(), "example 4 counts 2 times"),
    ] {
        let wrong = parts.with(&[Mistake::Weights(weights)]);
        for finding in
            &findings(&exercise, |d| (d.dweight, d.dbias) = (wrong.dweight.clone(), wrong.dbias.clone()))[..2]
        {
            let named = &finding.explanations[0];
            assert!(named.len() == 1 && named[0].mistake.contains(words), "{words}: {finding:?}");
        }
    }
}

#[test]
fn a_factor_without_a_reason_is_reported_as_a_number() {
    let exercise = exercise(0.1);
    let names = |change: &dyn Fn(&mut Derivatives)| -> Vec<String> {
        let finding = findings(&exercise, change)[0].clone();
        assert_eq!(finding.explanations.len(), 1, "{finding:?}");
        finding.explanations[0].iter().map(|d| d.mistake.clone()).collect()
    };
    let weight = exercise.parameters().weight.clone();
    assert_eq!(
        names(&|d| d.dweight.iter_mut().for_each(|g| *g *= -0.37)),
        ["every term, also the penalty, × -0.37, a factor without a known reason"]
    );
    // 3.7 · 2λ W instead of 2λ W.
    assert_eq!(
        names(&|d| d.dweight.iter_mut().zip(&weight).for_each(|(g, w)| *g += 0.2 * 2.7 * w)),
        ["penalty × 3.7, a factor without a known reason"]
    );
    assert_eq!(
        names(&|d| d.dweight.iter_mut().for_each(|g| *g *= 1.0001)),
        ["every term, also the penalty, × 1.0001, a factor without a known reason"]
    );
}

#[test]
fn updated_parameters_are_recognised_also_with_a_second_mistake() {
    let exercise = exercise(0.1);
    let weight = exercise.parameters().weight.clone();
    for (penalty, words) in [(1.0, None), (0.0, Some("missing penalty")), (0.5, Some("λ instead of 2λ"))] {
        let updated = |d: &mut Derivatives| {
            for (g, w) in d.dweight.iter_mut().zip(&weight) {
                *g = w - 0.03 * (*g + (penalty - 1.0) * 0.2 * w);
            }
        };
        let finding = findings(&exercise, updated)[0].clone();
        let names: Vec<&str> = finding.explanations[0].iter().map(|d| &d.mistake[..]).collect();
        assert_eq!(names[0], "the parameters after an update with learning rate 0.03, not their gradient");
        assert_eq!(names.get(1).is_some(), words.is_some(), "{names:?}");
        assert!(words.is_none_or(|words| names[1].contains(words)), "{names:?}");
    }
}

#[test]
fn a_cost_is_not_blamed_for_its_loss() {
    let exercise = exercise(0.1);
    let found = findings(&exercise, |d| (d.loss, d.cost) = (d.loss + 0.123, d.cost + 0.123));
    assert!(found[2].explanations.is_empty() && found[3].explanations.is_empty(), "{found:?}");
    assert_eq!(found[3].remainder.as_ref().unwrap().place, "the loss in it");
    let penalty = exercise.parameters().penalty();
    let found = findings(&exercise, |d| (d.loss, d.cost) = (d.loss + 0.123, d.loss + 0.123 + 0.5 * 0.1 * penalty));
    assert!(found[3].explanations[0][0].mistake.contains("λ instead of 2λ"), "{found:?}");
}

#[test]
fn features_in_the_wrong_order_are_named() {
    for (features, classes, wrong) in [(12, 4, Features::wrong(false)), (3072, 10, Features::wrong(true))] {
        let problem = Problem::random(Dims { features, classes }, 6, 1);
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        assert_eq!(exercise.is_of_images(), features == 3072);
        let parts = Parts::new(&exercise);
        assert!(!wrong.is_empty());
        for &order in wrong {
            let mistake = Mistake::Features(order);
            let derivatives = parts.with(std::slice::from_ref(&mistake));
            let named = &findings(&exercise, |d| d.dweight = derivatives.dweight.clone())[0].explanations[0];
            assert_eq!((named.len(), &named[0].mistake), (1, &mistake.name(&exercise)));
        }
    }
}

/// The judgements of submissions for an exercise: right, without 1/n, with one wrong element, in `float32`, and unreadable.
fn judgements(exercise: &Exercise) -> Vec<Judged> {
    let referee = Referee::new(exercise, Tolerance::default()).unwrap();
    let right = submission(&referee.parts, &[]);
    let sum = known(exercise).into_iter().find(|m| m.name(exercise).contains("missing 1/n")).unwrap();
    let with_sum = submission(&referee.parts, &[sum]);
    let mut one_wrong = right.clone();
    one_wrong[0].values[7] += 0.5;
    let mut rounded = right.clone();
    rounded[0].values.iter_mut().enumerate().for_each(|(i, v)| *v *= 1.0 + if i % 2 == 0 { 4e-6 } else { -3e-6 });
    let judged = |file: &str, submission: &Submission| Judged {
        file: file.into(),
        unread: Vec::new(),
        outcome: Ok(referee.judge(submission).unwrap()),
    };
    vec![
        judged("right", &right),
        judged("sum", &with_sum),
        judged("one", &one_wrong),
        judged("rounded", &rounded),
        Judged { file: "broken".into(), unread: Vec::new(), outcome: Err("broken is no .npz file".into()) },
    ]
}

#[test]
fn the_table_has_a_row_per_quantity_and_says_what_is_wrong_where() {
    let exercise = exercise(0.1);
    let judged = judgements(&exercise);
    let verdicts: Vec<_> = judged.iter().map(Judged::verdict_name).collect();
    assert_eq!(verdicts, ["agrees", "differs", "differs", "differs", "unreadable"]);
    let rows = table::rows(&judged, &exercise);
    assert_eq!(rows.len(), 4 * 4 + 1);
    let row = |file: &str, quantity: &str| rows.iter().find(|r| r.file == file && r.quantity == quantity).unwrap();
    let right = row("right", "grad_W");
    assert_eq!((right.verdict.as_str(), right.elements, right.mistakes.as_str()), ("agrees", 400, ""));
    assert_eq!((right.unexplained_elements, right.unexplained_difference, right.remark.as_str()), (0, None, ""));
    let sum = row("sum", "grad_W");
    assert!(sum.verdict == "differs" && sum.mistakes.contains("missing 1/n"), "{sum:?}");
    assert!(sum.max_absolute_difference > Some(0.1) && sum.submitted != sum.right);
    assert_eq!(row("sum", "cost").elements, 1);
    let one = row("one", "grad_W");
    assert_eq!((one.location.class, one.location.feature), (Some(0), Some(7)));
    assert_eq!((one.unexplained_elements, one.mistakes.as_str()), (1, ""));
    assert!((one.unexplained_difference.unwrap() - 0.5).abs() < 1e-9 && one.remark.contains("feature 7"), "{one:?}");
    assert!((one.submitted.unwrap() - one.right.unwrap() - 0.5).abs() < 1e-9);
    assert_eq!(row("rounded", "grad_W").mistakes, "the rounding of float32");
    let broken = row("broken", "");
    assert_eq!((broken.verdict.as_str(), broken.remark.as_str()), ("unreadable", "broken is no .npz file"));
    let csv = crate::files::csv::to_csv(&rows, crate::files::csv::Dialect::Comma);
    let path = std::path::Path::new(table::FILE);
    assert_eq!(crate::files::csv::from_csv::<table::RefereeRow>(&csv, path).unwrap(), rows);
}

#[test]
fn a_summary_names_each_mistake_once_or_the_place() {
    let summaries: Vec<_> = judgements(&exercise(0.1)).iter().map(Judged::summary).collect();
    assert_eq!(summaries[0], "");
    assert_eq!(summaries[1].matches("missing 1/n").count(), 1, "{}", summaries[1]);
    assert_eq!(summaries[2], "grad_W differs: class 0, feature 7");
    assert_eq!(summaries[3..], ["the rounding of float32", "broken is no .npz file"]);
}

#[test]
fn what_cannot_be_told_is_advised_in_the_table_and_in_words() {
    let exercise = exercise(1e-9);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    let findings = referee.judge(&submission(&referee.parts, &[])).unwrap();
    let judged = [Judged { file: "right".into(), unread: Vec::new(), outcome: Ok(findings) }];
    assert_eq!((judged[0].verdict(), judged[0].verdict_name()), (Some(Verdict::CannotTell), "cannot_tell"));
    let row = &table::rows(&judged, &exercise)[0];
    assert!(row.mistakes.contains("missing penalty") && row.remark.starts_with("ask again with --lambda "), "{row:?}");
    assert!(
        judged[0].summary().contains("grad_W could hide: penalty × 0.05: 1/n on the penalty"),
        "{}",
        judged[0].summary()
    );
}

#[test]
fn the_json_has_the_same_facts() {
    let exercise = exercise(0.1);
    let judged = judgements(&exercise);
    let text = table::to_json(&judged, &exercise, "problem.npz", Tolerance { tolerance: 1e-6, eps: 1e-7 });
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({
        "file": "problem.npz", "examples": 20, "features": 40, "classes": 10, "loss": "softmax", "lambda": 0.1,
        "layout": "rows",
    });
    assert_eq!((&json["schema"], &json["problem"]), (&serde_json::json!(table::SCHEMA), &expected));
    assert_eq!((&json["tolerance"], &json["eps"]), (&serde_json::json!(1e-6), &serde_json::json!(1e-7)));
    let submissions = json["submissions"].as_array().unwrap();
    assert_eq!(submissions.len(), 5);
    assert_eq!(submissions[4]["error"], "broken is no .npz file");
    assert!(submissions[0]["error"].is_null() && submissions[4]["quantities"].as_array().unwrap().is_empty());
    let of_one = &submissions[2]["quantities"][0];
    assert_eq!(
        (&of_one["quantity"], &of_one["verdict"], &of_one["elements"]),
        (&"grad_W".into(), &"differs".into(), &400.into())
    );
    assert_eq!((&of_one["worst"]["class"], &of_one["worst"]["feature"]), (&0.into(), &7.into()));
    assert_eq!(
        (&of_one["unexplained"]["elements"], &of_one["unexplained"]["place"]),
        (&1.into(), &"class 0, feature 7".into())
    );
    let explained = &submissions[1]["quantities"][0]["explanations"][0][0];
    assert!(explained["mistake"].as_str().unwrap().contains("missing 1/n"), "{explained}");
    assert!(!explained["fix"].as_str().unwrap().is_empty());
    assert_eq!(submissions[3]["quantities"][0]["rounding"], true);
}

#[test]
fn a_value_that_is_not_finite_is_counted_and_the_first_is_named() {
    let exercise = exercise(0.1);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    let mut submission = submission(&referee.parts, &[]);
    submission[0].values[43] = f64::NAN;
    submission[0].values[50] = f64::INFINITY;
    submission[1].values[2] = f64::NEG_INFINITY;
    let findings = referee.judge(&submission).unwrap();
    let mistake = |i: usize| findings[i].explanations[0][0].mistake.clone();
    assert_eq!(
        mistake(0),
        "not finite: 2 of 400 values are NaN or infinite; the first of grad_W, class 1, feature 3, is NaN"
    );
    assert!(mistake(1).starts_with("not finite: 1 of 10 values is NaN or infinite; the first of grad_b, class 2"));
    assert_eq!(findings[2].verdict, Verdict::Agrees);
}

#[test]
fn a_wrong_loss_is_not_blamed_on_the_penalty_of_the_cost() {
    let exercise = exercise(0.1);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    let mut submission = submission(&referee.parts, &[]);
    // A loss that no mistake explains, and the cost that follows from it.
    submission[2].values[0] += 0.0371;
    submission[3].values[0] += 0.0371;
    let findings = referee.judge(&submission).unwrap();
    assert_eq!(findings[2].verdict, Verdict::Differs);
    let remainder = findings[3].remainder.as_ref().unwrap();
    assert_eq!((remainder.place.as_str(), remainder.elements, remainder.of), ("the loss in it", 1, 1));
    assert!((remainder.largest - 0.0371).abs() < 1e-12 && findings[3].explanations.is_empty());
}

#[test]
fn advice_is_what_would_show_the_mistake() {
    let of = |exercise: &Exercise, tolerance: Tolerance, quantity| {
        Referee::new(exercise, tolerance).unwrap().hidden(quantity, false).map(|hidden| hidden.advice)
    };
    let default = Tolerance::default();
    let loose = |tolerance, eps| Tolerance { tolerance, eps };
    assert_eq!(of(&exercise(0.1), default, Quantity::Weight), None);
    assert_eq!(of(&exercise(0.1), loose(2.0, 1e-6), Quantity::Weight).unwrap(), "a smaller --tolerance, such as 1e-6");
    assert_eq!(of(&exercise(0.1), loose(1e-6, 1e9), Quantity::Weight).unwrap(), "a smaller --eps, such as 1e-6");
    let random = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    let with = |change: &dyn Fn(&mut crate::network::Parameters)| {
        let mut parameters = random.parameters().clone();
        change(&mut parameters);
        let problem = Problem::new(random.x().to_vec(), random.labels().to_vec(), parameters).unwrap();
        Exercise::of(&problem, 0.1, Layout::Rows).unwrap()
    };
    let no_bias = with(&|p| p.bias.fill(0.0));
    assert_eq!(of(&no_bias, default, Quantity::Bias).unwrap(), "a bias that is not 0");
    let no_weight = with(&|p| p.weight.fill(0.0));
    assert_eq!(of(&no_weight, default, Quantity::Weight).unwrap(), "weights that are not 0");
    for quantity in [Quantity::Weight, Quantity::Cost] {
        assert_eq!(of(&exercise(0.0), default, quantity).unwrap(), "--lambda 0.1");
    }
    // Σ |W| is Σ W² at any λ.
    let ones = with(&|p| p.weight.fill(1.0));
    assert_eq!(of(&ones, default, Quantity::Cost).unwrap(), "other weights");
    // And its gradient, the sign of W, is 2 W.
    let halves = with(&|p| p.weight.fill(0.5));
    assert_eq!(of(&halves, default, Quantity::Weight).unwrap(), "other weights");
}

#[test]
fn advice_rounds_up_to_1_2_or_5() {
    for (value, expected) in [
        (0.1, 0.1),
        (0.11, 0.2),
        (0.2, 0.2),
        (0.21, 0.5),
        (0.51, 1.0),
        (3.0, 5.0),
        (5.1, 10.0),
        (120.0, 200.0),
        (0.003, 0.005),
    ] {
        assert_eq!(round_up(value), expected, "{value}");
    }
}

#[test]
fn a_place_of_an_image_has_its_channel_row_and_column() {
    let problem = Problem::random(Dims { features: 3072, classes: 10 }, 2, 1);
    for layout in [Layout::Rows, Layout::Cs231n] {
        let exercise = Exercise::of(&problem, 0.1, layout).unwrap();
        let d = exercise.dims().features;
        let location = exercise.location(Quantity::Weight, 3 * d + 1024 + 32 * 5 + 7);
        assert_eq!((location.class, location.row, location.column), (Some(3), Some(5), Some(7)), "{layout:?}");
        assert_eq!(location.channel.as_deref(), Some("green"));
        assert_eq!(exercise.location(Quantity::Bias, 4).class, Some(4));
        assert_eq!(exercise.location(Quantity::Cost, 0).class, None);
    }
}

#[test]
fn rows_in_another_order_are_named_with_their_order() {
    let exercise = exercise(0.1);
    let d = exercise.dims().features;
    let permuted = findings(&exercise, |derivatives| {
        let rows: Vec<Vec<f64>> = derivatives.dweight.chunks(d).map(<[f64]>::to_vec).collect();
        derivatives.dweight = [2, 0, 1, 3, 4, 5, 6, 7, 9, 8].map(|row: usize| rows[row].clone()).concat();
        derivatives.dbias = [2, 0, 1, 3, 4, 5, 6, 7, 9, 8].map(|row: usize| derivatives.dbias[row]).to_vec();
    });
    for finding in &permuted[..2] {
        let named = &finding.explanations[0];
        assert_eq!(named.len(), 1);
        assert!(named[0].mistake.contains("2, 0, 1, 3, 4, 5, 6, 7, 9, 8"), "{}", named[0].mistake);
    }
}

#[test]
fn a_bias_alone_shows_labels_that_are_off_by_one() {
    let exercise = exercise(0.1);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    let labels = known(&exercise).into_iter().filter(|m| m.name(&exercise).starts_with("labels off by one"));
    for mistake in labels {
        let all = submission(&referee.parts, std::slice::from_ref(&mistake));
        let bias: Submission = all.into_iter().filter(|answer| answer.quantity == Quantity::Bias).collect();
        let found = referee.judge(&bias).unwrap();
        assert_eq!(found[0].explanations[0][0].mistake, mistake.name(&exercise));
    }
}

#[test]
fn an_exercise_must_fit_together_and_be_finite() {
    let dims = Dims { features: 3, classes: 2 };
    let parameters = |dims: Dims| Parameters64 {
        dims,
        weight: vec![0.5; dims.classes * dims.features],
        bias: vec![0.25; dims.classes],
    };
    let make = |x: Vec<f64>, labels: Vec<u8>, parameters: Parameters64, lambda: f64| {
        Exercise::new(x, labels, parameters, lambda, Loss::Softmax, Layout::Rows)
    };
    let right = make(vec![1.0; 6], vec![0, 1], parameters(dims), 0.5).unwrap();
    assert_eq!((right.examples(), right.dims(), right.lambda(), right.labels()), (2, dims, 0.5, &[0, 1][..]));
    assert_eq!(right.describe(), "2 examples, 3 features, 2 classes, softmax, λ = 0.5");
    let refusal = |x: Vec<f64>, labels: Vec<u8>, parameters: Parameters64, lambda: f64| {
        make(x, labels, parameters, lambda).unwrap_err().to_string()
    };
    let none = |features, classes| refusal(vec![], vec![0], parameters(Dims { features, classes }), 0.0);
    assert_eq!(none(0, 2), "number of features must be 1 or more, but is 0");
    assert_eq!(none(3, 0), "number of classes must be 1 or more, but is 0");
    assert_eq!(refusal(vec![], vec![], parameters(dims), 0.0), "number of examples must be 1 or more, but is 0");
    assert!(refusal(vec![1.0; 5], vec![0, 1], parameters(dims), 0.0).starts_with("x must have the shape (2, 3)"));
    let mut short = parameters(dims);
    short.weight.pop();
    assert!(refusal(vec![1.0; 6], vec![0, 1], short, 0.0).starts_with("W must have the shape (2, 3)"));
    let mut short = parameters(dims);
    short.bias.pop();
    assert!(refusal(vec![1.0; 6], vec![0, 1], short, 0.0).starts_with("b must have the shape (2)"));
    assert_eq!(refusal(vec![1.0; 6], vec![0, 2], parameters(dims), 0.0), "label must be 0 to 1, but is 2");
    let mut infinite = parameters(dims);
    infinite.bias[1] = f64::INFINITY;
    assert!(refusal(vec![1.0; 6], vec![0, 1], infinite, 0.0).starts_with("b must be finite, but element 1"));
    assert!(refusal(vec![1.0; 6], vec![0, 1], parameters(dims), -1.0).starts_with("lambda must be at least 0"));
}

#[test]
fn a_batch_has_an_image_of_each_class_where_they_fit_in_the_order_of_the_epoch() {
    let images = crate::dataset::tests::few().train;
    let order: Vec<usize> = (0..images.len()).rev().collect();
    let classes =
        |chosen: &[usize]| chosen.iter().map(|&i| images.labels()[i]).collect::<std::collections::BTreeSet<_>>().len();
    for count in [1, 5, 9, 10, 11, 15, 50] {
        let chosen = with_all_classes(&images, &order, count);
        assert_eq!(chosen.len(), count);
        assert!(chosen.windows(2).all(|pair| pair[0] > pair[1]), "the order of the epoch");
        // With one image of each class, moved labels would have the same sums.
        assert_eq!(classes(&chosen), if count == 10 { 9 } else { count.min(10) }, "{count}");
    }
    // The first image of each class comes first.
    assert_eq!(with_all_classes(&images, &order, 1), [images.len() - 1]);
}

#[test]
fn the_worst_verdict_counts_and_none_is_no_agreement() {
    use Verdict::{Agrees, CannotTell, Differs};
    assert_eq!(Verdict::of([Agrees, Agrees]), Agrees);
    assert_eq!(Verdict::of([Agrees, CannotTell]), CannotTell);
    assert_eq!(Verdict::of([Differs, CannotTell, Agrees]), Differs);
    assert_eq!(Verdict::of([]), CannotTell);
    assert_eq!([Agrees, CannotTell, Differs].map(Verdict::in_words), ["agrees", "can't be told", "DIFFERS"]);
}

#[test]
fn each_mistake_has_a_name_and_a_correction() {
    for loss in Loss::ALL {
        let problem = Problem::random(Dims { features: 12, classes: 4 }, 7, 5).with_loss(loss);
        let exercise = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
        for mistake in known(&exercise) {
            assert!(!mistake.name(&exercise).is_empty() && !mistake.fix(&exercise).is_empty(), "{mistake:?}");
        }
        let fix = |name: &str| {
            let all = known(&exercise);
            let mistake = all.iter().find(|m| m.name(&exercise).starts_with(name)).unwrap_or_else(|| panic!("{name}"));
            mistake.fix(&exercise)
        };
        let divisor = if loss == Loss::Bce { "(k n)" } else { "n" };
        assert_eq!(fix("data term × 7: missing 1/n"), format!("data term: (probabilities − onehot) / {divisor}"));
        assert_eq!(fix("penalty × 0.5: λ instead of 2λ"), fix("missing penalty"));
        assert_eq!(fix("penalty × -1"), "add λ Σ W² to the cost and 2λ W to its gradient, with no other factor");
        assert_eq!(
            fix("every term, also the penalty, × -1"),
            "return the gradient itself; only the update subtracts it"
        );
        assert_eq!(fix("data term × -1"), "the loss is −ln p, its gradient probabilities − onehot");
        assert_eq!(fix("only the penalty"), "add the mean loss and its gradient");
        assert_eq!(fix("all zero"), "save the computed arrays, not freshly initialised ones");
        let every = fix("every term, also the penalty, × 7");
        assert_eq!(every, format!("divide the data term by {divisor}, once, and the penalty not at all"));
    }
}

#[test]
fn the_rounding_of_f32_is_small_and_widespread_at_any_size() {
    for size in [1e-3, 1.0, 1e3] {
        let right: Vec<f64> = (1..=10).map(|i| size * f64::from(i) / 10.0).collect();
        let with = |relative: f64, count: usize| {
            let wrong = |(i, r): (usize, &f64)| r + if i < count { relative * size } else { 0.0 };
            is_rounding(&right.iter().enumerate().map(wrong).collect::<Vec<_>>(), &right)
        };
        assert!(with(1e-6, 10) && with(1e-6, 5), "{size}");
        assert!(!with(1e-6, 4), "in too few elements");
        assert!(!with(1e-4, 10), "too large");
        assert!(!with(5e-11, 10), "the rounding of f64");
    }
    assert!(!is_rounding(&[1.0, 1e-10, 1e-10, 1e-10], &[1.0, 0.0, 0.0, 0.0]), "just the rounding of f64");
    assert!(is_rounding(&[1.0, 1.1e-10, 1.1e-10, 0.0], &[1.0, 0.0, 0.0, 0.0]));
}

#[test]
fn a_problem_without_examples_or_features_is_refused() {
    use crate::files::npz::{self, Elements};
    let refusal = |x: &[usize], w: &[usize]| {
        let zeros = [0.0; 6];
        let of = |shape: &[usize]| Elements::F64(&zeros[..shape.iter().product()]);
        let arrays = [
            ("x", x, of(x)),
            ("y", &[2][..], Elements::I64(&[0, 1])),
            ("W", w, of(w)),
            ("b", &[2][..], Elements::F64(&[0.0, 0.0])),
            ("lambda", &[][..], Elements::F64(&[0.5])),
        ];
        let bytes = npz::write(&arrays).unwrap();
        files::read_problem(&bytes, std::path::Path::new("problem.npz")).map_err(|error| error.to_string())
    };
    assert!(refusal(&[2, 3], &[2, 3]).is_ok());
    for (x, w, name) in
        [(&[0, 3], &[2, 3], "x"), (&[2, 0], &[2, 3], "x"), (&[2, 3], &[2, 0], "W"), (&[2, 3], &[0, 3], "W")]
    {
        let message = refusal(x, w).unwrap_err();
        assert!(message.contains(&format!("array {name:?} must have the shape (1 or more, 1 or more)")), "{message}");
    }
    assert!(refusal(&[6], &[2, 3]).unwrap_err().contains("array \"x\" must have the shape (1 or more, 1 or more)"));
}

/// Gradients by plain loops, as a student would write them: `dlogit` of example i and class c, which is averaged over the
/// examples, and the derivative of the penalty for each weight, with their loss and penalty.
struct Student<'a> {
    exercise: &'a Exercise,
}

impl Student<'_> {
    fn logits(&self, with_bias: bool) -> Vec<Vec<f64>> {
        let Parameters64 { dims: Dims { features, classes }, weight, bias } = self.exercise.parameters();
        let logit = |x: &[f64], c: usize| {
            let products = weight[c * features..][..*features].iter().zip(x).map(|(w, x)| w * x);
            products.sum::<f64>() + if with_bias { bias[c] } else { 0.0 }
        };
        self.exercise.x().chunks(*features).map(|x| (0..*classes).map(|c| logit(x, c)).collect()).collect()
    }

    fn softmax(&self, with_bias: bool) -> Vec<Vec<f64>> {
        let of = |z: Vec<f64>| {
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            z.iter().map(|z| z.exp() / sum).collect()
        };
        self.logits(with_bias).into_iter().map(of).collect()
    }

    fn label(&self, i: usize) -> usize {
        self.exercise.labels()[i].into()
    }

    fn onehot(&self, i: usize, c: usize) -> f64 {
        f64::from(u8::from(self.label(i) == c))
    }

    /// grad_W and grad_b.
    fn gradients(&self, dlogit: impl Fn(usize, usize) -> f64, dpenalty: impl Fn(f64) -> f64) -> [Vec<f64>; 2] {
        let Parameters64 { dims: Dims { features, classes }, weight, .. } = self.exercise.parameters();
        let n = self.exercise.examples();
        let mut dweight: Vec<f64> = weight.iter().map(|&w| dpenalty(w)).collect();
        let mut dbias = vec![0.0; *classes];
        for i in 0..n {
            for c in 0..*classes {
                let g = dlogit(i, c) / n as f64;
                dbias[c] += g;
                for f in 0..*features {
                    dweight[c * features + f] += g * self.exercise.x()[i * features + f];
                }
            }
        }
        [dweight, dbias]
    }

    /// The mean of −ln of the probability of the label.
    fn loss(&self, p: &[Vec<f64>]) -> f64 {
        let n = self.exercise.examples();
        (0..n).map(|i| -p[i][self.label(i)].ln()).sum::<f64>() / n as f64
    }
}

#[test]
fn mistakes_in_plain_loops_are_named() {
    let exercise = exercise(0.1);
    let student = Student { exercise: &exercise };
    let lambda = exercise.lambda();
    let weight = &exercise.parameters().weight;
    let (p, z) = (student.softmax(true), student.logits(true));
    let without_bias = student.softmax(false);
    let squares: f64 = weight.iter().map(|w| w * w).sum();
    let right_penalty = |w: f64| 2.0 * lambda * w;
    let right = |i: usize, c: usize| p[i][c] - student.onehot(i, c);
    let column = |c: usize| z.iter().map(|row| row[c].exp()).sum::<f64>();
    let next = |i: usize, c: usize| f64::from(u8::from((student.label(i) + 1) % exercise.dims().classes == c));
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    // The names of what explains grad_W, grad_b, and of loss and cost.
    let named = |[dweight, dbias]: [Vec<f64>; 2], loss: f64, penalty: f64| -> Vec<Option<String>> {
        let answer = |quantity, values| Answer { quantity, values, is_f32: false };
        let submission = vec![
            answer(Quantity::Weight, dweight),
            answer(Quantity::Bias, dbias),
            answer(Quantity::Loss, vec![loss]),
            answer(Quantity::Cost, vec![loss + penalty]),
        ];
        let findings = Referee::new(&exercise, Tolerance::default()).unwrap().judge(&submission).unwrap();
        let name = |f: &Finding| {
            let names =
                f.explanations.first().map(|e| e.iter().map(|d| d.mistake.clone()).collect::<Vec<_>>().join("; "));
            (f.verdict == Verdict::Differs).then(|| names.unwrap_or_default())
        };
        findings.iter().map(name).collect()
    };
    let (loss, penalty) = (student.loss(&p), lambda * squares);
    assert_eq!(named(student.gradients(right, right_penalty), loss, penalty), [None, None, None, None]);
    let starts = |found: Vec<Option<String>>, expected: [Option<&str>; 4]| {
        let is = |(found, expected): (&Option<String>, Option<&str>)| match (found, expected) {
            (None, None) => true,
            (Some(found), Some(expected)) => found.contains(expected),
            _ => false,
        };
        assert!(found.iter().zip(expected).all(is), "{found:?} {expected:?}");
    };
    let norm = squares.sqrt();
    let name = Some("λ ‖W‖ instead of λ ‖W‖²");
    starts(named(student.gradients(right, |w| lambda * w / norm), loss, lambda * norm), [name, None, None, name]);
    let name = Some("λ Σ |W| instead of λ Σ W²");
    let sum: f64 = weight.iter().map(|w| w.abs()).sum();
    starts(named(student.gradients(right, |w| lambda * w.signum()), loss, lambda * sum), [name, None, None, name]);
    let name = Some("the onehot labels are not subtracted");
    starts(named(student.gradients(|i, c| p[i][c], right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("softmax over the examples");
    let over_examples = |i: usize, c: usize| z[i][c].exp() / column(c) - student.onehot(i, c);
    starts(named(student.gradients(over_examples, right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("the bias is missing from the logits");
    let of_weight = |i: usize, c: usize| without_bias[i][c] - student.onehot(i, c);
    let found = named(student.gradients(of_weight, right_penalty), student.loss(&without_bias), penalty);
    starts(found, [name, name, name, name]);
    let name = Some("logits instead of probabilities");
    let of_logits = |i: usize, c: usize| z[i][c] - student.onehot(i, c);
    starts(named(student.gradients(of_logits, right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("exp(logits) instead of probabilities");
    let of_exp = |i: usize, c: usize| z[i][c].exp() - student.onehot(i, c);
    starts(named(student.gradients(of_exp, right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("sigmoids instead of a softmax");
    let of_sigmoids = |i: usize, c: usize| sigmoid(z[i][c]) - student.onehot(i, c);
    starts(named(student.gradients(of_sigmoids, right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("labels off by one: each is taken for the next higher class");
    let of_next = |i: usize, c: usize| p[i][c] - next(i, c);
    starts(named(student.gradients(of_next, right_penalty), loss, penalty), [name, name, None, None]);
    let name = Some("logarithm to base 2");
    starts(named(student.gradients(right, right_penalty), loss / 2f64.ln(), penalty), [None, None, name, name]);
}

#[test]
fn arrays_that_are_not_read_are_listed_but_not_those_of_a_problem() {
    use crate::files::npz::{self, Elements};
    let of = |names: &[&str]| {
        let arrays: Vec<_> = names.iter().map(|name| (*name, &[][..], Elements::F64(&[0.0]))).collect();
        files::unread_arrays(&npz::write(&arrays).unwrap(), std::path::Path::new("a.npz"))
    };
    let read = ["grad_W", "grad_b", "dW", "db", "loss", "cost", "x", "X", "y", "W", "b", "lambda", "layout"];
    assert!(of(&read).is_empty());
    assert_eq!(of(&["grad_W", "grad_w", "Loss", "cost"]), ["Loss", "grad_w"]);
    assert!(files::unread_arrays(b"no archive", std::path::Path::new("a.npz")).is_empty());
}

#[test]
fn the_place_of_a_difference_is_as_narrow_as_it_can_be_said() {
    let problem = Problem::random(Dims { features: 3072, classes: 10 }, 3, 1);
    let images = Exercise::of(&problem, 0.1, Layout::Rows).unwrap();
    let small = exercise(0.1);
    let place = |exercise: &Exercise, quantity: Quantity, elements: &[usize]| {
        let parts = Parts::new(exercise);
        let length = if quantity == Quantity::Weight { exercise.parameters().weight.len() } else { 10 };
        let mut differences = vec![0.0; length];
        // No combination of the examples.
        elements.iter().for_each(|&i| differences[i] = 1.0 + i as f64 % 7.0);
        remainder::place(&parts, quantity, elements, &differences)
    };
    let few = place(&images, Quantity::Weight, &[3072 + 1024 + 33, 5]);
    assert_eq!(few, "class 1 automobile, green, row 1, column 1; class 0 airplane, red, row 0, column 5");
    assert_eq!(place(&small, Quantity::Weight, &[40 * 3 + 7]), "class 3, feature 7");
    let class: Vec<usize> = (3 * 3072..4 * 3072).collect();
    assert_eq!(place(&images, Quantity::Weight, &class), "all of class 3 cat");
    let half: Vec<usize> = (3 * 3072..3 * 3072 + 1024).collect();
    assert_eq!(place(&images, Quantity::Weight, &half), "class 3 cat, channel red");
    let row: Vec<usize> = (0..10).flat_map(|c| (0..32).map(move |x| c * 3072 + 2048 + 32 * 4 + x)).collect();
    assert_eq!(place(&images, Quantity::Weight, &row), "channel blue, row 4");
    let features: Vec<usize> = (0..10).flat_map(|c| (0..3).map(move |f| c * 40 + f)).collect();
    assert_eq!(place(&small, Quantity::Weight, &features), "feature 0–2");
    let all: Vec<usize> = (0..400).collect();
    assert_eq!(place(&small, Quantity::Weight, &all), "in every part");
    assert_eq!(place(&small, Quantity::Bias, &[0, 1, 2, 3, 4, 5]), "class 0, 1, 2, 3, 4, 5");
    assert_eq!(place(&small, Quantity::Loss, &[0]), "the number itself");
}

#[test]
fn random_biases_are_drawn_apart_from_the_weights() {
    for seed in [0, 1, 7] {
        let dims = Dims { features: 5, classes: 4 };
        let found = start(dims, seed);
        assert_eq!((found.dims, &found.weight), (dims, &random_start(dims, seed).weight));
        assert_eq!(found.bias.len(), 4);
        assert!(found.bias.iter().all(|b| *b != 0.0 && !found.weight.contains(b)), "{:?}", found.bias);
    }
    assert_ne!(start(Dims { features: 5, classes: 4 }, 1).bias, start(Dims { features: 5, classes: 4 }, 2).bias);
}

/// The problem of [`exercise`] with features `scale` times as large and weights that make up for it.
fn scaled(scale: f32, lambda: f64) -> Exercise {
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    let mut parameters = problem.parameters().clone();
    parameters.weight.iter_mut().for_each(|w| *w /= scale);
    let x = problem.x().iter().map(|x| x * scale).collect();
    let problem = Problem::new(x, problem.labels().to_vec(), parameters).unwrap();
    Exercise::of(&problem, lambda, Layout::Rows).unwrap()
}

#[test]
fn a_penalty_below_the_rounding_of_f32_hides_in_f32_alone() {
    let exercise = scaled(1000.0, 0.1);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    assert_eq!(referee.hidden(Quantity::Weight, false), None);
    let hidden = referee.hidden(Quantity::Weight, true).unwrap();
    assert!(hidden.mistakes.iter().all(|m| m.contains("penalty")), "{:?}", hidden.mistakes);
    assert!(hidden.mistakes.contains(&"missing penalty".to_owned()), "{:?}", hidden.mistakes);
    let largest = referee.right().dweight.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
    assert!(hidden.trace > 1e-6 && hidden.trace <= 1e-5 * largest, "{} {largest}", hidden.trace);
    // The mistakes have different names.
    let names: std::collections::BTreeSet<_> = hidden.mistakes.iter().collect();
    assert_eq!(names.len(), hidden.mistakes.len());
    // The same verdict on a submission.
    let mut submission = submission(&referee.parts, &[]);
    assert_eq!(referee.judge(&submission).unwrap()[0].verdict, Verdict::Agrees);
    submission[0].is_f32 = true;
    assert_eq!(referee.judge(&submission).unwrap()[0].verdict, Verdict::CannotTell);
}

#[test]
fn the_advised_lambda_shows_the_mistake_and_a_much_smaller_one_does_not() {
    for (scale, tolerance, is_f32) in
        [(100.0, 1e-6, true), (1000.0, 1e-6, true), (100.0, 1e-3, false), (10.0, 1e-3, false)]
    {
        let hidden = |lambda: f64| {
            let exercise = scaled(scale, lambda);
            let limits = Tolerance { tolerance, eps: 1.0 };
            Referee::new(&exercise, limits).unwrap().hidden(Quantity::Weight, is_f32)
        };
        for lambda in [1e-5, 1e-3] {
            let advice = hidden(lambda).unwrap().advice;
            let advised: f64 = advice.strip_prefix("--lambda ").unwrap_or_else(|| panic!("{advice}")).parse().unwrap();
            assert!(advised > 0.1, "{advised}");
            assert_eq!(hidden(advised), None, "{scale} {advised}");
            assert!(hidden(advised / 60.0).is_some(), "{scale} {advised}");
        }
    }
}

#[test]
fn what_neither_the_penalty_nor_the_bias_shows_needs_another_problem() {
    // Each class once, with the same features: moved labels have the same sums.
    let random = Problem::random(Dims { features: 6, classes: 4 }, 1, 5);
    let x = random.x().repeat(4);
    let of = |layout, change: &dyn Fn(&mut Parameters)| {
        let mut parameters = random.parameters().clone();
        change(&mut parameters);
        let problem = Problem::new(x.clone(), vec![0, 1, 2, 3], parameters).unwrap();
        let exercise = Exercise::of(&problem, 0.1, layout).unwrap();
        Referee::new(&exercise, Tolerance::default()).unwrap().hidden(Quantity::Weight, false).unwrap()
    };
    for layout in [Layout::Rows, Layout::Cs231n] {
        let hidden = of(layout, &|_| {});
        assert!(hidden.mistakes.iter().all(|m| m.starts_with("labels off by one")), "{:?}", hidden.mistakes);
        assert_eq!((hidden.mistakes.len(), &hidden.advice[..]), (2, "other parameters or more examples"));
        let hidden = of(layout, &|p| p.bias.fill(0.0));
        let expected =
            if layout == Layout::Rows { "a bias that is not 0" } else { "other parameters or more examples" };
        assert_eq!(hidden.advice, expected);
    }
    // Without a bias, a larger λ shows a penalty all the same.
    let problem = Problem::random(Dims { features: 40, classes: 10 }, 20, 5);
    let parameters = Parameters { bias: vec![0.0; 10], ..problem.parameters().clone() };
    let problem = Problem::new(problem.x().into(), problem.labels().into(), parameters).unwrap();
    let exercise = Exercise::of(&problem, 1e-9, Layout::Rows).unwrap();
    let hidden = Referee::new(&exercise, Tolerance::default()).unwrap().hidden(Quantity::Weight, false).unwrap();
    assert_eq!(hidden.advice, "--lambda 0.1");
}

#[test]
fn a_submission_must_have_the_shape_of_the_problem() {
    let exercise = exercise(0.1);
    let referee = Referee::new(&exercise, Tolerance::default()).unwrap();
    for (i, shape) in [(0, "grad_W must have the shape (10, 40)"), (1, "grad_b must have the shape (10)")] {
        let mut submission = submission(&referee.parts, &[]);
        submission[i].values.pop();
        let message = referee.judge(&submission).unwrap_err().to_string();
        assert!(message.starts_with(shape), "{message}");
    }
    assert!(referee.judge(&Submission::new()).unwrap().is_empty());
    assert_eq!(referee.exercise(), &exercise);
}

#[test]
fn an_explained_difference_leaves_rounding_and_has_no_other_place() {
    let exercise = exercise(0.1);
    let parts = Parts::new(&exercise);
    let half = Mistake::Factor(factor::Term::Penalty, factor::Factor::of(factor::Step::Half, &exercise));
    let wrong = parts.with(&[half]);
    let found = findings(&exercise, |d| *d = wrong.clone());
    assert_eq!(
        found.iter().map(|f| f.verdict).collect::<Vec<_>>(),
        [Verdict::Differs, Verdict::Agrees, Verdict::Agrees, Verdict::Differs]
    );
    for finding in [&found[0], &found[3]] {
        assert_eq!((finding.explanations.len(), finding.remainder.as_ref()), (1, None), "{finding:?}");
        assert!(finding.left.unwrap() < 1e-12 && !finding.is_rounding, "{finding:?}");
    }
    assert_eq!((found[1].left, found[2].left), (None, None));
}

#[test]
fn rounding_is_only_rounding_if_nothing_else_differs() {
    let exercise = exercise(0.1);
    let round = |d: &mut Derivatives| {
        d.dweight.iter_mut().enumerate().for_each(|(i, g)| *g *= 1.0 + if i % 2 == 0 { 4e-6 } else { -3e-6 });
    };
    let found = findings(&exercise, round);
    assert!(found[0].is_rounding && found[0].verdict == Verdict::Differs && found[0].remainder.is_none(), "{found:?}");
    let found = findings(&exercise, |d| {
        round(d);
        d.dbias[3] += 0.5;
    });
    assert!(found.iter().all(|finding| !finding.is_rounding), "{found:?}");
}

#[test]
fn of_equally_simple_explanations_the_one_that_the_others_share_is_likeliest() {
    let [a, b, c] = [Mistake::PenaltyInLoss, Mistake::BiasCollapsed, Mistake::NotSquared];
    let of = |mistakes: &[&Mistake]| -> Explanation { mistakes.iter().map(|&m| m.clone()).collect() };
    let most = |explanations: &[Explanation], all: &[Vec<Explanation>]| -> Vec<Explanation> {
        shared_most(explanations, all).cloned().collect()
    };
    let either = vec![of(&[&a]), of(&[&b]), of(&[&c])];
    assert_eq!(most(&either, std::slice::from_ref(&either)), either);
    assert_eq!(most(&either, &[either.clone(), vec![of(&[&c, &b])]]), [of(&[&b]), of(&[&c])]);
    assert_eq!(most(&either, &[either.clone(), vec![of(&[&b])], vec![of(&[&a])], vec![of(&[&a])]]), [of(&[&a])]);
    // Twice in one quantity is once.
    let all = [either.clone(), vec![of(&[&a]), of(&[&a, &c])], vec![of(&[&b])], vec![of(&[&b])]];
    assert_eq!(most(&either, &all), [of(&[&b])]);
    assert_eq!(most(&[], &all), Vec::<Explanation>::new());
}
