#!/bin/sh
# Scan a million clips as a job array, one shard a task:
#
#     sbatch --array=1-64 --cpus-per-task=8 deploy/slurm/array.sh clips.parquet /scratch/run
#
# and when all tasks are done:
#
#     unmask merge /scratch/run --parquet verdicts --csv scores.csv
#
# The first argument is what to scan, best a manifest (unmask manifest videos/ -r --out clips.parquet); the second a
# folder that all nodes see; the others go to unmask scan. A task that was requeued, or is submitted again with
# --array=N, goes on where it was.
#SBATCH --job-name=unmask
#SBATCH --array=1-8
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --signal=TERM@60
#SBATCH --open-mode=append
set -eu
if [ $# -lt 2 ]; then
    echo "usage: sbatch --array=1-N array.sh INPUT RUN [option of unmask scan ...]" >&2
    exit 2
fi
input=$1 run=$2
shift 2
: "${SLURM_ARRAY_TASK_MIN:?this runs as a job array: sbatch --array=1-N}"
# Arrays may be numbered from 0 or from 1; a task that is submitted alone names their count: UNMASK_SHARDS=64.
shards=${UNMASK_SHARDS:-$SLURM_ARRAY_TASK_COUNT}
shard=$((SLURM_ARRAY_TASK_ID - ${UNMASK_FIRST:-$SLURM_ARRAY_TASK_MIN} + 1))
exec "${UNMASK:-unmask}" scan "$input" --out "$run" --shard "$shard/$shards" --resume \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
