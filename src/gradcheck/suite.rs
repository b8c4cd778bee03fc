//! The complete gradient check: small random problems and real images, at the start and at trained models.

use super::referee::with_all_classes;
use super::table::{FILE, GradcheckRow};
use super::{Implementation, KERNELS, PASSES, Problem, Sample, check};
use crate::error::Result;
use crate::files::csv::to_csv;
use crate::files::folder::Folder;
use crate::hyperparameters::{Loss, Schedule};
use crate::network::Parameters;
use crate::shape::Dims;
use crate::train::{Data, epoch_order, random_start};

/// Number of examples, features and classes of the random problems, on which every derivative is also taken numerically.
const SMALL: [(usize, usize, usize); 4] = [(1, 1, 2), (5, 7, 3), (16, 33, 10), (3, 100, 4)];

/// The report's λ except 0, where the cost is the data term alone, which is always checked.
const LAMBDAS: [f64; 2] = [0.1, 1.0];

/// Number of epochs for which training with the hand-derived gradients is compared with training by autograd.
const TRAJECTORY_EPOCHS: usize = 5;

const BOTH: &[Implementation] = &[KERNELS, PASSES];

/// Parameters at which gradients are checked.
#[derive(Clone, Debug)]
pub struct Point {
    /// Its name in tables.
    pub name: String,
    /// The loss that is differentiated.
    pub loss: Loss,
    /// The parameters.
    pub parameters: Parameters,
}

/// The choices that a gradient check leaves open.
#[derive(Clone, Copy, Debug)]
pub struct Suite<'a> {
    /// The images.
    pub data: Data<'a>,
    /// Number of images in the batch.
    pub batch_size: usize,
    /// Number of weights at which central differences are taken on images, in addition to every bias.
    pub differences: usize,
    /// Seed of the start, of the batch and of the weights chosen for central differences.
    pub seed: u64,
    /// Trained models to check in addition to the start.
    pub models: &'a [Point],
}

impl Suite<'_> {
    /// Runs all checks and writes [`FILE`] to `folder`. `observe` is given the rows of each problem as soon as they are
    /// known.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) if the batch is larger than the training split,
    /// [`Error::Shape`](crate::Error::Shape) if a model does not fit the images, and those of [`Folder::write`].
    pub fn run(&self, folder: &Folder, observe: &mut dyn FnMut(&[GradcheckRow])) -> Result<Vec<GradcheckRow>> {
        // A batch that does not fit is refused before anything is checked.
        self.order()?;
        let mut rows = Vec::new();
        let mut add = |new: Vec<GradcheckRow>| {
            observe(&new);
            rows.extend(new);
        };
        self.check_small(&mut add);
        self.check_images(&mut add)?;
        #[cfg(feature = "autograd-check")]
        for setting in super::trajectory::settings() {
            let start = random_start(self.data.train.dims(), self.seed);
            add(super::trajectory::check(self.data, setting, &self.schedule(), &start)?);
        }
        folder.write(&[(FILE.into(), to_csv(&rows, folder.dialect()))])?;
        Ok(rows)
    }

    /// The first batch, at `parameters`, with an image of each class where they fit.
    ///
    /// # Errors
    ///
    /// Those of [`Self::run`], except for writing.
    pub fn batch_problem(&self, parameters: &Parameters) -> Result<Problem> {
        let batch = with_all_classes(self.data.train, &self.order()?, self.batch_size);
        self.problem(&batch, parameters)
    }

    fn schedule(&self) -> Schedule {
        Schedule { epochs: TRAJECTORY_EPOCHS, batch_size: self.batch_size, seed: self.seed, ..Schedule::REPORT }
    }

    /// The training images in the order of the first epoch.
    fn order(&self) -> Result<Vec<usize>> {
        let schedule = self.schedule();
        schedule.validate(self.data.train.len())?;
        Ok(epoch_order(&schedule, 1, self.data.train.len()))
    }

    fn problem(&self, indices: &[usize], parameters: &Parameters) -> Result<Problem> {
        Problem::from_images(self.data.train, self.data.normalizer, indices, parameters.clone())
    }

    /// Random problems with each loss, small enough to take every derivative numerically.
    fn check_small(&self, add: &mut impl FnMut(Vec<GradcheckRow>)) {
        let sample = Sample { weights: usize::MAX, seed: self.seed };
        for (n, features, classes) in SMALL {
            for loss in Loss::ALL {
                let problem = Problem::random(Dims { features, classes }, n, self.seed).with_loss(loss);
                let name = format!("random n={n} d={features} k={classes}, {loss}");
                add(check(&problem, &name, BOTH, &LAMBDAS, Some(sample), self.seed));
            }
        }
    }

    /// A batch and the whole training split, at the start with each loss and at each model with its own; before those, a
    /// batch on which every probability of a softmax is 0 or 1 to the last bit.
    fn check_images(&self, add: &mut impl FnMut(Vec<GradcheckRow>)) -> Result<()> {
        let all = self.order()?;
        let batch = &all[..self.batch_size];
        let sample = Sample { weights: self.differences, seed: self.seed };
        let mut add = |indices: &[usize], point: &Point, implementations, sample| -> Result<()> {
            let problem = self.problem(indices, &point.parameters)?.with_loss(point.loss);
            let name = format!("{} images, {}, {}", indices.len(), point.name, point.loss);
            add(check(&problem, &name, implementations, &LAMBDAS, sample, self.seed));
            Ok(())
        };
        let start = random_start(self.data.train.dims(), self.seed);
        let mut saturated = start.clone();
        for (class, bias) in saturated.bias.iter_mut().enumerate() {
            *bias = 100.0 * class as f32;
        }
        let with_each_loss = |name: &str, at: &Parameters| {
            Loss::ALL.map(|loss| Point { name: name.into(), loss, parameters: at.clone() })
        };
        for point in with_each_loss("logits of 0 to 900", &saturated) {
            add(batch, &point, BOTH, Some(sample))?;
        }
        for point in with_each_loss("the start", &start).iter().chain(self.models) {
            add(batch, point, BOTH, Some(sample))?;
            // The plain loops add up 10,000 terms one by one, for which f32 is too short; training never does. Central
            // differences would evaluate the whole split twice per parameter.
            add(&all, point, &[KERNELS], None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::normalizer::Normalizer;
    use crate::dataset::tests::few;

    #[test]
    fn a_training_of_five_epochs_with_the_batches_and_the_seed_of_the_suite_is_compared() {
        let splits = few();
        let normalizer = Normalizer::fit(&splits.train).unwrap();
        let data = Data { train: &splits.train, validation: &splits.validation, normalizer: &normalizer };
        let suite = Suite { data, batch_size: 4, differences: 2, seed: 3, models: &[] };
        assert_eq!(suite.schedule(), Schedule { epochs: 5, batch_size: 4, seed: 3, ..Schedule::REPORT });
    }
}
