//! `onelayer audit`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use onelayer::audit::{self, Audit, Difference, End, Explanation, Given, Record, SEEDS};
use onelayer::dataset::cifar10::DIMS;
use onelayer::hyperparameters::{Hyperparameters, Origin, Shuffle};
use onelayer::statistics::{count, grouped, percent, scientific, short, typographic};
use onelayer::train::Observer;
use onelayer::train::elsewhere::Pixels;

use super::common::data::DataArgs;
use super::common::exit::{CANNOT_TELL, or_unreadable};
use super::common::rng::{Rng, RngOrder};

const AFTER_HELP: &str = "\
RUN.npz holds what you have of these arrays:
  W (10,3072) or (3072,10), b (10)     the parameters at the end
  W0, b0                               the start, if W is not drawn by NumPy
                                       as 0.01 * rng.standard_normal(W.shape)
  train_loss, train_cost, train_accuracy, validation_loss, validation_cost,
  validation_accuracy                  a value per epoch, or one more with
                                       that of the start
  test_accuracy                        at the end
  lambda, eta, batch_size, epochs, seed    used where no option is given

Other arrays are not read, and named.

Exit codes: 0 right, 1 a mistake or unexplained, 2 unreadable, 3 can't be told.

Examples:
  onelayer audit run.npz
  onelayer audit run.npz --lambda 0.1 --eta 0.001 --seed 42
  onelayer audit run.npz --rng-order shuffle --dataset sample";

/// Arguments of `audit`.
#[derive(clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// What you kept of the training
    #[arg(value_name = "RUN.npz")]
    run: PathBuf,
    /// Weight of the penalty λ·Σ weight² [default: that of the file, otherwise 0]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    lambda: Option<f64>,
    /// Learning rate η [default: that of the file, otherwise 0.001]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Images per mini-batch [default: that of the file, otherwise 100]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Passes over the training images [default: that of the file, otherwise the length of the curves]
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Seed of the start and the shuffling [default: that of the file, otherwise 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Generator of the start and the shuffling
    #[arg(long, value_enum, value_name = "RNG", default_value = "numpy")]
    rng: Rng,
    /// Order of the images of an epoch in a NumPy script, after it has drawn W [default: the one that the run agrees with]
    #[arg(long, value_enum, value_name = "ORDER")]
    rng_order: Option<RngOrder>,
    #[command(flatten)]
    data: DataArgs,
    /// Number of threads; the results do not depend on it [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print only the judgement, without the curves
    #[arg(long)]
    quiet: bool,
}

/// Audits the run and prints the judgement.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    or_unreadable(audit(args))
}

fn audit(args: &Args) -> anyhow::Result<ExitCode> {
    super::use_threads(args.threads)?;
    let path = &args.run;
    let bytes = onelayer::files::read(path).with_context(|| format!("cannot read RUN.npz {}", path.display()))?;
    let given = args.given()?;
    let record = Record::from_npz(&bytes, path, DIMS, &given)?;
    let splits = args.data.load(args.quiet)?.splits;
    let (origin, shuffle) = (args.rng.start(), args.shuffle());
    let audit = audit::audit(&record, &splits, &origin, shuffle, &mut Messages { quiet: args.quiet })
        .with_context(|| path.display().to_string())?;
    if !args.quiet {
        print_run(args, &record, &origin, &audit);
        print_differences(&audit);
    }
    let code = print_judgement(&record, &audit);
    if let Some(end) = &audit.end {
        print_end(end);
    }
    print_unread(&record);
    Ok(code)
}

impl Args {
    /// The hyperparameters that options give, if they are valid.
    fn given(&self) -> onelayer::Result<Given> {
        let Self { lambda, eta, batch_size, epochs, seed, .. } = *self;
        let default = Hyperparameters::default();
        let checked = Hyperparameters {
            lambda: lambda.unwrap_or(default.lambda),
            eta: eta.unwrap_or(default.eta),
            batch_size: batch_size.unwrap_or(default.batch_size),
            epochs: epochs.unwrap_or(default.epochs),
            ..default
        };
        checked.setting()?;
        checked.schedule().validate(self.data.training_images())?;
        Ok(Given { lambda, eta, batch_size, epochs, seed })
    }

    fn shuffle(&self) -> Option<Shuffle> {
        match (self.rng, self.rng_order) {
            (_, Some(RngOrder::None)) => Some(Shuffle::None),
            (Rng::Chacha8, _) => Some(Shuffle::ChaCha8),
            (Rng::Numpy, Some(RngOrder::Permutation)) => Some(Shuffle::NumpyPermutation),
            (Rng::Numpy, Some(RngOrder::Shuffle)) => Some(Shuffle::NumpyShuffle),
            (Rng::Numpy, None) => None,
        }
    }
}

/// Passes messages on to stderr.
struct Messages {
    quiet: bool,
}

impl Observer for Messages {
    fn message(&mut self, text: &str) {
        if !self.quiet {
            say!("{text}");
        }
    }
}

fn print_run(args: &Args, record: &Record, origin: &Origin, audit: &Audit) {
    let Hyperparameters { lambda, eta, batch_size, epochs, seed, .. } = &record.hyperparameters;
    let [lambda, eta] = [lambda, eta].map(|value| typographic(&short(*value)));
    let batch_size = grouped(*batch_size);
    show!(
        "{}: λ = {lambda}, η = {eta}, batches of {batch_size}, {}, seed {seed}",
        args.run.display(),
        count(*epochs, "epoch")
    );
    if !record.overridden.is_empty() {
        show!("from options, not from the file: {}", record.overridden.join(", "));
    }
    if !record.defaults.is_empty() {
        show!("not in the file, so the program's defaults: {}", record.defaults.join(", "));
    }
    let start = match (audit.start_is_given, origin) {
        (true, _) => "from W0".into(),
        (false, Origin::Numpy) => {
            let shape = if audit.drawn_transposed { "(3072, 10)" } else { "(10, 3072)" };
            format!("from W = 0.01 * rng.standard_normal({shape})")
        }
        (false, _) => "from the start of `onelayer train`".into(),
    };
    let order = match audit.shuffle {
        Shuffle::NumpyPermutation => "order = rng.permutation(n) at each epoch",
        Shuffle::NumpyShuffle => "rng.shuffle(order) at each epoch",
        Shuffle::ChaCha8 => "the shuffling of `onelayer train`",
        Shuffle::None | Shuffle::Unknown => "the images in file order",
    };
    show!("compared with the right training {start}, {order}\n");
}

fn print_differences(audit: &Audit) {
    for (name, Difference { largest, absolute, departs }) in &audit.curves {
        let text = match departs {
            None if *largest == 0.0 => "agrees".into(),
            None => format!("agrees, to {}", scientific(*largest, 1)),
            Some((0, found, expected)) => format!("departs at the start: {found:.7} instead of {expected:.7}"),
            Some((epoch, found, expected)) => {
                let [by, most] = [(found - expected).abs(), *absolute].map(|difference| scientific(difference, 1));
                format!("departs in epoch {epoch}: {found:.7} instead of {expected:.7}, by {by}; later by up to {most}")
            }
        };
        show!("{name:<20} {text}");
    }
    if let Some(distance) = audit.parameters {
        let verb = if audit.parameters_agree() == Some(true) { "agree, to" } else { "depart, by up to" };
        show!("{:<20} {verb} {} of the largest weight", "W and b", scientific(distance, 1));
    }
    if let Some(difference) = &audit.test_accuracy {
        let text = difference
            .departs
            .map_or("agrees".into(), |(_, found, expected)| format!("departs: {found:.4} instead of {expected:.4}"));
        show!("{:<20} {text}", "test_accuracy");
    }
    if !audit.curves.is_empty() || audit.parameters.is_some() || audit.test_accuracy.is_some() {
        show!("");
    }
}

/// Prints the judgement, and returns its exit code.
fn print_judgement(record: &Record, audit: &Audit) -> ExitCode {
    let Some(explained) = audit.explained() else { return print_unexplained(record, audit) };
    let best = explained[0];
    if best.drifts {
        show!(
            "The steps are so large that each multiplies the rounding errors so far: two right programs drift apart, so"
        );
        show!("the curves are compared only roughly, as trainings are whose starts differ in their last digits.");
    }
    if best.mistakes.is_empty() {
        return print_right(record, best);
    }
    if record.defaults.contains(&"eta") && explained.iter().any(|explanation| explanation.may_be_another_eta()) {
        return print_missing_eta(record, best);
    }
    match &explained[..] {
        [only] => show!("MISTAKE: {}.", sentence(only)),
        several => {
            show!("MISTAKE, one of these, which cannot be told apart here:");
            several.iter().for_each(|explanation| show!("  {}", sentence(explanation)));
        }
    }
    let (left, tried) = (scientific(best.unexplained, 1), audit.tried);
    if best.drifts {
        show!("No other of the {tried} known mistakes has such curves.");
    } else {
        let what = if record.unread.is_empty() { "everything in the file" } else { "everything that was read" };
        show!("This explains {what}, to {left}; no other of the {tried} known mistakes does.");
    }
    ExitCode::FAILURE
}

/// Prints that what looks like a mistake may be a learning rate that the file does not have.
fn print_missing_eta(record: &Record, best: &Explanation) -> ExitCode {
    let eta = short(record.hyperparameters.eta);
    show!(
        "The file has no eta: give that of the run with --eta, or save it. With the default, {eta}, the run would have a"
    );
    show!("mistake: {}.", sentence(best));
    ExitCode::from(CANNOT_TELL)
}

fn print_unexplained(record: &Record, audit: &Audit) -> ExitCode {
    if !record.can_be_followed() {
        show!("There is too little to follow the training: save W, b and the losses of each epoch to find a mistake.");
        return ExitCode::from(CANNOT_TELL);
    }
    let tried = audit.tried;
    if let Some([agreeing, departing]) = audit.partly_right() {
        show!("PARTLY RIGHT. This departs from the right training:");
        departing.into_iter().for_each(|name| show!("  {}", departure(name, audit)));
        show!("This agrees: {}.", agreeing.join(", "));
        show!(
            "None of the {tried} known mistakes explains the difference. Is it of another run, epoch or split, or computed"
        );
        show!("otherwise?");
        return ExitCode::FAILURE;
    }
    show!("The run is not the right training with these hyperparameters, and none of the {tried} known mistakes");
    show!(
        "explains it. Is it another seed, start (W0, b0), generator (--rng), order (--rng-order), λ, η, batch size, split or"
    );
    show!("data set (--dataset, --data-dir)?");
    if !record.defaults.is_empty() {
        let options: Vec<_> = record.defaults.iter().map(|name| format!("--{}", name.replace('_', "-"))).collect();
        show!("Not in the file: {}. Give {}.", record.defaults.join(", "), options.join(", "));
    }
    ExitCode::FAILURE
}

/// How `name` departs from the right training.
fn departure(name: &str, audit: &Audit) -> String {
    let of_curve = audit.curves.iter().find(|(curve, _)| *curve == name).and_then(|(_, difference)| difference.departs);
    let of_test = audit.test_accuracy.and_then(|difference| difference.departs).filter(|_| name == "test_accuracy");
    match (of_curve, of_test, audit.parameters) {
        (Some((epoch, found, expected)), ..) => {
            format!("{name} is {found:.7} in epoch {epoch}, where the right training has {expected:.7}.")
        }
        (_, Some((_, found, expected)), _) => {
            format!("{name} is {found:.4}, where the right training has {expected:.4}.")
        }
        (.., distance) => {
            let distance = scientific(distance.unwrap_or(f64::NAN), 1);
            format!("{name} differ by up to {distance} of the largest weight from those of the right training.")
        }
    }
}

/// Prints the names of the arrays that are not read, each with the one that was probably meant.
fn print_unread(record: &Record) {
    let name = |(name, meant): &(String, Option<&str>)| match meant {
        Some(meant) => format!("{name} (did you mean {meant}?)"),
        None => name.clone(),
    };
    if !record.unread.is_empty() {
        show!("Not read: {}.", record.unread.iter().map(name).collect::<Vec<_>>().join(", "));
    }
}

fn print_right(record: &Record, right: &Explanation) -> ExitCode {
    if right.drifts {
        show!(
            "The run is like the right training. A mistake that changes little could hide: use a smaller η to see it."
        );
        return ExitCode::from(CANNOT_TELL);
    }
    let what =
        if record.unread.is_empty() { "everything in the file" } else { "everything that was read from the file" };
    show!("RIGHT: {what} agrees with the right training, to {}.", scientific(right.unexplained, 1));
    for blind in blind_spots(record) {
        show!("{blind}");
    }
    ExitCode::SUCCESS
}

fn sentence(explanation: &Explanation) -> String {
    let mistakes: Vec<_> = explanation.mistakes.iter().map(ToString::to_string).collect();
    typographic(&mistakes.join("; and "))
}

/// What a right run cannot show.
fn blind_spots(record: &Record) -> Vec<&'static str> {
    let mut blind = Vec::new();
    if record.hyperparameters.lambda == 0.0 {
        blind.push("At λ = 0, a mistake in the penalty or between loss and cost cannot be seen.");
    }
    if record.curves.is_empty() {
        blind.push("Without curves, a mistake in recording them cannot be seen.");
    }
    blind
}

fn print_end(end: &End) {
    let mut text = format!("Test accuracy {} %", percent(end.test_accuracy));
    if let Some(pixels) = end.pixels.filter(|&pixels| pixels != Pixels::Normalised) {
        text += &format!(", with {pixels}");
    }
    if let Some(right) = end.right {
        let place = if right.contains(end.test_accuracy) { "inside" } else { "outside" };
        let (low, high) = (percent(right.low), percent(right.high));
        text +=
            &format!(": {place} the 95 % prediction interval of right trainings, {low} to {high} % ({SEEDS} seeds)");
    }
    show!("{text}.");
    if let Some(suspicion) = &end.suspicion {
        show!("The model is suspicious: {suspicion}.");
    }
}
