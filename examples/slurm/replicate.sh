#!/usr/bin/env bash
#SBATCH --job-name=onelayer-replicate
#SBATCH --array=1-8
#SBATCH --cpus-per-task=2
#SBATCH --mem=1G
#SBATCH --time=00:30:00
#SBATCH --output=shards/%a.log
#
# Runs `onelayer replicate` as a job array: each task trains one shard of the seeds in its own folder.
#
#   mkdir -p shards
#   sbatch examples/slurm/replicate.sh
#
# and, after all tasks have finished,
#
#   onelayer merge shards/*/ --out results
#
# SEEDS sets the number of seeds, SHARDS the folder; arguments after the script's name are passed to `replicate`. A task
# that was stopped by its time limit or by a machine failure resumes when it is submitted again:
#
#   sbatch --array=3 --export=ALL,TASKS=8 examples/slurm/replicate.sh
set -euo pipefail

# Total number of tasks. Slurm knows it unless only some tasks are submitted again; then set TASKS.
tasks=${TASKS:-${SLURM_ARRAY_TASK_COUNT:?start this script with sbatch: it is a job array}}
task=$SLURM_ARRAY_TASK_ID
exec onelayer replicate --seeds "${SEEDS:-400}" --shard "$task/$tasks" --out "${SHARDS:-shards}/$task" --resume \
    --threads "${SLURM_CPUS_PER_TASK:-1}" --quiet "$@"
