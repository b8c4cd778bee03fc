#!/usr/bin/env bash
#SBATCH --job-name=onelayer-replicate
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=00:30:00
#SBATCH --output=shards/%a.log
#
# `onelayer replicate` as a job array: each task trains one shard of the seeds, in a folder of its own.
#
#   mkdir -p shards
#   sbatch examples/slurm/replicate.sh
#
# and, when all tasks have ended,
#
#   onelayer merge shards/*/replication_shard*.csv --out results
#
# SEEDS changes the number of seeds, SHARDS the folder; whatever stands after the script's name goes to `replicate`. A task
# that was stopped, by its time limit or by a failure of its machine, goes on where it was when it is submitted again:
#
#   sbatch --array=3 --export=ALL,TASKS=8 examples/slurm/replicate.sh
set -euo pipefail

# Of how many tasks this is one: Slurm knows it, unless only some are submitted again.
tasks=${TASKS:-${SLURM_ARRAY_TASK_COUNT:?this is a job array, to be started by sbatch}}
task=$SLURM_ARRAY_TASK_ID
exec onelayer replicate --seeds "${SEEDS:-400}" --shard "$task/$tasks" --out "${SHARDS:-shards}/$task" --resume \
    --threads "${SLURM_CPUS_PER_TASK:-1}" --quiet "$@"
