//! Training of the right way and of the known mistakes, as groups over their streams of batches.

use std::borrow::Cow;

use super::mistake::{Labels, Mistake, Normalisation};
use super::reading::{PLACES, Place};
use crate::dataset::normalizer::Normalizer;
use crate::dataset::{Dataset, Splits};
use crate::error::{Error, Result};
use crate::evaluate::{Scores, evaluate_group};
use crate::hyperparameters::{Schedule, Setting};
use crate::network::{Examples, Group, Parameters, Step};
use crate::train::{Observer, Orders};

/// The training that is audited.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    pub setting: Setting,
    pub schedule: Schedule,
    pub splits: &'a Splits,
    /// Fitted on the training split.
    pub normalizer: &'a Normalizer,
    /// False if the run has no curves, so that the scores of each epoch would be for nothing.
    pub has_curves: bool,
}

/// A score that a training can record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    /// Mean loss, in nats.
    pub loss: f64,
    /// Fraction of the examples that are classified correctly, where it is known.
    pub accuracy: Option<f64>,
    /// Σ weight².
    pub squared_weight: f64,
    /// Σ bias².
    pub squared_bias: f64,
}

/// The sums of squares that a penalty has.
#[derive(Clone, Copy, Debug)]
struct Norms {
    squared_weight: f64,
    squared_bias: f64,
}

impl Norms {
    fn score(self, loss: f64, accuracy: Option<f64>) -> Score {
        Score { loss, accuracy, squared_weight: self.squared_weight, squared_bias: self.squared_bias }
    }
}

/// The scores of one moment, by [`Place`].
pub(super) type Moment = [Option<Score>; PLACES];

/// A trained member: what it would record.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// The mistake, unless it is the right training.
    pub mistake: Option<Mistake>,
    /// (epochs + 1): before the first epoch, and after each; the first one alone where there are no curves to compare.
    pub moments: Vec<Moment>,
    /// The parameters at the end; of the right training those before the first epoch and after each.
    pub states: Vec<Parameters>,
    /// The accuracy on the test split at the end, and on the test split normalised by its own statistics.
    pub test: [f64; 2],
    /// False if the training was not followed to the end, since nothing in its curves is like those of the run.
    pub is_complete: bool,
}

impl Trace {
    /// True if the training may drift: its steps are so large that each multiplies the rounding errors so far, and two correct
    /// programs drift apart. The losses then rise above those of the start, or grow without bounds.
    pub fn may_drift(&self) -> bool {
        let loss = |moment: &Moment| moment[Place::Train as usize].map_or(f64::NAN, |score| score.loss);
        let limit = 1.5 * loss(&self.moments[0]);
        let rises = self.moments.iter().map(loss).any(|loss| loss > limit || loss.is_nan());
        rises || self.mistake.is_some_and(Mistake::takes_larger_steps)
    }
}

/// A stream of batches, and the images that are evaluated after each epoch.
struct Stream<'a> {
    images: Cow<'a, Dataset>,
    normalizer: Cow<'a, Normalizer>,
    labels: Option<Labels>,
    /// True if the images are not those of the training split.
    is_other_split: bool,
    /// Only the right training is also evaluated on splits that are normalised by their own statistics.
    own_normalizers: Option<[Normalizer; 2]>,
}

impl<'a> Stream<'a> {
    /// The stream of a training with `mistake`.
    fn new(plan: &Plan<'a>, mistake: Option<Mistake>) -> Result<Self> {
        let Plan { splits, normalizer, .. } = *plan;
        let mut stream = Self {
            images: Cow::Borrowed(&splits.train),
            normalizer: Cow::Borrowed(normalizer),
            labels: None,
            is_other_split: false,
            own_normalizers: None,
        };
        match mistake {
            None => {
                let fit = |split: &Dataset| Normalizer::fit(if split.is_empty() { &splits.train } else { split });
                stream.own_normalizers = Some([fit(&splits.validation)?, fit(&splits.test)?]);
            }
            Some(Mistake::Labels(labels)) => stream.labels = Some(labels),
            Some(Mistake::Normalisation(other)) => {
                stream.normalizer = Cow::Owned(other.normalizer(&splits.train, normalizer)?)
            }
            Some(Mistake::TrainedOn(other)) => {
                stream.images = Cow::Borrowed(if other.test { &splits.test } else { &splits.validation });
                stream.is_other_split = true;
                if other.own_statistics {
                    stream.normalizer = Cow::Owned(Normalizer::fit(&stream.images)?);
                }
            }
            Some(_) => {}
        }
        Ok(stream)
    }

    /// The images as an epoch trains on them, in the order `order`.
    fn relabel(&mut self, plan: &Plan, order: &mut Vec<usize>, moved: &mut Vec<usize>) -> Result<()> {
        let labels = plan.splits.train.labels();
        let visited = match self.labels {
            None => return Ok(()),
            Some(Labels::InOrder) => order.clone(),
            Some(Labels::LeftBehind) => {
                *moved = order.iter().map(|&i| moved[i]).collect();
                order.clone_from(moved);
                moved.clone()
            }
        };
        let mut relabelled = vec![0; labels.len()];
        visited.iter().zip(labels).for_each(|(&image, &label)| relabelled[image] = label);
        self.images = Cow::Owned(self.images.with_labels(relabelled)?);
        Ok(())
    }
}

impl Normalisation {
    /// The normaliser with this mistake; `right` is that without.
    fn normalizer(self, train: &Dataset, right: &Normalizer) -> Result<Normalizer> {
        let d = train.dims().features;
        let n = train.len() as f64;
        let one = |value: f32| vec![value; d];
        // The mean and variance of a set of features follow from those of each.
        let pooled = |features: std::ops::Range<usize>| {
            let count = features.len() as f64;
            let of =
                |values: &[f32], f: fn(f64) -> f64| values[features.clone()].iter().map(|&v| f(v.into())).sum::<f64>();
            let mean = of(right.mean(), |m| m) / count;
            let square = (of(right.std(), |s| s * s) + of(right.mean(), |m| m * m)) / count;
            (mean as f32, (square - mean * mean).sqrt() as f32)
        };
        let by_channel = |channels: usize| -> (Vec<f32>, Vec<f32>) {
            let width = d / channels;
            let of_channel =
                |channel: usize| std::iter::repeat_n(pooled(channel * width..(channel + 1) * width), width);
            (0..channels).flat_map(of_channel).unzip()
        };
        let (mean, std) = match self {
            Self::None => (one(0.0), one(1.0)),
            Self::Raw => (one(0.0), one(1.0 / 255.0)),
            Self::SampleStd => {
                let factor = (n / (n - 1.0)).sqrt();
                (right.mean().to_vec(), right.std().iter().map(|&s| (f64::from(s) * factor) as f32).collect())
            }
            Self::MeanOnly => (right.mean().to_vec(), one(1.0)),
            Self::AllPixels => by_channel(1),
            Self::PerChannel => by_channel(3),
        };
        Normalizer::new(mean, std)
    }
}

/// Trains the right way, where `mistakes` has `None`, and with each of the mistakes, all of one stream, from `start`. A member
/// that is not `kept` after an epoch is not trained further.
pub(super) fn train(
    plan: &Plan,
    start: &Parameters,
    mistakes: &[Option<Mistake>],
    kept: &dyn Fn(&Trace) -> bool,
    observer: &mut dyn Observer,
) -> Result<Vec<Trace>> {
    let starts: Vec<_> = mistakes.iter().map(|m| m.map_or_else(|| start.clone(), |m| m.start(start))).collect();
    let trace = |(start, &mistake): (&Parameters, &Option<Mistake>)| Trace {
        mistake,
        moments: Vec::new(),
        states: vec![start.clone()],
        test: [f64::NAN; 2],
        is_complete: false,
    };
    let mut traces: Vec<_> = starts.iter().zip(mistakes).map(trace).collect();
    let members = (0..mistakes.len()).collect();
    let mut training =
        Training { plan, stream: Stream::new(plan, mistakes[0])?, group: group(plan, &starts)?, members };
    let Schedule { epochs, .. } = plan.schedule;
    let mut orders = Orders::new(&plan.schedule, training.stream.images.len());
    let mut moved: Vec<usize> = (0..training.stream.images.len()).collect();
    training.record(&mut traces, &[], &training.norms())?;
    for epoch in 1..=epochs {
        let mut order = orders.of(epoch);
        training.stream.relabel(plan, &mut order, &mut moved)?;
        training.epoch(epoch, &order, &mut traces, observer)?;
        if !training.keep(&traces, kept)? {
            return Ok(traces);
        }
    }
    training.test(&mut traces)?;
    Ok(traces)
}

fn group(plan: &Plan, members: &[Parameters]) -> Result<Group> {
    Group::new(members)?.with_losses(&vec![plan.setting.loss(); members.len()])
}

/// A group of one stream in training.
struct Training<'a> {
    plan: &'a Plan<'a>,
    stream: Stream<'a>,
    group: Group,
    /// The trace of each member.
    members: Vec<usize>,
}

impl Training<'_> {
    /// Trains one epoch on the images in `order`.
    fn epoch(
        &mut self,
        epoch: usize,
        order: &[usize],
        traces: &mut [Trace],
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let batches: Vec<_> = order.chunks(self.plan.schedule.batch_size).collect();
        let mut losses = vec![0.0; self.members.len()];
        let mut before = Vec::new();
        let right = Step::new(self.plan.setting, self.plan.setting.eta());
        for (i, &indices) in batches.iter().enumerate() {
            let is_last = i + 1 == batches.len();
            if is_last && self.plan.has_curves {
                before = self.scores_of_batch(indices, &self.norms())?;
            }
            let step = |&j: &usize| traces[j].mistake.map_or(right, |m| m.step(right, epoch, indices.len(), is_last));
            let steps: Vec<_> = self.members.iter().map(step).collect();
            self.group.step(Examples::Chosen(&self.stream.images, &self.stream.normalizer, indices), &steps)?;
            self.group.batch_losses().iter().zip(&mut losses).for_each(|(loss, sum)| *sum += loss);
            if observer.interrupted() {
                return Err(Error::Interrupted);
            }
        }
        if self.plan.has_curves {
            let norms = self.norms();
            let after = self.scores_of_batch(batches[batches.len() - 1], &norms)?;
            let mean = |(sum, norms): (&f64, &Norms)| norms.score(sum / batches.len() as f64, None);
            let means = losses.iter().zip(&norms).map(mean).collect();
            let batches = [(Place::BatchBefore, before), (Place::BatchAfter, after), (Place::BatchMean, means)];
            self.record(traces, &batches, &norms)?;
        }
        for (j, &member) in self.members.iter().enumerate() {
            let Trace { mistake, states, .. } = &mut traces[member];
            if mistake.is_some() {
                states.clear();
            }
            states.push(self.group.member(j));
        }
        Ok(())
    }

    /// Goes on with the members that are `kept`; false if there are none.
    fn keep(&mut self, traces: &[Trace], kept: &dyn Fn(&Trace) -> bool) -> Result<bool> {
        let left: Vec<usize> = (0..self.members.len()).filter(|&j| kept(&traces[self.members[j]])).collect();
        if left.is_empty() {
            return Ok(false);
        }
        if left.len() < self.members.len() {
            let parameters: Vec<_> = left.iter().map(|&j| self.group.member(j)).collect();
            self.members = left.iter().map(|&j| self.members[j]).collect();
            self.group = group(self.plan, &parameters)?;
        }
        Ok(true)
    }

    /// The norms of each member.
    fn norms(&self) -> Vec<Norms> {
        let of_member = |j: usize| {
            let parameters = self.group.member(j);
            let squared_bias = parameters.bias.iter().map(|&b| f64::from(b).powi(2)).sum();
            Norms { squared_weight: parameters.squared_norm(), squared_bias }
        };
        (0..self.group.len()).map(of_member).collect()
    }

    /// The scores of each member, with `norms`, on a batch.
    fn scores_of_batch(&self, indices: &[usize], norms: &[Norms]) -> Result<Vec<Score>> {
        let Stream { images, normalizer, .. } = &self.stream;
        let outcomes = self.group.outcomes(Examples::Chosen(images, normalizer, indices))?;
        let m = self.group.len();
        let of_member = |j: usize| {
            let of = || outcomes.iter().skip(j).step_by(m).zip(indices);
            let right = of().filter(|(outcome, i)| outcome.class == u32::from(images.labels()[**i])).count();
            let n = indices.len() as f64;
            let loss = of().map(|(outcome, _)| f64::from(outcome.loss)).sum::<f64>();
            norms[j].score(loss / n, Some(right as f64 / n))
        };
        Ok((0..m).map(of_member).collect())
    }

    /// The scores of each member, with `norms`, on `split`; none if it is empty.
    fn scores_of(&self, split: &Dataset, normalizer: &Normalizer, norms: &[Norms]) -> Result<Vec<Score>> {
        if split.is_empty() {
            return Ok(Vec::new());
        }
        let scores = evaluate_group(&self.group, &vec![0.0; self.group.len()], split, normalizer, &|| false)?;
        let score = |(scores, norms): (Scores, &Norms)| norms.score(scores.loss, Some(scores.accuracy));
        Ok(scores.into_iter().zip(norms).map(score).collect())
    }

    /// Adds a moment to each of `traces`: `batches` and the scores on whole splits.
    fn record(&self, traces: &mut [Trace], batches: &[(Place, Vec<Score>)], norms: &[Norms]) -> Result<()> {
        let Plan { splits, .. } = self.plan;
        let Stream { images, normalizer, labels, is_other_split, own_normalizers } = &self.stream;
        let mut scores = vec![(Place::Validation, self.scores_of(&splits.validation, normalizer, norms)?)];
        // Where the labels are left behind, the training split is evaluated with them.
        let train = if *labels == Some(Labels::LeftBehind) { images } else { &splits.train };
        scores.push((Place::Train, self.scores_of(train, normalizer, norms)?));
        if *is_other_split {
            scores.push((Place::TrainedOn, self.scores_of(images, normalizer, norms)?));
        }
        if let Some([validation, _]) = own_normalizers {
            scores.push((Place::OwnValidation, self.scores_of(&splits.validation, validation, norms)?));
        }
        for (j, &member) in self.members.iter().enumerate() {
            let mut moment = Moment::default();
            for (place, scores) in scores.iter().chain(batches) {
                moment[*place as usize] = scores.get(j).copied();
            }
            traces[member].moments.push(moment);
        }
        Ok(())
    }

    /// Evaluates the members on the test split.
    fn test(&self, traces: &mut [Trace]) -> Result<()> {
        let (test, norms) = (&self.plan.splits.test, self.norms());
        let own = self.stream.own_normalizers.as_ref().map(|[_, test]| test);
        for (k, normalizer) in [Some(&*self.stream.normalizer), own].into_iter().enumerate() {
            let Some(normalizer) = normalizer else { continue };
            for (&member, score) in self.members.iter().zip(self.scores_of(test, normalizer, &norms)?) {
                traces[member].test[k] = score.accuracy.unwrap_or(f64::NAN);
                traces[member].is_complete = true;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::mistake::Rate;
    use crate::audit::reading::tests::{trace, with_plan};
    use crate::train::random_start;

    /// A training with these losses on the training split, before the first epoch and after each.
    fn with_losses(losses: &[f64], mistake: Option<Mistake>) -> Trace {
        let mut trace = Trace { mistake, ..trace() };
        for (moment, &loss) in trace.moments.iter_mut().zip(losses) {
            moment[Place::Train as usize].as_mut().unwrap().loss = loss;
        }
        trace
    }

    #[test]
    fn a_training_may_drift_if_its_loss_rises_far_above_the_start_or_its_steps_are_larger() {
        let of = |losses: &[f64], mistake| with_losses(losses, mistake).may_drift();
        assert!(!of(&[2.0, 1.5, 1.0], None) && !of(&[2.0, 3.0, 3.0], None));
        assert!(of(&[2.0, 3.01, 1.0], None) && of(&[2.0, 1.0, f64::NAN], None) && of(&[2.0, f64::INFINITY, 1.0], None));
        let calm = [2.0, 1.5, 1.0];
        assert!(of(&calm, Some(Mistake::Sum)) && of(&calm, Some(Mistake::Rate(Rate::Times(1.5)))));
        assert!(!of(&calm, Some(Mistake::Rate(Rate::Times(0.5)))) && !of(&calm, Some(Mistake::LastBatch)));
        let mut unknown = with_losses(&calm, None);
        unknown.moments[1] = Moment::default();
        assert!(unknown.may_drift(), "what is not known is not ruled out");
    }

    #[test]
    fn a_member_that_is_given_up_leaves_the_others_as_they_are() {
        with_plan(|plan| {
            let start = random_start(plan.splits.train.dims(), 1);
            let members = [None, Some(Mistake::BiasPenalty), Some(Mistake::LastBatch)];
            let all = |_: &Trace| true;
            let together = train(plan, &start, &members, &all, &mut ()).unwrap();
            let but_one = |trace: &Trace| trace.mistake != Some(Mistake::BiasPenalty);
            let without = train(plan, &start, &members, &but_one, &mut ()).unwrap();
            let losses = |trace: &Trace| {
                let loss = |moment: &Moment| moment[Place::Train as usize].unwrap().loss;
                trace.moments.iter().map(loss).collect::<Vec<_>>()
            };
            for (i, (whole, trace)) in together.iter().zip(&without).enumerate() {
                assert_eq!((whole.moments.len(), whole.is_complete), (3, true));
                if i == 1 {
                    assert_eq!((trace.moments.len(), trace.is_complete), (2, false), "before it was given up");
                    assert!(trace.test[0].is_nan());
                } else {
                    assert_eq!((losses(trace), trace.test[0]), (losses(whole), whole.test[0]), "{i}");
                    assert_eq!(trace.states, whole.states);
                }
            }
            assert_eq!(together.iter().map(|trace| trace.states.len()).collect::<Vec<_>>(), [3, 1, 1]);
            let none = train(plan, &start, &members, &|_| false, &mut ()).unwrap();
            assert!(none.iter().all(|trace| trace.moments.len() == 2 && !trace.is_complete));
        });
    }

    #[test]
    fn without_curves_and_without_validation_images_those_scores_are_left_out() {
        with_plan(|plan| {
            let start = random_start(plan.splits.train.dims(), 1);
            let all = |_: &Trace| true;
            let whole = train(plan, &start, &[None], &all, &mut ()).unwrap().remove(0);
            let without = Plan { has_curves: false, ..*plan };
            let trace = train(&without, &start, &[None], &all, &mut ()).unwrap().remove(0);
            assert_eq!((trace.moments.len(), trace.is_complete), (1, true));
            assert_eq!((&trace.states, trace.test), (&whole.states, whole.test));
            let mut splits = plan.splits.clone();
            splits.validation = splits.train.hold_out(0).unwrap().1;
            let trace = train(&Plan { splits: &splits, ..*plan }, &start, &[None], &all, &mut ()).unwrap().remove(0);
            assert!(trace.moments.iter().all(|moment| moment[Place::Validation as usize].is_none()));
            assert!(trace.moments.iter().all(|moment| moment[Place::OwnValidation as usize].is_none()));
            assert_eq!(trace.test[0], whole.test[0]);
        });
    }
}
