//! The variants of an ablation: a configuration, the same without one of its improvements, and the report's protocol.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::files::csv::cells;
use crate::hyperparameters::{Schedule, Setting};
use crate::replicate::ablation::table::AblationRow;
use crate::statistics::short;

/// The setting that the others are compared with: the report's without a penalty, at its small learning rate.
const REPORT: Setting = Setting::REPORT[1];

/// What a configuration may choose otherwise than the report does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Improvement {
    /// λ, the weight of the penalty.
    Lambda,
    /// η, the learning rate.
    Eta,
    /// The loss.
    Loss,
    /// The decay of the learning rate.
    Decay,
    /// The probability of a flip.
    Flip,
    /// The number of examples per mini-batch.
    BatchSize,
    /// The training images.
    Images,
}

/// A configuration with all its improvements, or without some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// With all.
    #[default]
    Full,
    /// Without this one, for which it has the report's choice.
    Without(Improvement),
    /// Without any, which is the report's protocol but for the number of epochs.
    Report,
}

/// What a variant is trained with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// λ, η, loss and decay.
    pub setting: Setting,
    /// Epochs, batch size, shuffling and flips; its seed is not used.
    pub schedule: Schedule,
    /// True if the training images are those of the report.
    pub report_images: bool,
}

impl Improvement {
    /// All improvements.
    pub const ALL: [Improvement; 7] =
        [Self::Lambda, Self::Eta, Self::Loss, Self::Decay, Self::Flip, Self::BatchSize, Self::Images];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Eta => "eta",
            Self::Loss => "loss",
            Self::Decay => "decay",
            Self::Flip => "flip",
            Self::BatchSize => "batch_size",
            Self::Images => "images",
        }
    }

    /// `recipe` with the report's choice.
    fn left_out_of(self, mut recipe: Recipe) -> Recipe {
        match self {
            Self::Lambda => recipe.setting.lambda = REPORT.lambda,
            Self::Eta => recipe.setting.eta = REPORT.eta,
            Self::Loss => recipe.setting.loss = REPORT.loss,
            Self::Decay => recipe.setting.decay = REPORT.decay,
            Self::Flip => recipe.schedule.flip = Schedule::REPORT.flip,
            Self::BatchSize => recipe.schedule.batch_size = Schedule::REPORT.batch_size,
            Self::Images => recipe.report_images = true,
        }
        recipe
    }

    /// The choice of the row `with`, and that of the row `without` unless it is to do without.
    fn describe(self, with: &AblationRow, without: &AblationRow) -> Result<String> {
        let [a, b] = [with, without].map(|row| &row.run.hyperparameters);
        Ok(match self {
            Self::Lambda => format!("λ = {} instead of {}", short(a.lambda), short(b.lambda)),
            Self::Eta => format!("η = {} instead of {}", short(a.eta), short(b.eta)),
            Self::Loss => format!("{} instead of {}", a.loss.title(), b.loss.title()),
            Self::Decay => a.decay()?.map_or("constant η".into(), |decay| format!("η {}", decay.title())),
            Self::Flip => format!("random flips with probability {}", short(a.flip)),
            Self::BatchSize => format!("batches of {} instead of {}", a.batch_size, b.batch_size),
            Self::Images => format!("{} images instead of {}", with.train_images, without.train_images),
        })
    }
}

impl Variant {
    /// Every variant that a configuration can have, beginning with [`Variant::Full`].
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Full].into_iter().chain(Improvement::ALL.map(Self::Without)).chain([Self::Report])
    }

    /// The recipe of this variant of a configuration with the recipe `full`.
    fn of(self, full: Recipe) -> Recipe {
        match self {
            Self::Full => full,
            Self::Without(improvement) => improvement.left_out_of(full),
            Self::Report => Improvement::ALL.iter().fold(full, |recipe, improvement| improvement.left_out_of(recipe)),
        }
    }

    /// The name of the improvement that it lacks, if there is only one; otherwise `all` or, of the configuration itself,
    /// `none`.
    pub(super) fn left_out(self) -> &'static str {
        match self {
            Self::Full => "none",
            Self::Without(improvement) => improvement.name(),
            Self::Report => "all",
        }
    }

    /// The choices of the configuration, whose row is `full`, and those of this variant, whose row is `without`, where they
    /// differ.
    ///
    /// # Errors
    ///
    /// Those of [`Hyperparameters::decay`](crate::hyperparameters::Hyperparameters::decay).
    pub(super) fn describe(self, full: &AblationRow, without: &AblationRow) -> Result<String> {
        match self {
            Self::Without(improvement) => improvement.describe(full, without),
            Self::Full | Self::Report => Ok("all of these".into()),
        }
    }

    /// The variants of a configuration with the recipe `full`, each with its recipe; none has the recipe of another.
    ///
    /// # Errors
    ///
    /// [`Error::NoImprovement`] if the configuration has none.
    pub(super) fn of_configuration(full: Recipe) -> Result<Vec<(Self, Recipe)>> {
        let mut variants: Vec<(Self, Recipe)> = Vec::new();
        for variant in Self::all() {
            let recipe = variant.of(full);
            if variants.iter().all(|(_, other)| *other != recipe) {
                variants.push((variant, recipe));
            }
        }
        if variants.len() < 2 {
            return Err(Error::NoImprovement);
        }
        Ok(variants)
    }
}

/// `full`, `without_flip` for example, or `report`.
impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("full"),
            Self::Without(improvement) => write!(f, "without_{}", improvement.name()),
            Self::Report => f.write_str("report"),
        }
    }
}

impl FromStr for Variant {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let variant = Self::all().find(|variant| variant.to_string() == text);
        variant.ok_or_else(|| Error::invalid("variant", "full, report or such as without_flip", text))
    }
}

cells! {
    Variant: "full, report or such as without_flip", number: false;
}
