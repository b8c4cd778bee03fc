//! `onelayer replicate --ablate`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use onelayer::hyperparameters::{Hyperparameters, readable};
use onelayer::replicate::ablation::table::{AblationRow, ImprovementRow};
use onelayer::replicate::ablation::{self, AblationImages, AblationPlan, Recipe, Seeds};
use onelayer::shard::Sharded;
use onelayer::statistics::percent;
use onelayer::train::config::Config;

use super::{Args, difference_cells, print_wrapped, width};
use crate::cli::common::data::DataArgs;
use crate::cli::common::observer::Work;
use crate::cli::common::table::or_dash;
use crate::cli::common::{input, signals};
use crate::cli::use_threads;

/// Trains the seeds that are left of the ablation of the configuration in the file `path`, and prints the result of a whole one.
pub fn run(args: &Args, path: &Path) -> anyhow::Result<ExitCode> {
    // Invalid arguments are refused before the data are downloaded.
    let config = Config::from_toml(&input::read_text(path, "--ablate")?, path)?;
    let refusal = || format!("cannot use --ablate {}", path.display());
    let data = args.data.clone().or(&config.images);
    if !args.quiet {
        input::advise_about_config(path, &config, &args.data);
    }
    data.check()?;
    let plan = args.ablation(&config.hyperparameters, &data).with_context(refusal)?;
    use_threads(args.threads)?;
    signals::listen()?;
    let folder = args.out.open()?;
    let loaded = data.load(args.quiet)?;
    let other = if data.trains_as_report() { None } else { Some(data.load_report(args.quiet)?) };
    let (report, report_name) = other.as_ref().map_or((&loaded.splits.train, &loaded.names[0]), |(r, name)| (r, name));
    let images = AblationImages { splits: &loaded.splits, names: &loaded.names, report, report_name };
    let mut work = Work::new(args.quiet);
    let whole = ablation::run(&plan, &images, &folder, args.resume, &mut work)?;
    drop(work);
    match whole {
        Some(improvements) => {
            print(&improvements);
            args.out.say_results(false, args.quiet);
        }
        None => args.print_shard(&folder.path().join(args.shard.table(AblationRow::JOB))),
    }
    Ok(ExitCode::SUCCESS)
}

impl Args {
    /// The ablation of a configuration with these hyperparameters, which is trained on these images.
    fn ablation(&self, hyperparameters: &Hyperparameters, data: &DataArgs) -> onelayer::Result<AblationPlan> {
        let mut schedule = hyperparameters.schedule();
        let setting = hyperparameters.setting()?;
        setting.check_decay(schedule.epochs)?;
        schedule.shuffle = self.rng.shuffle().unwrap_or(schedule.shuffle);
        let full = Recipe { setting, schedule, report_images: data.trains_as_report() };
        let seeds = Seeds {
            start: self.rng.start().unwrap_or(hyperparameters.start.clone()),
            first: self.first_seed,
            count: self.seeds,
            shard: self.shard,
        };
        let plan = AblationPlan::new(full, &seeds)?;
        plan.validate(data.training_images(), usize::MAX)?;
        Ok(plan)
    }
}

/// Prints the rows of the closing table.
pub fn print(improvements: &[ImprovementRow]) {
    let with = improvements.first().and_then(|row| row.mean_with);
    show!("The configuration has a mean test accuracy of {} %.", or_dash(with, percent));
    show!("Without one of its improvements, in %, and the mean gain of it, in points, with");
    show!("its 95 % confidence interval:\n");
    let name = width(improvements.iter().map(|row| &row.description));
    show!("{:name$}   n without    gain interval         p (Holm)", "");
    for row in improvements {
        let [gain, range, p] = difference_cells(&row.difference);
        let without = or_dash(row.mean_without, percent);
        let description = readable(&row.description);
        show!("{description:name$} {:>3} {without:>7} {gain:>7} {range:16} {p}", row.difference.n);
    }
    show!();
    print_wrapped(&format!("{}. {}", ablation::P_VALUES, ablation::SCOPE));
}
