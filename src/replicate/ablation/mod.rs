//! Ablation: what each improvement of a configuration brings.
//!
//! The configuration is trained with many seeds, and so is the same without one of its improvements, for each of them. An
//! improvement is a choice of a hyperparameter or of training images that the report's protocol makes otherwise; leaving it
//! out means to choose as the report does. All variants of a seed have its start, so they are compared seed by seed.

mod improvement;
pub mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use improvement::{Improvement, Recipe, Variant};

use self::table::{AblationRow, ImprovementRow, files};
use super::analysis::adjust;
use super::table::ReplicationRow;
use super::{Replication, ReplicationPlan, train_seeds};
use crate::dataset::normalizer::Normalizer;
use crate::dataset::{Dataset, Splits};
use crate::error::{Error, Result};
use crate::files::folder::Folder;
use crate::hyperparameters::{Origin, Schedule};
use crate::shard::{Shard, digest};
use crate::train::{Data, Observer};

/// Explains the p-values of the closing table, for readers.
pub const P_VALUES: &str = "p is the p-value of the exact sign-flip test, adjusted for the number of rows by Holm's method; \
                            before that, with n seeds, it cannot be below 2/2^n, so fewer than 6 seeds decide nothing";

/// What an ablation can say, for readers.
pub const SCOPE: &str = "Each improvement is left out alone: the report's choice stands in its place. Runs with the same seed \
                         are paired. What two improvements bring together need not be the sum of what each brings. All of \
                         this is about the variation between seeds; other training or test images would add to it.";

/// The seeds of an ablation.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds {
    /// The generator that draws the start: [`Origin::Random`] or [`Origin::Numpy`].
    pub start: Origin,
    /// The first seed; the others follow it.
    pub first: u64,
    /// Number of seeds, over all shards.
    pub count: usize,
    /// The shard whose seeds are trained.
    pub shard: Shard,
}

/// The images of an ablation.
#[derive(Clone, Copy, Debug)]
pub struct AblationImages<'a> {
    /// Those of the configuration.
    pub splits: &'a Splits,
    /// The names of its three splits.
    pub names: &'a [String; 3],
    /// The training images of the report.
    pub report: &'a Dataset,
    /// Their name.
    pub report_name: &'a str,
}

/// The variants of a configuration, and the seeds to train them with.
#[derive(Clone, Debug, PartialEq)]
pub struct AblationPlan {
    /// The configuration itself is the first variant of the first group.
    groups: Vec<VariantGroup>,
}

/// Variants that share their stream of batches, so that they are trained as one group.
#[derive(Clone, Debug, PartialEq)]
struct VariantGroup {
    variants: Vec<Variant>,
    /// The settings of the variants, in their order, and the seeds.
    plan: ReplicationPlan,
    /// True if the training images are those of the report.
    report_images: bool,
}

impl AblationPlan {
    /// The ablation of the configuration with the recipe `full`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidValue`] if the configuration has no improvement.
    pub fn new(full: Recipe, seeds: &Seeds) -> Result<Self> {
        let mut groups: Vec<VariantGroup> = Vec::new();
        for (variant, Recipe { setting, schedule, report_images }) in Variant::of_configuration(full)? {
            let shares =
                |group: &&mut VariantGroup| group.plan.schedule == schedule && group.report_images == report_images;
            match groups.iter_mut().find(shares) {
                Some(group) => {
                    group.variants.push(variant);
                    group.plan.settings.push(setting);
                }
                None => {
                    let Seeds { start, first: first_seed, count: seeds, shard } = seeds.clone();
                    let plan = ReplicationPlan { settings: vec![setting], schedule, start, first_seed, seeds, shard };
                    groups.push(VariantGroup { variants: vec![variant], plan, report_images });
                }
            }
        }
        Ok(Self { groups })
    }

    /// Checks every variant with [`ReplicationPlan::validate`], for training splits of `full` examples in the configuration
    /// and `report` examples in the report.
    pub fn validate(&self, full: usize, report: usize) -> Result<()> {
        let examples = |group: &VariantGroup| if group.report_images { report } else { full };
        self.groups.iter().try_for_each(|group| group.plan.validate(examples(group)))
    }

    /// Digits that differ between the ablations of different configurations, whatever their seeds.
    fn digest(&self, images: &AblationImages) -> String {
        let describe = |group: &VariantGroup| {
            let VariantGroup { variants, plan: ReplicationPlan { settings, schedule, start, .. }, .. } = group;
            let schedule = Schedule { seed: 0, ..*schedule };
            format!("{variants:?} {settings:?} {schedule:?} {start} {}", group.training_images(images).1)
        };
        digest(&self.groups.iter().map(describe).collect::<String>())
    }

    /// The rows of run `run` (from 0), one per variant, without measurements.
    fn planned(&self, run: usize, images: &AblationImages) -> Vec<AblationRow> {
        let digest = self.digest(images);
        self.groups.iter().flat_map(|group| group.planned(run, images, &digest)).collect()
    }
}

impl VariantGroup {
    /// The images to train on, and their name.
    fn training_images<'a>(&self, images: &AblationImages<'a>) -> (&'a Dataset, &'a str) {
        match self.report_images {
            true => (images.report, images.report_name),
            false => (&images.splits.train, &images.names[0]),
        }
    }

    /// The rows of run `run` (from 0), one per variant, without measurements.
    fn planned(&self, run: usize, images: &AblationImages, digest: &str) -> Vec<AblationRow> {
        let (train, train_name) = self.training_images(images);
        let [_, validation_name, test_name] = images.names.clone();
        let names = [train_name.into(), validation_name, test_name];
        let runs = ReplicationRow::planned(&self.plan, run, &names, images.splits.test.len());
        let row = |(run, &variant)| AblationRow { ablation: digest.into(), variant, train_images: train.len(), run };
        runs.into_iter().zip(&self.variants).map(row).collect()
    }

    /// Trains the variants with the seed of the `planned` rows, and returns these with what was measured.
    fn train(
        &self,
        planned: Vec<AblationRow>,
        data: Data,
        test: &Dataset,
        observer: &mut dyn Observer,
    ) -> Result<Vec<AblationRow>> {
        let runs = planned.iter().map(|row| row.run.clone()).collect();
        let measured = self.plan.train(runs, data, test, observer)?;
        Ok(planned.into_iter().zip(measured).map(|(row, run)| AblationRow { run, ..row }).collect())
    }
}

/// Trains the seeds of the plan's shard, those that the table in `folder` lacks if `resume`. Writes the table after every
/// seed and, for a whole ablation, the closing table and the figure at the end, also if training is interrupted. Returns the
/// rows of the closing table of a whole ablation, `None` for a shard.
///
/// # Errors
///
/// As [`replicate::run`](super::run).
pub fn run(
    plan: &AblationPlan,
    images: &AblationImages,
    folder: &Folder,
    resume: bool,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<ImprovementRow>>> {
    let AblationImages { splits, report, .. } = *images;
    plan.validate(splits.train.len(), report.len())?;
    let [full, report] = [&splits.train, report].map(Normalizer::fit);
    let (full, report) = (full?, report?);
    let data = |group: &VariantGroup| Data {
        train: group.training_images(images).0,
        validation: &splits.validation,
        normalizer: if group.report_images { &report } else { &full },
    };
    let digest = plan.digest(images);
    let planned = |run| plan.planned(run, images);
    let batches = |group: &VariantGroup| group.plan.batches(data(group).train.len());
    let batches_of_seed: usize = plan.groups.iter().map(batches).sum();
    let train = |run, seeds_left, observer: &mut dyn Observer| {
        let (mut rows, mut left) = (Vec::new(), batches_of_seed * seeds_left);
        for group in &plan.groups {
            observer.training(group.variants.len(), left);
            rows.extend(group.train(group.planned(run, images, &digest), data(group), &splits.test, observer)?);
            left -= batches(group);
        }
        Ok(rows)
    };
    let seeds = &plan.groups[0].plan;
    let (rows, stopped) = train_seeds(seeds, folder, resume, planned, train, observer)?;
    let whole = seeds.shard == Shard::WHOLE && !rows.is_empty();
    let improvements = whole.then(|| improvements(&rows)).transpose()?;
    if let Some(improvements) = &improvements {
        folder.write(&files(improvements, folder.dialect()))?;
    }
    stopped.map_or(Ok(improvements), Err)
}

/// The rows of `ablation_summary.csv` from those of a whole ablation, the largest gain first.
///
/// # Errors
///
/// [`Error::Merge`] if a row is there twice, a seed lacks a variant, the configuration itself is missing, or the numbers of
/// images contradict each other; those of [`Hyperparameters::decay`](crate::hyperparameters::Hyperparameters::decay).
pub fn improvements(rows: &[AblationRow]) -> Result<Vec<ImprovementRow>> {
    let runs = Replication::named(rows.iter().map(|row| (row.variant.to_string(), &row.run)))?;
    let first = |variant| rows.iter().find(|row| row.variant == variant);
    let full = first(Variant::Full).ok_or_else(|| Error::Merge("the runs of variant full are missing".into()))?;
    let mut improvements = Vec::new();
    for without in Variant::all().skip(1).filter_map(first) {
        let [a, b] = [full, without].map(|row| row.variant.to_string());
        let difference = runs.difference(&a, &b).expect("both have rows");
        improvements.push(ImprovementRow {
            improvement: without.variant.left_out().into(),
            description: without.variant.describe(full, without)?,
            mean_with: runs.mean(&a),
            mean_without: runs.mean(&b),
            difference,
        });
    }
    adjust(improvements.iter_mut().map(|row| &mut row.difference));
    let gain = |row: &ImprovementRow| row.difference.mean_difference.unwrap_or(f64::NEG_INFINITY);
    improvements.sort_by(|a, b| gain(b).total_cmp(&gain(a)));
    Ok(improvements)
}
