//! Audits of small trainings by a script that is written as a student would write it: plain loops in `f64`, independent of the
//! library but for the drawn numbers.

use rayon::prelude::*;

use super::*;
use crate::dataset::Dataset;
use crate::dataset::cifar10::{DIMS, PLANE, SIDE};
use crate::dataset::tests::few;
use crate::hyperparameters::{Hyperparameters, Setting};
use crate::train::Orders;

const K: usize = DIMS.classes;
const D: usize = DIMS.features;

/// Images as a script holds them.
struct Images {
    /// (n,d), row-major.
    x: Vec<f64>,
    y: Vec<usize>,
}

impl Images {
    fn image(&self, i: usize) -> &[f64] {
        &self.x[D * i..D * (i + 1)]
    }
}

/// A training script, which may have a mistake.
#[derive(Clone, Copy)]
struct Script {
    mistake: Option<Mistake>,
    lambda: f64,
    eta: f64,
    shuffle: Shuffle,
    drawn_transposed: bool,
}

const EPOCHS: usize = 4;
const BATCH: usize = 25;
const SEED: u64 = 3;

const RIGHT: Script =
    Script { mistake: None, lambda: 0.1, eta: 0.002, shuffle: Shuffle::NumpyPermutation, drawn_transposed: false };

/// Parameters in `f64`.
#[derive(Clone)]
struct Model {
    w: Vec<f64>,
    b: Vec<f64>,
}

impl Model {
    /// ln p of the logits of an image.
    fn log_probabilities(&self, x: &[f64]) -> Vec<f64> {
        let logit = |c: usize| self.b[c] + x.iter().zip(&self.w[D * c..]).map(|(x, w)| x * w).sum::<f64>();
        let logits: Vec<f64> = (0..K).map(logit).collect();
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| (l - most).exp()).sum();
        logits.iter().map(|l| l - most - sum.ln()).collect()
    }

    /// The mean loss and the accuracy on `images` of these numbers, each with the label of the same place in `labels`.
    fn scores(&self, images: &Images, chosen: &[usize], labels: &[usize]) -> (f64, f64) {
        let (mut loss, mut right) = (0.0, 0.0);
        for (&i, &label) in chosen.iter().zip(labels) {
            let log_p = self.log_probabilities(images.image(i));
            loss -= log_p[label];
            let is_best = log_p.iter().enumerate().all(|(c, &p)| p < log_p[label] || c == label);
            right += f64::from(u8::from(is_best));
        }
        (loss / chosen.len() as f64, right / chosen.len() as f64)
    }
}

impl Script {
    fn with(self, mistake: Mistake) -> Self {
        Self { mistake: Some(mistake), ..self }
    }

    fn has(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    fn reads(&self, reading: Reading) -> bool {
        self.has(Mistake::Recorded(reading))
    }

    /// The pixels of `split` from 0 to 1, or to 255.
    fn pixels(&self, split: &Dataset) -> Vec<f64> {
        let scale = if self.has(Mistake::Normalisation(Normalisation::Raw)) { 1.0 } else { 255.0 };
        let at = |channel: usize, row: usize, column: usize| channel * PLANE + row * SIDE + column;
        let places: Vec<usize> = match self.mistake {
            Some(Mistake::Pixels(PixelOrder::Interleaved)) => {
                (0..D).map(|j| at(j % 3, j / 3 / SIDE, j / 3 % SIDE)).collect()
            }
            Some(Mistake::Pixels(PixelOrder::Transposed)) => {
                (0..D).map(|j| at(j / PLANE, j % SIDE, j % PLANE / SIDE)).collect()
            }
            _ => (0..D).collect(),
        };
        let of = |i| places.iter().map(move |&j| f64::from(split.image(i)[j]) / scale).collect::<Vec<_>>();
        (0..split.len()).flat_map(of).collect()
    }

    /// The mean and the standard deviation of each feature.
    fn statistics(&self, split: &Dataset) -> (Vec<f64>, Vec<f64>) {
        let x = self.pixels(split);
        let over = |values: &mut dyn Iterator<Item = f64>, less: f64| {
            let values: Vec<f64> = values.collect();
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            (mean, (squares / (values.len() as f64 - less)).sqrt())
        };
        let feature = |j: usize, less| over(&mut x.iter().skip(j).step_by(D).copied(), less);
        let channel = |c: usize| over(&mut x.chunks(PLANE).skip(c).step_by(3).flatten().copied(), 0.0);
        let each = |less| (0..D).map(|j| feature(j, less)).unzip();
        match self.mistake {
            Some(Mistake::Normalisation(normalisation)) => match normalisation {
                Normalisation::None | Normalisation::Raw => (vec![0.0; D], vec![1.0; D]),
                Normalisation::SampleStd => each(1.0),
                Normalisation::MeanOnly => (each(0.0).0, vec![1.0; D]),
                Normalisation::AllPixels => {
                    let (mean, std) = over(&mut x.iter().copied(), 0.0);
                    (vec![mean; D], vec![std; D])
                }
                Normalisation::PerChannel => {
                    let channels = [0, 1, 2].map(channel);
                    (0..D).map(|j| channels[j / PLANE]).unzip()
                }
            },
            _ => each(0.0),
        }
    }

    fn images(&self, split: &Dataset, (mean, std): &(Vec<f64>, Vec<f64>)) -> Images {
        let pixels = self.pixels(split).into_iter().enumerate();
        Images {
            x: pixels.map(|(i, pixel)| (pixel - mean[i % D]) / std[i % D]).collect(),
            y: split.labels().iter().map(|&y| y.into()).collect(),
        }
    }

    fn rate(&self, epoch: usize) -> f64 {
        let done = (epoch - 1) as f64;
        match self.mistake {
            Some(Mistake::Rate(Rate::Times(factor))) => self.eta * factor,
            Some(Mistake::Rate(Rate::Steps { every, factor })) => self.eta * factor.powf((done / every as f64).floor()),
            Some(Mistake::Rate(Rate::EachEpoch { factor })) => self.eta * factor.powf(done + 1.0),
            Some(Mistake::Rate(Rate::Once { epoch: first, factor })) if epoch >= first => self.eta * factor,
            Some(Mistake::Rate(Rate::Inverse { slope })) => self.eta / (1.0 + slope * done),
            _ => self.eta,
        }
    }

    /// A step on a batch: images, and the labels that are taken for theirs.
    fn step(&self, model: &mut Model, images: &Images, batch: &[usize], labels: &[usize], eta: f64) {
        let n = if self.has(Mistake::Sum) { 1.0 } else { batch.len() as f64 };
        let factor = match self.mistake {
            Some(Mistake::Penalty(factor)) => factor,
            _ => 1.0,
        };
        let mut dw: Vec<f64> = model.w.iter().map(|w| factor * 2.0 * self.lambda * w).collect();
        let bias_lambda = if self.has(Mistake::BiasPenalty) { self.lambda } else { 0.0 };
        let mut db: Vec<f64> = model.b.iter().map(|b| 2.0 * bias_lambda * b).collect();
        for (&i, &label) in batch.iter().zip(labels) {
            let x = images.image(i);
            for (c, log_p) in model.log_probabilities(x).into_iter().enumerate() {
                let g = (log_p.exp() - f64::from(u8::from(c == label))) / n;
                db[c] += g;
                dw[D * c..D * (c + 1)].iter_mut().zip(x).for_each(|(dw, x)| *dw += g * x);
            }
        }
        model.w.iter_mut().zip(dw).for_each(|(w, dw)| *w -= eta * dw);
        model.b.iter_mut().zip(db).for_each(|(b, db)| *b -= eta * db);
    }

    /// Trains, and keeps what a student keeps.
    fn run(&self, splits: &Splits) -> Record {
        // A script has one mean and one deviation for all splits.
        let of_train = match self.mistake {
            Some(Mistake::TrainedOn(OtherSplit { test, own_statistics: true })) => {
                self.statistics(if test { &splits.test } else { &splits.validation })
            }
            _ => self.statistics(&splits.train),
        };
        let own = |split| if self.reads(Reading::OwnStatistics) { self.statistics(split) } else { of_train.clone() };
        let (train, own_validation, own_test) =
            (self.images(&splits.train, &of_train), own(&splits.validation), own(&splits.test));
        let validation = self.images(&splits.validation, &own_validation);
        let test = self.images(&splits.test, &own_test);
        let mut x = match self.mistake {
            Some(Mistake::TrainedOn(OtherSplit { test, .. })) => {
                self.images(if test { &splits.test } else { &splits.validation }, &of_train)
            }
            _ => train,
        };
        let n = x.y.len();
        let schedule =
            Schedule { epochs: EPOCHS, batch_size: BATCH, seed: SEED, shuffle: self.shuffle, ..Schedule::REPORT };
        let mut orders = Orders::new(&schedule, n);
        let start = if self.drawn_transposed { Start::numpy_transposed(DIMS, SEED) } else { Start::numpy(DIMS, SEED) };
        let width = if let Some(Mistake::Width(width)) = self.mistake { width } else { 0.01 };
        let w = start.parameters.weight.iter().map(|&w| f64::from(w) / 0.01 * width).collect();
        let mut model = Model { w, b: vec![0.0; K] };
        let mut curves: Vec<Curve> = Vec::new();
        let mut keep = |name, split, kind, value| match curves.iter_mut().find(|curve: &&mut Curve| curve.name == name)
        {
            Some(curve) => curve.values.push(value),
            None => curves.push(Curve { name, split, kind, first_epoch: 1, values: vec![value] }),
        };
        let mut score = |model: &Model, split, images: &Images, chosen: &[usize], labels: &[usize]| {
            let (loss, accuracy) = model.scores(images, chosen, labels);
            let bias: f64 = model.b.iter().map(|b| b * b).sum();
            let squares =
                model.w.iter().map(|w| w * w).sum::<f64>() + if self.reads(Reading::BiasInCost) { bias } else { 0.0 };
            let half = if self.reads(Reading::HalfPenalty) { 0.5 } else { 1.0 };
            let cost = loss + half * self.lambda * squares;
            let names = match split {
                Split::Train => ["train_loss", "train_cost", "train_accuracy"],
                Split::Validation => ["validation_loss", "validation_cost", "validation_accuracy"],
            };
            keep(names[0], split, Kind::Loss, if self.reads(Reading::CostForLoss) { cost } else { loss });
            keep(names[1], split, Kind::Cost, if self.reads(Reading::LossForCost) { loss } else { cost });
            keep(names[2], split, Kind::Accuracy, accuracy);
        };
        let all: Vec<usize> = (0..n).collect();
        let of_validation: Vec<usize> = (0..validation.y.len()).collect();
        let mut means = Vec::new();
        for epoch in 1..=EPOCHS {
            let mut order = orders.of(epoch);
            if self.has(Mistake::Labels(Labels::LeftBehind)) {
                x.x = order.iter().flat_map(|&i| x.image(i).to_vec()).collect();
                order = all.clone();
            }
            let in_order = self.has(Mistake::Labels(Labels::InOrder));
            let labels: Vec<usize> = (0..n).map(|i| x.y[if in_order { i } else { order[i] }]).collect();
            if self.reads(Reading::BeforeEpoch) {
                score(&model, Split::Train, &x, &all, &x.y);
                score(&model, Split::Validation, &validation, &of_validation, &validation.y);
            }
            let batches: Vec<_> = order.chunks(BATCH).zip(labels.chunks(BATCH)).collect();
            let (last, labels_of_last) = batches[batches.len() - 1];
            let mut losses = Vec::new();
            for (i, (batch, labels)) in batches.iter().enumerate() {
                let is_last = i + 1 == batches.len();
                if is_last && self.reads(Reading::LastBatchBefore) {
                    score(&model, Split::Train, &x, last, labels_of_last);
                }
                losses.push(model.scores(&x, batch, labels).0);
                if !(is_last && self.has(Mistake::LastBatch)) {
                    self.step(&mut model, &x, batch, labels, self.rate(epoch));
                }
            }
            means.push(losses.iter().sum::<f64>() / losses.len() as f64);
            if self.reads(Reading::LastBatchAfter) {
                score(&model, Split::Train, &x, last, labels_of_last);
            } else if !self.reads(Reading::LastBatchBefore) && !self.reads(Reading::BeforeEpoch) {
                score(&model, Split::Train, &x, &all, &x.y);
            }
            if !self.reads(Reading::BeforeEpoch) {
                score(&model, Split::Validation, &validation, &of_validation, &validation.y);
            }
        }
        if self.reads(Reading::MeanOfBatches) {
            curves.retain(|curve| curve.split == Split::Validation || curve.kind == Kind::Loss);
            curves.iter_mut().find(|curve| curve.name == "train_loss").unwrap().values = means;
        }
        let of_test: Vec<usize> = (0..test.y.len()).collect();
        let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<_>>();
        let setting = Setting::new(self.lambda, self.eta).unwrap();
        Record {
            test_accuracy: Some(model.scores(&test, &of_test, &test.y).1),
            parameters: Some(Parameters::new(DIMS, narrow(&model.w), narrow(&model.b)).unwrap()),
            start: None,
            curves,
            is_f32: false,
            is_transposed: self.drawn_transposed,
            hyperparameters: Hyperparameters::new(setting, &Schedule { ..schedule }, &Origin::Numpy),
            defaults: Vec::new(),
            overridden: Vec::new(),
            unread: Vec::new(),
        }
    }
}

/// The audit of what `script` keeps.
fn audit_of(script: Script, splits: &Splits) -> Audit {
    audit(&script.run(splits), splits, &Origin::Numpy, None, &mut ()).unwrap()
}

/// The mistakes of each explanation; `None` if there is none.
fn named(audit: &Audit) -> Option<Vec<Vec<Mistake>>> {
    Some(audit.explained()?.iter().map(|explanation| explanation.mistakes.clone()).collect())
}

#[test]
fn a_right_training_is_right_in_any_order_and_layout() {
    let splits = few();
    for shuffle in [Shuffle::NumpyPermutation, Shuffle::NumpyShuffle, Shuffle::None] {
        for drawn_transposed in [false, true] {
            let audit = audit_of(Script { shuffle, drawn_transposed, ..RIGHT }, &splits);
            assert_eq!(named(&audit), Some(vec![vec![]]), "{shuffle} {drawn_transposed}");
            assert_eq!((audit.shuffle, audit.drawn_transposed), (shuffle, drawn_transposed));
            assert!(audit.curves.iter().all(|(_, difference)| difference.departs.is_none()), "{:?}", audit.curves);
            assert!(audit.parameters_agree() == Some(true) && audit.partly_right().is_none());
        }
    }
}

#[test]
fn each_mistake_is_named_and_no_other() {
    let splits = few();
    let setting = Setting::new(RIGHT.lambda, RIGHT.eta).unwrap();
    let mut mistakes = Mistake::of_the_stream(setting, false);
    mistakes.extend(Mistake::of_other_streams(true));
    let readings = [Reading::CostForLoss, Reading::BeforeEpoch, Reading::MeanOfBatches, Reading::OwnStatistics];
    mistakes.extend(readings.map(Mistake::Recorded));
    mistakes.extend([Rate::Steps { every: 1, factor: 0.5 }, Rate::EachEpoch { factor: 0.9 }].map(Mistake::Rate));
    mistakes.into_par_iter().for_each(|mistake| {
        let audit = audit_of(RIGHT.with(mistake), &splits);
        assert_eq!(named(&audit), Some(vec![vec![mistake]]), "{mistake:?}");
    });
}

#[test]
fn a_mistake_is_named_whatever_the_order_of_the_images_and_the_layout_of_the_weights() {
    let splits = few();
    let mistake = Mistake::Penalty(0.5);
    for (shuffle, drawn_transposed) in [(Shuffle::None, false), (Shuffle::NumpyPermutation, true)] {
        let script = Script { shuffle, drawn_transposed, ..RIGHT };
        let audit = audit_of(script.with(mistake), &splits);
        assert_eq!(named(&audit), Some(vec![vec![mistake]]));
        assert_eq!((audit.shuffle, audit.drawn_transposed), (shuffle, drawn_transposed));
    }
}

#[test]
fn a_training_with_another_mistake_is_not_explained() {
    let splits = few();
    let mut record = RIGHT.run(&splits);
    let order = Some(Shuffle::NumpyPermutation);
    let audit = |record: &Record| audit(record, &splits, &Origin::Numpy, order, &mut ()).unwrap();
    record.curves[0].values[2] *= 1.0 + 1e-5;
    let found = audit(&record);
    assert_eq!(named(&found), None);
    assert_eq!(found.partly_right().unwrap()[1], ["train_loss"]);
    // A step of one wrong pixel.
    let mut record = RIGHT.run(&splits);
    record.parameters.as_mut().unwrap().weight[100] += 1e-3;
    let found = audit(&record);
    assert_eq!(named(&found), None);
    assert_eq!(found.partly_right().unwrap()[1], ["W and b"]);
}

/// The audit of a run with these curves, each with the difference at which it departs, and with this distance of W and b.
fn judged(curves: &[(&'static str, Option<f64>)], parameters: Option<f64>) -> Audit {
    let difference = |departs: Option<f64>| {
        let by = departs.unwrap_or(0.0);
        Difference { largest: by, absolute: by, departs: departs.map(|by| (1, 2.0 + by, 2.0)) }
    };
    Audit {
        tolerance: TOLERANCE,
        shuffle: Shuffle::NumpyPermutation,
        start_is_given: false,
        drawn_transposed: false,
        curves: curves.iter().map(|&(name, departs)| (name, difference(departs))).collect(),
        parameters,
        test_accuracy: None,
        explanations: Vec::new(),
        tried: 0,
        end: None,
    }
}

#[test]
fn a_run_is_partly_right_if_a_loss_or_the_parameters_agree_and_something_departs() {
    let [right, wrong] = [("train_loss", None), ("validation_loss", Some(0.1))];
    let names = judged(&[right, wrong], None).partly_right().unwrap();
    assert_eq!(names, [vec!["train_loss"], vec!["validation_loss"]]);
    assert_eq!(judged(&[wrong], Some(0.0)).partly_right().unwrap(), [vec!["W and b"], vec!["validation_loss"]]);
    assert_eq!(judged(&[right], Some(0.1)).partly_right().unwrap(), [vec!["train_loss"], vec!["W and b"]]);
    for (curves, parameters) in [
        (&[right][..], Some(0.0)),
        (&[wrong], Some(0.1)),
        // An accuracy can agree by chance.
        (&[("train_accuracy", None), wrong], None),
    ] {
        assert_eq!(judged(curves, parameters).partly_right(), None, "{curves:?}");
    }
}

#[test]
fn parameters_may_differ_by_more_than_a_loss() {
    let agree = |distance| judged(&[], distance).parameters_agree();
    assert_eq!(
        [None, Some(0.0), Some(20.0 * TOLERANCE), Some(40.0 * TOLERANCE)].map(agree),
        [None, Some(true), Some(true), Some(false)]
    );
}

#[test]
fn each_mistake_and_each_way_of_recording_has_a_sentence_of_its_own() {
    let setting = Setting::new(0.1, 0.001).unwrap();
    let mut all = Mistake::of_the_stream(setting, false);
    all.extend(Mistake::of_other_streams(true));
    all.extend(Reading::ALL.map(Mistake::Recorded));
    let sentences: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), all.len());
    for (mistake, expected) in [
        (Mistake::Penalty(0.0), "the gradient lacks the penalty's part, 2λW"),
        (Mistake::Penalty(0.5), "the gradient of the penalty is λW instead of 2λW"),
        (Mistake::Penalty(2.0), "the gradient of the penalty is 4λW instead of 2λW"),
        (Mistake::Penalty(-1.0), "the gradient of the penalty is −2λW instead of 2λW"),
        (Mistake::Width(0.0255155), "the weights start with a standard deviation of 0.02552 instead of 0.01"),
        (Mistake::Rate(Rate::Times(0.1)), "the learning rate is 0.1 times as large"),
        (
            Mistake::Rate(Rate::Steps { every: 1, factor: 0.5 }),
            "the learning rate is multiplied by 0.5 after every epoch",
        ),
        (
            Mistake::Rate(Rate::Steps { every: 10, factor: 0.5 }),
            "the learning rate is multiplied by 0.5 after every 10 epochs",
        ),
        (
            Mistake::Rate(Rate::EachEpoch { factor: 0.95 }),
            "the learning rate is multiplied by 0.95 at the start of every epoch, the first one too",
        ),
        (
            Mistake::Rate(Rate::Once { epoch: 3, factor: 0.1 }),
            "the learning rate is multiplied by 0.1 once, from epoch 3 on",
        ),
        (Mistake::Rate(Rate::Inverse { slope: 0.25 }), "the learning rate is divided by 1 + 0.25 · (epoch − 1)"),
        (
            Mistake::TrainedOn(OtherSplit { test: true, own_statistics: false }),
            "the training is on the test split, normalised by the statistics of the training split",
        ),
        (
            Mistake::TrainedOn(OtherSplit { test: false, own_statistics: true }),
            "the training is on the validation split, normalised by its own statistics",
        ),
    ] {
        assert_eq!(mistake.to_string(), expected);
    }
}

#[test]
fn mistakes_that_would_change_nothing_are_not_tried() {
    let without_penalty = Mistake::of_the_stream(Setting::new(0.0, 0.001).unwrap(), false);
    let is_of_penalty = |m: &Mistake| matches!(m, Mistake::Penalty(_) | Mistake::BiasPenalty);
    assert!(!without_penalty.iter().any(is_of_penalty));
    let given_start = Mistake::of_the_stream(Setting::new(0.1, 0.001).unwrap(), true);
    assert!(!given_start.iter().any(|m| matches!(m, Mistake::Width(_))));
    assert!(given_start.iter().any(is_of_penalty));
    let is_of_validation = |m: &Mistake| matches!(m, Mistake::TrainedOn(OtherSplit { test: false, .. }));
    assert!(!Mistake::of_other_streams(false).iter().any(is_of_validation));
    assert_eq!(Mistake::of_other_streams(true).iter().filter(|m| is_of_validation(m)).count(), 2);
}

#[test]
fn the_end_is_compared_with_right_trainings_unless_the_training_is_followed() {
    let splits = few();
    let right = audit_of(RIGHT, &splits);
    let end = right.end.unwrap();
    let test = RIGHT.run(&splits).test_accuracy.unwrap();
    assert!((end.test_accuracy - test).abs() <= 1.0 / 60.0 && end.right.is_none());
    assert_eq!(end.pixels, Some(crate::train::elsewhere::Pixels::Normalised));
    // A test accuracy alone.
    let record = Record { parameters: None, curves: Vec::new(), ..RIGHT.run(&splits) };
    let alone = audit(&record, &splits, &Origin::Numpy, None, &mut ()).unwrap();
    assert!(alone.explained().is_none() && alone.explanations.is_empty());
    let end = alone.end.unwrap();
    let interval = end.right.unwrap();
    assert!((end.test_accuracy, end.pixels) == (test, None) && interval.low < interval.high && interval.contains(test));
    // Trained on the test split.
    let script = RIGHT.with(Mistake::TrainedOn(OtherSplit { test: true, own_statistics: false }));
    let record = Script { eta: 0.01, ..script }.run(&splits);
    let found = audit(&Record { curves: Vec::new(), ..record }, &splits, &Origin::Numpy, None, &mut ()).unwrap();
    assert!(found.end.unwrap().suspicion.unwrap().contains("it looks trained on"), "the test accuracy is too high");
}

#[test]
fn an_audit_can_be_interrupted() {
    struct Interrupting;
    impl Observer for Interrupting {
        fn interrupted(&self) -> bool {
            true
        }
    }
    let splits = few();
    let error = audit(&RIGHT.run(&splits), &splits, &Origin::Numpy, None, &mut Interrupting).unwrap_err();
    assert!(matches!(error, crate::Error::Interrupted), "{error}");
}

#[test]
fn a_training_that_drifts_is_compared_roughly_and_its_end_exactly() {
    let splits = few();
    let order = Some(Shuffle::NumpyPermutation);
    let audit = |record: &Record| audit(record, &splits, &Origin::Numpy, order, &mut ()).unwrap();
    // So large a rate that each step multiplies the rounding errors.
    let script = Script { eta: 0.2, ..RIGHT };
    let right = script.run(&splits);
    let found = audit(&right);
    let best = &found.explained().unwrap()[0];
    assert!(best.drifts && best.mistakes.is_empty() && best.unexplained > TOLERANCE, "{best:?}");
    assert!(found.end.unwrap().right.is_some(), "the end is compared with other right trainings");
    // The last scores are not those of these parameters.
    let mut other = right.clone();
    other.parameters.as_mut().unwrap().bias[3] += 5.0;
    assert!(named(&audit(&other)).is_none());
    // Without parameters, rough curves are all there is.
    let curves = Record { parameters: None, ..right };
    assert!(audit(&curves).explained().unwrap()[0].drifts);
}

#[test]
fn parameters_alone_show_a_right_training_in_any_order() {
    let splits = few();
    for shuffle in [Shuffle::NumpyPermutation, Shuffle::NumpyShuffle, Shuffle::None] {
        let record = Record { curves: Vec::new(), test_accuracy: None, ..Script { shuffle, ..RIGHT }.run(&splits) };
        let found = audit(&record, &splits, &Origin::Numpy, None, &mut ()).unwrap();
        assert_eq!((named(&found), found.shuffle), (Some(vec![vec![]]), shuffle));
        assert_eq!((found.parameters_agree(), found.curves.len(), found.test_accuracy), (Some(true), 0, None));
    }
}

#[test]
fn what_is_tried_is_said_once_and_counted() {
    struct Messages(Vec<String>);
    impl Observer for Messages {
        fn message(&mut self, text: &str) {
            self.0.push(text.into());
        }
    }
    let splits = few();
    let audit_of = |script: Script| {
        let mut record = script.run(&splits);
        // Without the training losses no learning rate is looked for.
        record.curves.retain(|curve| curve.split == Split::Validation);
        let mut messages = Messages(Vec::new());
        let audit = audit(&record, &splits, &Origin::Numpy, None, &mut messages).unwrap();
        (audit, messages.0)
    };
    let (right, messages) = audit_of(RIGHT);
    assert!(right.explained().is_some() && messages.is_empty() && right.tried == 0, "{messages:?}");
    let setting = Setting::new(RIGHT.lambda, RIGHT.eta).unwrap();
    let mistakes = Mistake::of_the_stream(setting, false).len() + Mistake::of_other_streams(true).len();
    // Other orders of the images are tried too, but the mistakes are the same.
    let (unexplained, messages) = audit_of(RIGHT.with(Mistake::Width(0.0123)));
    assert!(unexplained.explained().is_none());
    assert_eq!((messages.len(), unexplained.tried), (1, mistakes + Reading::ALL.len()), "{messages:?}");
}
