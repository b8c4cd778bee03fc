//! The problem whose gradients are judged, in `f64`.

use super::Quantity;
use crate::dataset::Dataset;
use crate::dataset::cifar10::DIMS;
use crate::error::{Error, Result};
use crate::gradcheck::Problem;
use crate::gradcheck::reference::{Batch, Parameters64};
use crate::gradcheck::table::Location;
use crate::hyperparameters::{Loss, Setting};
use crate::shape::{Dims, check_finite, check_shape};
use crate::statistics::count;

/// How a course arranges the arrays of a problem of n examples, d features and k classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `x` (n,d), `W` (k,d), `b` (k): this program's own.
    Rows,
    /// `x` (d,n), `W` (k,d), `b` (k,1): each example is a column, as in KTH's DD2424.
    Columns,
    /// `x` (n,d+1), `W` (d+1,k): the last row of `W` is the bias, the last feature of each example is 1, and the penalty
    /// includes the bias, as in Stanford's CS231n.
    Cs231n,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 3] = [Self::Rows, Self::Columns, Self::Cs231n];

    /// Its name in options and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Columns => "columns",
            Self::Cs231n => "cs231n",
        }
    }

    /// The layout `name`.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|layout| layout.name() == name)
    }
}

/// A batch, the parameters at which its cost is differentiated, λ and the loss.
///
/// With [`Layout::Cs231n`] the bias is the last column of `weight`: d counts it, the last feature of each example is 1, and
/// `bias` is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Exercise {
    /// The normalised features, (n,d), row-major.
    x: Vec<f64>,
    /// The class of each of the n examples, each below k.
    labels: Vec<u8>,
    parameters: Parameters64,
    lambda: f64,
    loss: Loss,
    layout: Layout,
}

impl Exercise {
    /// Takes `x` (n·d), `labels` (n), `weight` (k,d) and `bias` (k), which [`Layout::Cs231n`] requires to be 0.
    ///
    /// # Errors
    ///
    /// [`Error::Shape`] if the sizes do not fit together, [`Error::InvalidValue`] if there is no example, a label is k or
    /// more, or λ is negative, infinite or NaN; [`Error::NonFinite`] if a number is NaN or infinite.
    pub fn new(
        x: Vec<f64>,
        labels: Vec<u8>,
        parameters: Parameters64,
        lambda: f64,
        loss: Loss,
        layout: Layout,
    ) -> Result<Self> {
        let Dims { features: d, classes: k } = parameters.dims;
        for (name, found) in [("number of features", d), ("number of classes", k)] {
            if found == 0 {
                return Err(Error::invalid(name, "1 or more", "0"));
            }
        }
        if labels.is_empty() {
            return Err(Error::invalid("number of examples", "1 or more", "0"));
        }
        check_shape("x", x.len(), &[labels.len(), d])?;
        check_shape("W", parameters.weight.len(), &[k, d])?;
        check_shape("b", parameters.bias.len(), &[k])?;
        if let Some(label) = labels.iter().find(|&&y| usize::from(y) >= k) {
            return Err(Error::invalid("label", format!("0 to {}", k - 1), label));
        }
        for (name, values) in [("x", &x), ("W", &parameters.weight), ("b", &parameters.bias)] {
            check_finite(name, values)?;
        }
        let lambda = Setting::new(lambda, Setting::REPORT[1].eta())?.lambda();
        Ok(Self { x, labels, parameters, lambda, loss, layout })
    }

    /// The same numbers as `problem`, in `f64`; with [`Layout::Cs231n`], the bias becomes a column of `weight`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if λ is negative, infinite or NaN.
    pub fn of(problem: &Problem, lambda: f64, layout: Layout) -> Result<Self> {
        let x = problem.x().iter().map(|&x| x.into()).collect();
        let mut parameters = Parameters64::of(problem);
        let exercise = |x, parameters| Self::new(x, problem.labels().into(), parameters, lambda, problem.loss, layout);
        if layout != Layout::Cs231n {
            return exercise(x, parameters);
        }
        let Dims { features: d, classes: k } = parameters.dims;
        let with_last = |rows: &[f64], last: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let row = |(i, row): (usize, &[f64])| [row, &[last(i)]].concat();
            rows.chunks(d).enumerate().flat_map(row).collect()
        };
        let bias = std::mem::replace(&mut parameters.bias, vec![0.0; k]);
        parameters.weight = with_last(&parameters.weight, &|c| bias[c]);
        parameters.dims.features += 1;
        exercise(with_last(&x, &|_| 1.0), parameters)
    }

    /// Number of features (with [`Layout::Cs231n`] one more than those of an image) and classes.
    pub fn dims(&self) -> Dims {
        self.parameters.dims
    }

    /// Number of examples n, at least 1.
    pub fn examples(&self) -> usize {
        self.labels.len()
    }

    /// The normalised features, (n,d), row-major.
    pub fn x(&self) -> &[f64] {
        &self.x
    }

    /// The class of each of the n examples.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The parameters at which the cost is differentiated.
    pub fn parameters(&self) -> &Parameters64 {
        &self.parameters
    }

    /// λ in cost = loss + λ · Σ weight².
    pub fn lambda(&self) -> f64 {
        self.lambda
    }

    /// The loss that is differentiated.
    pub fn loss(&self) -> Loss {
        self.loss
    }

    /// The arrangement of the arrays in its files.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The examples and the loss, for the reference.
    pub fn batch(&self) -> Batch<'_, f64> {
        Batch { x: &self.x, labels: &self.labels, loss: self.loss }
    }

    /// True if the features are the pixels of CIFAR-10, in the layout `Cs231n` followed by the 1 of the bias.
    pub fn is_of_images(&self) -> bool {
        let bias = usize::from(self.layout == Layout::Cs231n);
        self.dims().features == DIMS.features + bias && self.dims().classes == DIMS.classes
    }

    /// The location of an element of `quantity`.
    pub fn location(&self, quantity: Quantity, index: usize) -> Location {
        let Dims { features: d, .. } = self.dims();
        let (class, feature) = (index / d, index % d);
        match quantity {
            Quantity::Weight if self.is_of_images() && feature < DIMS.features => {
                Location::of_weight(class * DIMS.features + feature, DIMS)
            }
            Quantity::Weight => Location::of_weight(index, self.dims()),
            Quantity::Bias => Location::of_bias(index),
            Quantity::Loss | Quantity::Cost => Location::default(),
        }
    }

    /// `100 examples, 3072 features, 10 classes, softmax, λ = 0.1`.
    pub fn describe(&self) -> String {
        let Dims { features, classes } = self.dims();
        let [examples, features, classes] =
            [(self.examples(), "example"), (features, "feature"), (classes, "class")].map(|(n, noun)| count(n, noun));
        format!("{examples}, {features}, {classes}, {}, λ = {}", self.loss.title(), self.lambda)
    }
}

/// The first `count` indices of `order`, except that the first image of every class is included if there is room; of as
/// many images as classes, one class is missing, because otherwise no mistake in the labels would change `grad_b`.
pub fn with_all_classes(dataset: &Dataset, order: &[usize], count: usize) -> Vec<usize> {
    let class = |&i: &usize| dataset.labels()[i];
    let mut firsts: Vec<usize> = Vec::new();
    for i in order {
        if firsts.iter().all(|first| class(first) != class(i)) {
            firsts.push(*i);
        }
    }
    firsts.truncate(count);
    if count == DIMS.classes && firsts.len() == count {
        // If each class were there once, moved labels would have the same sums.
        firsts.pop();
    }
    let others = order.iter().filter(|i| !firsts.contains(i)).take(count - firsts.len());
    let chosen: Vec<usize> = firsts.iter().chain(others).copied().collect();
    order.iter().filter(|i| chosen.contains(i)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(features: usize, classes: usize, layout: Layout) -> Exercise {
        Exercise::of(&Problem::random(Dims { features, classes }, 2, 1), 0.1, layout).unwrap()
    }

    #[test]
    fn a_layout_is_read_by_its_name_alone() {
        assert_eq!(Layout::ALL.map(Layout::name), ["rows", "columns", "cs231n"]);
        for layout in Layout::ALL {
            assert_eq!(Layout::parse(layout.name()), Some(layout));
        }
        for name in ["", "row", "Rows", "rows ", "matlab"] {
            assert_eq!(Layout::parse(name), None, "{name:?}");
        }
    }

    #[test]
    fn with_the_bias_among_the_weights_each_row_ends_in_it_and_each_example_in_1() {
        let problem = Problem::random(Dims { features: 2, classes: 3 }, 2, 1);
        let wide = |values: &[f32]| values.iter().map(|&v| f64::from(v)).collect::<Vec<f64>>();
        let (x, weight, bias) =
            (wide(problem.x()), wide(&problem.parameters().weight), wide(&problem.parameters().bias));
        let found = Exercise::of(&problem, 0.1, Layout::Cs231n).unwrap();
        assert_eq!(found.x(), [x[0], x[1], 1.0, x[2], x[3], 1.0]);
        let rows = [weight[0], weight[1], bias[0], weight[2], weight[3], bias[1], weight[4], weight[5], bias[2]];
        assert_eq!(found.parameters().weight, rows);
        assert_eq!((found.dims(), &found.parameters().bias[..]), (Dims { features: 3, classes: 3 }, &[0.0; 3][..]));
        for layout in [Layout::Rows, Layout::Columns] {
            let found = Exercise::of(&problem, 0.1, layout).unwrap();
            assert_eq!((found.x(), &found.parameters().weight, &found.parameters().bias), (&x[..], &weight, &bias));
            assert_eq!((found.dims(), found.layout()), (problem.dims(), layout));
        }
        assert!(Exercise::of(&problem, f64::NAN, Layout::Cs231n).is_err());
    }

    #[test]
    fn features_are_pixels_if_there_are_as_many_as_in_an_image_and_ten_classes() {
        use Layout::{Columns, Cs231n, Rows};
        for (features, classes, layout, is) in [
            (3072, 10, Rows, true),
            (3072, 10, Columns, true),
            // The bias is one more.
            (3072, 10, Cs231n, true),
            (3071, 10, Cs231n, false),
            (3071, 10, Rows, false),
            (3073, 10, Rows, false),
            (3072, 9, Rows, false),
            (3, 10, Rows, false),
        ] {
            assert_eq!(of(features, classes, layout).is_of_images(), is, "{features} {classes} {layout:?}");
        }
    }

    #[test]
    fn the_bias_in_the_last_column_is_no_pixel() {
        let exercise = of(3072, 10, Layout::Cs231n);
        let at = |class: usize, feature: usize| exercise.location(Quantity::Weight, class * 3073 + feature);
        for (class, feature, channel, row, column) in
            [(0, 0, "red", 0, 0), (2, 1023, "red", 31, 31), (3, 1024, "green", 0, 0), (9, 3071, "blue", 31, 31)]
        {
            let expected = Location {
                class: Some(class),
                feature: Some(feature),
                channel: Some(channel.into()),
                row: Some(row),
                column: Some(column),
            };
            assert_eq!(at(class, feature), expected);
        }
        let bias = Location { class: Some(2), feature: Some(3072), ..Location::default() };
        assert_eq!(at(2, 3072), bias);
        // Without images, no feature is a pixel.
        let small = of(4, 3, Layout::Rows);
        let expected = Location { class: Some(2), feature: Some(3), ..Location::default() };
        assert_eq!(small.location(Quantity::Weight, 11), expected);
        assert_eq!(small.location(Quantity::Bias, 2), Location { class: Some(2), ..Location::default() });
        assert_eq!(small.location(Quantity::Loss, 0), Location::default());
    }

    #[test]
    fn an_exercise_is_described_by_its_sizes() {
        assert_eq!(of(1, 3, Layout::Rows).describe(), "2 examples, 1 feature, 3 classes, softmax, λ = 0.1");
    }
}
