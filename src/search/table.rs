//! The table `search.csv`, a row a trial, and what it says again when it is read.

use std::path::Path;

use crate::error::{Error, Result};
use crate::evaluate::Scores;
use crate::figures::{HeatMapTrial, search_figure};
use crate::files::csv::row;
use crate::hyperparameters::{Hyperparameters, Loss, Origin};
use crate::search::{Outcome, Plan};
use crate::shard::{Shard, Sharded};
use crate::statistics::standard_error;

row! {
    /// A trial that was trained.
    ///
    /// What was measured is `None` where training diverged.
    #[derive(Clone, Debug, PartialEq)]
    pub struct SearchRow {
        /// The trial's number, from 1.
        pub trial: usize,
        /// How many trials the search has.
        pub trials: usize,
        /// What the trials of one search have in common: the digest of them all.
        pub search: String,
        /// The part of the search that the trial was done in, such as `1/1`.
        pub shard: Shard,
        /// The setting's name, as it stands in file names.
        pub setting: String,
        /// The hyperparameters.
        pub hyperparameters: Hyperparameters,
        /// What the validation split is made of.
        pub validation_split: String,
        /// How many images it has.
        pub validation_images: usize,
        /// Loss on the validation split.
        pub validation_loss: Option<f64>,
        /// Cost on the validation split.
        pub validation_cost: Option<f64>,
        /// Accuracy on the validation split.
        pub validation_accuracy: Option<f64>,
        /// The standard error of the accuracy, that of a proportion.
        pub validation_standard_error: Option<f64>,
        /// Seconds of training: the trial's share of those of its group.
        pub train_seconds: f64,
    }
}

impl Sharded for SearchRow {
    fn job(&self) -> String {
        format!(
            "search {} of {} trials, {} epochs, seed {}, validated on {}",
            self.search, self.trials, self.hyperparameters.epochs, self.hyperparameters.seed, self.validation_split
        )
    }

    fn runs(&self) -> usize {
        self.trials
    }

    fn run(&self) -> usize {
        self.trial.wrapping_sub(1)
    }

    fn shard(&self) -> Shard {
        self.shard
    }

    fn set_whole(&mut self) {
        self.shard = Shard::WHOLE;
    }
}

/// What a search is chosen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validation<'a> {
    /// What the split is made of.
    pub split: &'a str,
    /// How many images it has.
    pub images: usize,
}

impl SearchRow {
    /// The row of an outcome.
    pub fn new(plan: &Plan, outcome: &Outcome, shard: Shard, validation: Validation) -> Self {
        let trial = &plan.trials[outcome.trial];
        let scores = outcome.validation;
        Self {
            trial: outcome.trial + 1,
            trials: plan.trials.len(),
            search: plan.digest(),
            shard,
            setting: trial.setting.name(),
            hyperparameters: Hyperparameters::new(trial.setting, &plan.schedule(trial), &Origin::Random),
            validation_split: validation.split.into(),
            validation_images: validation.images,
            validation_loss: scores.map(|s| s.loss),
            validation_cost: scores.map(|s| s.cost),
            validation_accuracy: scores.map(|s| s.accuracy),
            validation_standard_error: scores.map(|s| standard_error(s.accuracy, validation.images)),
            train_seconds: outcome.seconds,
        }
    }

    fn outcome(&self) -> Outcome {
        let scores = || {
            Some(Scores {
                loss: self.validation_loss?,
                cost: self.validation_cost?,
                accuracy: self.validation_accuracy?,
            })
        };
        Outcome { trial: self.trial.wrapping_sub(1), validation: scores(), seconds: self.train_seconds }
    }
}

/// The outcomes that `rows` hold, which were read from `path`.
///
/// # Errors
///
/// [`Error::Format`] unless each row is one of a different trial of `plan`, done in `shard` and judged on `validation`.
pub fn outcomes(
    rows: &[SearchRow],
    plan: &Plan,
    shard: Shard,
    validation: Validation,
    path: &Path,
) -> Result<Vec<Outcome>> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for row in rows {
        let outcome = row.outcome();
        let refuse = |reason: String| Error::format(path, reason);
        if outcome.trial >= plan.trials.len() {
            return Err(refuse(format!(
                "there is a trial {}, but this search has {}: {OTHER_SEARCH}",
                row.trial,
                plan.trials.len()
            )));
        }
        let planned = SearchRow::new(plan, &outcome, shard, validation);
        if planned != *row {
            return Err(refuse(format!(
                "trial {} is {}, but in this search {}: {OTHER_SEARCH}",
                row.trial,
                describe(row),
                describe(&planned)
            )));
        }
        if outcomes.iter().any(|other| other.trial == outcome.trial) {
            return Err(refuse(format!("trial {} is there twice", row.trial)));
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

const OTHER_SEARCH: &str = "it belongs to another search; give the same options, or another --out";

/// What makes a trial what it is.
fn describe(row: &SearchRow) -> String {
    format!(
        "{} of {}, shard {} ({}, batches of {}, flips {}, {} epochs, seed {}, validated on {})",
        row.trial,
        row.trials,
        row.shard,
        row.setting,
        row.hyperparameters.batch_size,
        row.hyperparameters.flip,
        row.hyperparameters.epochs,
        row.hyperparameters.seed,
        row.validation_split
    )
}

/// The content of `search.png`: one heat map per loss.
pub fn figure(rows: &[SearchRow]) -> Vec<u8> {
    search_figure(&Loss::ALL.map(|loss| {
        let rows = rows.iter().filter(|row| row.hyperparameters.loss == loss);
        let trial = |row: &SearchRow| HeatMapTrial {
            lambda: row.hyperparameters.lambda,
            eta: row.hyperparameters.eta,
            accuracy: row.validation_accuracy,
        };
        (loss.name(), rows.map(trial).collect())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::csv::{Dialect, from_csv, to_csv};
    use crate::hyperparameters::{Decay, Schedule, Setting};
    use crate::search::Trial;

    const PATH: &str = "search.csv";
    const VALIDATION: Validation =
        Validation { split: "the last 50 images of each class of sample/train.bin", images: 500 };

    fn plan() -> Plan {
        let trial = |lambda, loss, decay| Trial {
            setting: Setting::new(lambda, 0.01).unwrap().with_loss(loss).with_decay(decay),
            batch_size: 50,
            flip: 0.5,
        };
        Plan {
            trials: vec![
                trial(0.1, Loss::Softmax, None),
                trial(0.001, Loss::Bce, Some(Decay::new(5, 0.3).unwrap())),
                trial(1.0, Loss::Bce, None),
            ],
            schedule: Schedule::REPORT,
        }
    }

    fn found() -> Vec<Outcome> {
        let scores = Scores { loss: 1.7, cost: 1.9, accuracy: 0.36 };
        [(2, None), (0, Some(scores)), (1, Some(scores))]
            .map(|(trial, validation)| Outcome { trial, validation, seconds: 0.25 })
            .to_vec()
    }

    fn table() -> Vec<SearchRow> {
        let row = |outcome| SearchRow::new(&plan(), outcome, Shard::WHOLE, VALIDATION);
        found().iter().map(row).collect()
    }

    #[test]
    fn a_search_that_was_interrupted_reads_back_as_it_was() {
        let path = Path::new(PATH);
        let rows: Vec<SearchRow> = from_csv(&to_csv(&table(), Dialect::Comma), path).unwrap();
        assert_eq!(rows, table());
        assert_eq!(outcomes(&rows, &plan(), Shard::WHOLE, VALIDATION, path).unwrap(), found());
    }

    #[test]
    fn the_standard_error_stands_beside_the_accuracy() {
        // sqrt(0.36 * 0.64 / 500)
        let row = &table()[1];
        assert!((row.validation_standard_error.unwrap() - 0.021_466_252_583_997_98).abs() < 1e-15);
        assert_eq!(table()[0].validation_standard_error, None);
    }

    #[test]
    fn a_table_of_another_search_is_refused() {
        let refusal = |plan: &Plan, validation, rows: &[SearchRow]| {
            let error = outcomes(rows, plan, Shard::WHOLE, validation, Path::new(PATH)).unwrap_err();
            error.to_string()
        };
        let other = "it belongs to another search";
        let mut shorter = plan();
        shorter.trials.truncate(2);
        let message = refusal(&shorter, VALIDATION, &table());
        assert!(message.contains("there is a trial 3, but this search has 2: it"));

        let mut seed = plan();
        seed.schedule.seed += 1;
        let mut flip = plan();
        flip.trials[1].flip = 0.0;
        let mut decay = plan();
        decay.trials[1].setting = decay.trials[1].setting.with_decay(None);
        for plan in [seed, flip, decay] {
            let message = refusal(&plan, VALIDATION, &table());
            assert!(message.contains(other), "{message}");
        }
        let elsewhere = Validation { split: "data_batch_5.bin", ..VALIDATION };
        assert!(refusal(&plan(), elsewhere, &table()).contains("data_batch_5.bin"));

        let twice = [table(), table()].concat();
        assert!(refusal(&plan(), VALIDATION, &twice).contains("trial 3 is there twice"));
        let mut none = table();
        none[0].trial = 0;
        assert!(refusal(&plan(), VALIDATION, &none).contains("trial 0"));
    }
}
