//! Evaluation of models on a split: one pass over it yields the [`Outcomes`] of each model, and scores, confusion matrix,
//! probability histogram and predictions are made of them.

pub mod table;

use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::hyperparameters::Loss;
use crate::network::{Examples, Group, Parameters};

/// The results of one model for each of the n examples of a split, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcomes {
    /// (n): the true classes.
    pub labels: Vec<u8>,
    /// (n): the losses, in nats, without the penalty.
    pub losses: Vec<f32>,
    /// (n): the classes with the largest logit; of equal logits the first.
    pub predicted: Vec<u8>,
    /// (n,k), row-major: the probability of each class. Those of a softmax add up to 1; those of sigmoids need not.
    pub probabilities: Vec<f32>,
    /// k.
    classes: usize,
    /// Σ weight² of the model.
    squared_norm: f64,
}

/// Evaluates `models`, each with the loss that it was trained with, in one pass over `dataset`.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) if features or classes differ between the arguments;
/// [`Error::NonFinite`](crate::Error::NonFinite) if a parameter is.
pub fn outcomes(models: &[(&Parameters, Loss)], dataset: &Dataset, normalizer: &Normalizer) -> Result<Vec<Outcomes>> {
    if models.is_empty() {
        return Ok(Vec::new());
    }
    let (parameters, losses): (Vec<_>, Vec<_>) = models.iter().copied().unzip();
    parameters.iter().try_for_each(|parameters| parameters.check_finite())?;
    let group = Group::new(&parameters)?.with_losses(&losses)?;
    let (results, probabilities) = group.outcomes_and_probabilities(Examples::All(dataset, normalizer))?;
    let (m, classes) = (models.len(), group.dims().classes);
    let of_model = |(j, parameters): (usize, &&Parameters)| {
        let results = results.iter().skip(j).step_by(m);
        let probabilities = probabilities.chunks_exact(classes).skip(j).step_by(m);
        Outcomes {
            labels: dataset.labels().to_vec(),
            losses: results.clone().map(|result| result.loss).collect(),
            predicted: results.map(|result| result.class as u8).collect(),
            probabilities: probabilities.flatten().copied().collect(),
            classes,
            squared_norm: parameters.squared_norm(),
        }
    };
    Ok(parameters.iter().enumerate().map(of_model).collect())
}

impl Outcomes {
    /// The scores, with a penalty of weight `lambda` in the cost; NaN without examples.
    pub fn scores(&self, lambda: f64) -> Scores {
        let is_right = (0..self.labels.len()).map(|index| self.is_right(index));
        Scores::new(self.losses.iter().copied().zip(is_right), lambda * self.squared_norm)
    }

    /// The confusion matrix.
    pub fn confusion(&self) -> Confusion {
        let pairs = self.labels.iter().zip(&self.predicted);
        Confusion::new(self.classes, pairs.map(|(&truth, &predicted)| (truth.into(), predicted.into())))
    }

    /// The indices of the `count` examples whose predicted class has the highest probability, the highest first (of equal
    /// ones the first in the split), among the examples that are classified correctly, if `right`, or among the others.
    pub fn most_confident(&self, right: bool, count: usize) -> Vec<usize> {
        let mut chosen: Vec<_> = (0..self.labels.len()).filter(|&index| self.is_right(index) == right).collect();
        chosen.sort_by(|&a, &b| self.confidence(b).total_cmp(&self.confidence(a)));
        chosen.truncate(count);
        chosen
    }

    /// The probability of the class that is predicted for example `index`.
    pub fn confidence(&self, index: usize) -> f32 {
        self.probability(index, self.predicted[index])
    }

    fn probability(&self, index: usize, class: u8) -> f32 {
        self.probabilities[index * self.classes + usize::from(class)]
    }

    /// True if example `index` is classified correctly. The largest probability cannot tell: two can be equal to the last
    /// bit where the logits differ.
    fn is_right(&self, index: usize) -> bool {
        self.predicted[index] == self.labels[index]
    }
}

/// The scores of one model on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean loss, in nats, without the penalty.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// Fraction of the examples that are classified correctly.
    pub accuracy: f64,
}

impl Scores {
    /// The scores from the loss of each example, true if it is classified correctly, and the penalty.
    fn new(examples: impl Iterator<Item = (f32, bool)>, penalty: f64) -> Self {
        let (mut n, mut sum, mut correct) = (0.0, 0.0, 0.0);
        for (loss, is_right) in examples {
            n += 1.0;
            sum += f64::from(loss);
            correct += f64::from(u8::from(is_right));
        }
        let loss = sum / n;
        Self { loss, cost: loss + penalty, accuracy: correct / n }
    }

    /// True if loss and cost are finite numbers.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.cost.is_finite()
    }
}

/// The scores of each member of `group` on `dataset`, member j with a penalty of weight `lambdas[j]`: the same numbers
/// as [`Outcomes::scores`], without keeping the outcomes; [`Error::Interrupted`](crate::Error::Interrupted) if `stop` becomes true
/// meanwhile.
pub(crate) fn evaluate_group(
    group: &Group,
    lambdas: &[f64],
    dataset: &Dataset,
    normalizer: &Normalizer,
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Scores>> {
    let outcomes = group.outcomes_unless(Examples::All(dataset, normalizer), stop)?;
    let of_member = |(j, lambda)| {
        let examples = outcomes.iter().skip(j).step_by(group.len()).zip(dataset.labels());
        let results = examples.map(|(outcome, &label)| (outcome.loss, outcome.class == u32::from(label)));
        Scores::new(results, lambda * group.squared_norm(j))
    };
    Ok(lambdas.iter().enumerate().map(of_member).collect())
}

/// A confusion matrix: how many examples of each class were predicted as each class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// (k,k), row-major: one row per true class, one column per predicted class.
    counts: Vec<usize>,
}

impl Confusion {
    /// Counts pairs of a true and a predicted class of `classes` (k).
    ///
    /// # Panics
    ///
    /// If a class is not below `classes`.
    pub fn new(classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![0; classes * classes];
        for (truth, predicted) in pairs {
            assert!(truth < classes && predicted < classes);
            counts[truth * classes + predicted] += 1;
        }
        Self { classes, counts }
    }

    /// The matrix with these `counts`, (k,k), row-major: one row per true class, one column per predicted class.
    ///
    /// # Panics
    ///
    /// If there are not `classes`² counts.
    pub fn from_counts(classes: usize, counts: Vec<usize>) -> Self {
        assert_eq!(counts.len(), classes * classes);
        Self { classes, counts }
    }

    /// The counts, (k,k), row-major: one row per true class, one column per predicted class.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// Number of examples of class `truth` that were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> usize {
        self.counts[truth * self.classes + predicted]
    }

    /// Number of examples of class `truth`.
    pub fn examples(&self, truth: usize) -> usize {
        (0..self.classes).map(|p| self.count(truth, p)).sum()
    }

    /// Number of examples that were predicted as `predicted`.
    pub fn predictions(&self, predicted: usize) -> usize {
        (0..self.classes).map(|t| self.count(t, predicted)).sum()
    }

    /// The fraction of the examples of class `truth` that were predicted as `predicted`; `None` without examples.
    pub fn share(&self, truth: usize, predicted: usize) -> Option<f64> {
        fraction(self.count(truth, predicted), self.examples(truth))
    }

    /// Number of all examples that were predicted correctly.
    pub fn correct(&self) -> usize {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Fraction of all examples that were predicted correctly; `None` without examples.
    pub fn accuracy(&self) -> Option<f64> {
        fraction(self.correct(), self.counts.iter().sum())
    }

    /// Fraction of the examples of `class` that were predicted as `class`; `None` without examples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        self.share(class, class)
    }

    /// Fraction of the predictions of `class` that are correct; `None` without predictions.
    pub fn precision(&self, class: usize) -> Option<f64> {
        fraction(self.count(class, class), self.predictions(class))
    }
}

fn fraction(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::table::probability_rows;
    use super::*;
    use crate::shape::Dims;

    /// One feature, whose normalised values are those of the pixels; two classes with the logits (0, x).
    ///
    /// Returns the bin, the right and the wrong examples of each row that is not empty.
    fn histogram(loss: Loss, pixels: &[u8], labels: &[u8]) -> Vec<(usize, usize, usize)> {
        let dims = Dims { features: 1, classes: 2 };
        let dataset = Dataset::new(dims, pixels.to_vec(), labels.to_vec()).unwrap();
        let normalizer = Normalizer::new(vec![0.0], vec![1.0 / 255.0]).unwrap();
        let parameters = Parameters::new(dims, vec![0.0, 1.0], vec![0.0; 2]).unwrap();
        let rows = probability_rows(&outcomes(&[(&parameters, loss)], &dataset, &normalizer).unwrap()[0]);
        assert_eq!(rows.len(), 20);
        let bins = rows.iter().enumerate().map(|(bin, row)| (bin, row.right, row.wrong));
        bins.filter(|&(_, right, wrong)| right + wrong > 0).collect()
    }

    #[test]
    fn the_probability_of_the_true_class_is_counted_as_right_or_wrong() {
        // softmax (0, 2) = (0.12, 0.88) and (0, 0) = (0.5, 0.5), where the first class is predicted.
        let found = histogram(Loss::Softmax, &[2, 2, 0, 0], &[0, 1, 0, 1]);
        assert_eq!(found, [(2, 0, 1), (10, 1, 1), (17, 1, 0)]);
    }

    #[test]
    fn the_probability_of_sigmoids_is_that_of_the_true_class_alone() {
        // sigmoid(0) = 0.5 for the first class, whatever the second is; sigmoid(200) = 1 is in the last bin.
        let found = histogram(Loss::Bce, &[2, 200], &[0, 1]);
        assert_eq!(found, [(10, 0, 1), (19, 1, 0)]);
    }

    #[test]
    fn outcomes_in_one_pass_are_those_of_each_model_alone_and_score_as_a_group_does() {
        let dims = Dims { features: 2, classes: 3 };
        let pixels = (0..40).map(|i| (i * 37 % 256) as u8).collect();
        let dataset = Dataset::new(dims, pixels, (0..20).map(|i| i % 3).collect()).unwrap();
        let normalizer = Normalizer::fit(&dataset).unwrap();
        let model = |w: f32| Parameters::new(dims, vec![w, 0.3, -w, 0.1, 0.2, w], vec![0.0, 0.1, w]).unwrap();
        let models = [model(0.5), model(-0.25), model(0.75)];
        let pairs: Vec<_> = models.iter().zip([Loss::Softmax, Loss::Bce, Loss::Softmax]).collect();
        let found = outcomes(&pairs, &dataset, &normalizer).unwrap();
        let group = Group::new(&models).unwrap().with_losses(&[Loss::Softmax, Loss::Bce, Loss::Softmax]).unwrap();
        let scores = evaluate_group(&group, &[0.0, 0.1, 1.0], &dataset, &normalizer, &|| false).unwrap();
        for (j, lambda) in [0.0, 0.1, 1.0].into_iter().enumerate() {
            assert_eq!(found[j], outcomes(&pairs[j..=j], &dataset, &normalizer).unwrap()[0]);
            assert_eq!(found[j].scores(lambda), scores[j]);
            let correct: usize = found[j].confusion().counts().iter().step_by(4).sum();
            assert_eq!(correct as f64 / 20.0, scores[j].accuracy);
        }
        assert_ne!(found[0].predicted, found[1].predicted, "two models differ");
        assert_eq!(outcomes(&[], &dataset, &normalizer).unwrap(), []);
    }

    /// Two of three examples of class 0 are classified correctly, none of class 1, and class 2 has no examples.
    fn matrix() -> Confusion {
        Confusion::new(3, [(0, 0), (0, 0), (0, 1), (1, 0)])
    }

    #[test]
    fn a_pair_is_counted_in_the_row_of_its_true_class_and_the_column_of_the_predicted_one() {
        let counts = vec![2, 1, 0, 1, 0, 0, 0, 0, 0];
        assert_eq!(matrix(), Confusion::from_counts(3, counts));
        assert_eq!((matrix().count(0, 1), matrix().count(1, 0)), (1, 1));
        assert_eq!((matrix().examples(0), matrix().predictions(1)), (3, 1));
    }

    #[test]
    fn recall_is_of_the_examples_and_precision_of_the_predictions() {
        let matrix = Confusion::new(2, [(0, 0), (0, 0), (0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!((matrix.recall(0), matrix.precision(0)), (Some(0.75), Some(0.75)));
        assert_eq!((matrix.recall(1), matrix.precision(1)), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn a_fraction_of_nothing_is_missing() {
        assert_eq!((matrix().recall(2), matrix().precision(2)), (None, None));
    }

    #[test]
    fn the_most_confident_come_first_and_of_equals_the_first() {
        let probabilities = [0.5, 1.0, 0.7, 1.0, 0.2, 0.9];
        let outcomes = Outcomes {
            labels: vec![0, 0, 0, 0, 1, 1],
            losses: vec![0.0; 6],
            predicted: vec![0; 6],
            probabilities: probabilities.iter().flat_map(|&p| [p, 0.0]).collect(),
            classes: 2,
            squared_norm: 0.0,
        };
        assert_eq!(outcomes.most_confident(true, 3), [1, 3, 2]);
        assert_eq!(outcomes.most_confident(false, 9), [5, 4]);
        assert_eq!([5, 4].map(|index| outcomes.confidence(index)), [0.9, 0.2]);
    }

    #[test]
    fn shares_are_of_the_examples_of_a_class_and_the_accuracy_is_of_all() {
        let matrix = Confusion::from_counts(3, vec![6, 2, 0, 1, 4, 0, 0, 0, 0]);
        assert_eq!((matrix.share(0, 0), matrix.share(0, 1), matrix.share(0, 2)), (Some(0.75), Some(0.25), Some(0.0)));
        assert_eq!((matrix.share(1, 0), matrix.share(1, 1), matrix.share(2, 0)), (Some(0.2), Some(0.8), None));
        assert_eq!((matrix.recall(1), matrix.precision(1)), (Some(0.8), Some(4.0 / 6.0)));
        assert_eq!((matrix.correct(), matrix.accuracy()), (10, Some(10.0 / 13.0)));
        assert_eq!(matrix.counts(), [6, 2, 0, 1, 4, 0, 0, 0, 0]);
        let empty = Confusion::new(3, []);
        assert_eq!((empty.correct(), empty.accuracy(), empty.counts()), (0, None, &[0; 9][..]));
    }

    #[test]
    #[should_panic(expected = "truth < classes && predicted < classes")]
    fn a_class_beyond_the_last_is_not_counted() {
        Confusion::new(3, [(0, 3)]);
    }

    #[test]
    #[should_panic(expected = "assertion `left == right` failed")]
    fn a_matrix_has_a_count_for_each_pair() {
        Confusion::from_counts(3, vec![0; 8]);
    }

    #[test]
    fn scores_are_means_over_the_examples_and_the_cost_has_the_penalty() {
        let outcomes = Outcomes {
            labels: vec![0, 1, 1, 0],
            losses: vec![1.0, 2.0, 0.5, 0.5],
            predicted: vec![0, 1, 0, 0],
            probabilities: vec![0.5; 8],
            classes: 2,
            squared_norm: 6.0,
        };
        assert_eq!(outcomes.scores(0.5), Scores { loss: 1.0, cost: 4.0, accuracy: 0.75 });
        assert_eq!(outcomes.scores(0.0).cost, 1.0);
        assert_eq!(outcomes.confusion(), Confusion::from_counts(2, vec![2, 0, 1, 1]));
        let none = Outcomes { labels: Vec::new(), losses: Vec::new(), predicted: Vec::new(), ..outcomes };
        let scores = none.scores(0.5);
        assert!(scores.loss.is_nan() && scores.accuracy.is_nan() && !scores.is_finite());
    }

    #[test]
    fn scores_are_finite_if_both_loss_and_cost_are() {
        let is_finite = |loss, cost| Scores { loss, cost, accuracy: 0.5 }.is_finite();
        assert!(is_finite(1.0, 2.0));
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(!is_finite(value, 2.0) && !is_finite(1.0, value), "{value}");
        }
    }

    #[test]
    fn parameters_that_are_not_finite_have_no_outcomes_and_an_evaluation_can_be_stopped() {
        let dims = Dims { features: 1, classes: 2 };
        let dataset = Dataset::new(dims, vec![1, 2, 3], vec![0, 1, 0]).unwrap();
        let normalizer = Normalizer::new(vec![0.0], vec![1.0]).unwrap();
        let good = Parameters::zeros(dims);
        let mut bad = good.clone();
        bad.bias[1] = f32::NAN;
        let pair = |parameters| (parameters, Loss::Softmax);
        let error = outcomes(&[pair(&good), pair(&bad)], &dataset, &normalizer).unwrap_err();
        assert_eq!(error.to_string(), "bias must be finite, but element 1 is NaN");
        let group = Group::new(&[&good]).unwrap();
        let stopped = evaluate_group(&group, &[0.0], &dataset, &normalizer, &|| true);
        assert!(matches!(stopped, Err(crate::Error::Interrupted)));
        let scores = evaluate_group(&group, &[0.0], &dataset, &normalizer, &|| false).unwrap();
        // Class 0 is the first of equals, and two of three examples are of it.
        assert_eq!((scores.len(), scores[0].accuracy), (1, 2.0 / 3.0));
    }
}
