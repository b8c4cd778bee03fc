//! `--shard`: the argument of the commands whose runs can be split over several processes.

use onelayer::shard::Shard;

/// Which part of the job is done.
#[derive(clap::Args)]
pub struct ShardArgs {
    /// Do part I of N of the runs, for N processes or machines; `onelayer merge` joins their tables
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE, hide_default_value = true)]
    pub shard: Shard,
}
