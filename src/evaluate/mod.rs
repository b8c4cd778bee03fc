//! How well parameters do on a whole split: the scores, and which classes are taken for which.

pub mod classes;
pub mod confusion;
pub mod predictions;

use crate::dataset::Dataset;
use crate::dataset::normalizer::Normalizer;
use crate::error::Result;
use crate::hyperparameters::Loss;
use crate::network::{Examples, Group, Parameters};

/// The scores of one setting's parameters on one split.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scores {
    /// Mean loss, in nats, without the penalty.
    pub loss: f64,
    /// loss + λ · Σ weight².
    pub cost: f64,
    /// The fraction of examples whose largest logit is that of their class; of equal logits the first counts.
    pub accuracy: f64,
}

impl Scores {
    /// Whether the three are numbers.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && self.cost.is_finite()
    }
}

/// The scores of `parameters`, which minimise `loss`, on `dataset`, the penalty weighted with `lambda`.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when features or classes differ between the arguments, or `dataset` is empty;
/// [`Error::NonFinite`](crate::Error::NonFinite) when a parameter is.
pub fn evaluate(
    parameters: &Parameters,
    loss: Loss,
    lambda: f64,
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Scores> {
    parameters.check_finite()?;
    let group = Group::new(std::slice::from_ref(parameters))?.with_losses(&[loss])?;
    Ok(evaluate_group(&group, &[lambda], dataset, normalizer)?[0])
}

/// The scores of each member of `group` on `dataset`, from one pass over it; `lambdas` has a λ a member.
pub(crate) fn evaluate_group(
    group: &Group,
    lambdas: &[f64],
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Vec<Scores>> {
    let n = dataset.len() as f64;
    let totals = group.evaluate(Examples::All(dataset, normalizer))?;
    let scores = totals.iter().zip(lambdas).enumerate();
    Ok(scores
        .map(|(j, (total, lambda))| {
            let loss = total.loss / n;
            Scores { loss, cost: loss + lambda * group.member(j).squared_norm(), accuracy: total.correct as f64 / n }
        })
        .collect())
}

/// The number of equal parts that the probabilities from 0 to 1 are counted in.
const BINS: usize = 20;

/// How probable the true class of each example was found, counted in equal parts from 0 to 1; 1 is in the last part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProbabilityHistogram {
    /// The examples that were classified rightly.
    pub right: [usize; BINS],
    /// The examples that were classified wrongly.
    pub wrong: [usize; BINS],
}

/// The histogram of `parameters` on `dataset`, the probabilities being those of `loss`.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn probability_histogram(
    parameters: &Parameters,
    loss: Loss,
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<ProbabilityHistogram> {
    let group = Group::new(std::slice::from_ref(parameters))?.with_losses(&[loss])?;
    let examples = Examples::All(dataset, normalizer);
    let probabilities = group.probabilities(examples)?;
    // Not the largest probability: two of them can be 1 to the last bit, where the logits differ.
    let predictions = group.predict(examples)?;
    let mut histogram = ProbabilityHistogram::default();
    let rows = probabilities.chunks_exact(dataset.dims().classes);
    for ((row, prediction), &label) in rows.zip(predictions).zip(dataset.labels()) {
        let bin = (f64::from(row[usize::from(label)]) * BINS as f64) as usize;
        let counts = match prediction == label {
            true => &mut histogram.right,
            false => &mut histogram.wrong,
        };
        counts[bin.min(BINS - 1)] += 1;
    }
    Ok(histogram)
}

/// Which classes are taken for which: a confusion matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// (k,k), row-major: a row a true class, a column a predicted one.
    counts: Vec<usize>,
}

impl Confusion {
    /// Counts pairs of a true and a predicted class, each below `classes` (k).
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

    /// Takes the counts themselves, (k,k), row-major: a row a true class, a column a predicted one.
    ///
    /// # Panics
    ///
    /// If there are not `classes`² counts.
    pub fn from_counts(classes: usize, counts: Vec<usize>) -> Self {
        assert_eq!(counts.len(), classes * classes);
        Self { classes, counts }
    }

    /// The number of classes, k.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How many examples of class `truth` were taken for `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> usize {
        self.counts[truth * self.classes + predicted]
    }

    /// How many examples of class `truth` there are.
    pub fn examples(&self, truth: usize) -> usize {
        (0..self.classes).map(|p| self.count(truth, p)).sum()
    }

    /// How many examples were taken for `predicted`.
    pub fn predictions(&self, predicted: usize) -> usize {
        (0..self.classes).map(|t| self.count(t, predicted)).sum()
    }

    /// The fraction of the examples of `class` that were taken for it: its recall, or accuracy. `None` without examples.
    pub fn recall(&self, class: usize) -> Option<f64> {
        fraction(self.count(class, class), self.examples(class))
    }

    /// The fraction of what was taken for `class` that is of it. `None` when nothing was.
    pub fn precision(&self, class: usize) -> Option<f64> {
        fraction(self.count(class, class), self.predictions(class))
    }

    /// The fraction of all examples that were taken for what they are. `None` without examples.
    pub fn accuracy(&self) -> Option<f64> {
        let correct = (0..self.classes).map(|c| self.count(c, c)).sum();
        fraction(correct, self.counts.iter().sum())
    }
}

fn fraction(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The confusion matrix of `parameters` on `dataset`; of equally probable classes the first is predicted.
///
/// # Errors
///
/// Those of [`evaluate`].
pub fn confusion(parameters: &Parameters, dataset: &Dataset, normalizer: &Normalizer) -> Result<Confusion> {
    let group = Group::new(std::slice::from_ref(parameters))?;
    let predicted = group.predict(Examples::All(dataset, normalizer))?;
    let pairs = dataset.labels().iter().zip(predicted);
    Ok(Confusion::new(dataset.dims().classes, pairs.map(|(&truth, predicted)| (truth.into(), predicted.into()))))
}

/// What a model says of one example.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// The example's place in its split.
    pub index: usize,
    /// Its class.
    pub label: u8,
    /// The class with the largest logit; of equal logits the first.
    pub class: u8,
    /// The probability that the model gives `class`.
    pub probability: f32,
}

impl Prediction {
    /// Whether the example is of the class that the model finds most probable.
    pub fn is_right(&self) -> bool {
        self.class == self.label
    }
}

/// The probability that `parameters`, which minimise `loss`, give each class for each example of `dataset`, (n,k).
///
/// Those of a softmax add up to 1; those of sigmoids are each on their own.
///
/// # Errors
///
/// [`Error::Shape`](crate::Error::Shape) when features or classes differ between the arguments.
pub fn probabilities(
    parameters: &Parameters,
    loss: Loss,
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Vec<f32>> {
    let group = Group::new(std::slice::from_ref(parameters))?.with_losses(&[loss])?;
    group.probabilities(Examples::All(dataset, normalizer))
}

/// What `parameters`, which minimise `loss`, say of each example of `dataset`, in its order.
///
/// # Errors
///
/// As [`probabilities`].
pub fn predict(
    parameters: &Parameters,
    loss: Loss,
    dataset: &Dataset,
    normalizer: &Normalizer,
) -> Result<Vec<Prediction>> {
    let group = Group::new(std::slice::from_ref(parameters))?;
    let classes = group.predict(Examples::All(dataset, normalizer))?;
    let probabilities = probabilities(parameters, loss, dataset, normalizer)?;
    let rows = probabilities.chunks_exact(parameters.dims.classes);
    let examples = dataset.labels().iter().zip(classes).zip(rows).enumerate();
    let prediction = |(index, ((&label, class), row)): (usize, ((&u8, u8), &[f32]))| Prediction {
        index,
        label,
        class,
        probability: row[usize::from(class)],
    };
    Ok(examples.map(prediction).collect())
}

/// The `count` predictions with the highest probability among those that are `right`, or among those that are not, the
/// surest first; of equally sure ones the first in the split.
pub fn most_confident(predictions: &[Prediction], right: bool, count: usize) -> Vec<Prediction> {
    let chosen = predictions.iter().filter(|p| p.is_right() == right);
    let mut chosen: Vec<_> = chosen.copied().collect();
    chosen.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    chosen.truncate(count);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Dims;

    /// One feature, whose normalised values are those of the pixels; two classes with the logits (0, x).
    fn histogram(loss: Loss, pixels: &[u8], labels: &[u8]) -> ProbabilityHistogram {
        let dims = Dims { features: 1, classes: 2 };
        let dataset = Dataset::new(dims, pixels.to_vec(), labels.to_vec()).unwrap();
        let normalizer = Normalizer::new(vec![0.0], vec![1.0 / 255.0]).unwrap();
        let parameters = Parameters::new(dims, vec![0.0, 1.0], vec![0.0; 2]).unwrap();
        probability_histogram(&parameters, loss, &dataset, &normalizer).unwrap()
    }

    #[test]
    fn the_probability_of_the_true_class_is_counted_as_right_or_wrong() {
        // softmax (0, 2) = (0.12, 0.88) and (0, 0) = (0.5, 0.5), where the first class is the prediction.
        let found = histogram(Loss::Softmax, &[2, 2, 0, 0], &[0, 1, 0, 1]);
        let mut expected = ProbabilityHistogram::default();
        expected.right[17] = 1;
        expected.right[10] = 1;
        expected.wrong[2] = 1;
        expected.wrong[10] = 1;
        assert_eq!(found, expected);
    }

    #[test]
    fn the_probability_of_sigmoids_is_that_of_the_true_class_alone() {
        // sigmoid(0) = 0.5 for the first class, whatever the second says; sigmoid(200) = 1 is in the last part.
        let found = histogram(Loss::Bce, &[2, 200], &[0, 1]);
        let mut expected = ProbabilityHistogram::default();
        expected.wrong[10] = 1;
        expected.right[19] = 1;
        assert_eq!(found, expected);
    }

    /// Two of three examples of class 0 are found, none of class 1, and class 2 has none.
    fn matrix() -> Confusion {
        Confusion::new(3, [(0, 0), (0, 0), (0, 1), (1, 0)])
    }

    #[test]
    fn a_pair_is_counted_in_the_row_of_its_truth_and_the_column_of_its_prediction() {
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
        assert_eq!(matrix.accuracy(), Some(4.0 / 6.0));
    }

    #[test]
    fn a_fraction_of_nothing_is_missing() {
        assert_eq!((matrix().recall(2), matrix().precision(2)), (None, None));
        assert_eq!(Confusion::new(2, []).accuracy(), None);
    }

    #[test]
    fn the_surest_come_first_and_of_equals_the_first() {
        let probabilities = [0.5, 1.0, 0.7, 1.0, 0.2, 0.9].into_iter().enumerate();
        let predictions = probabilities.map(|(index, probability)| Prediction {
            index,
            label: u8::from(index >= 4),
            class: 0,
            probability,
        });
        let all: Vec<_> = predictions.collect();
        let index = |right, count| -> Vec<_> {
            let found = most_confident(&all, right, count);
            found.iter().map(|p| (p.index, p.probability)).collect()
        };
        assert_eq!(index(true, 3), [(1, 1.0), (3, 1.0), (2, 0.7)]);
        assert_eq!(index(false, 9), [(5, 0.9), (4, 0.2)]);
    }
}
