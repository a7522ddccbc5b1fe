#!/usr/bin/env bash
# Train on several GPUs of one or more machines:
#   bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]
# On each of several machines: NNODES=2 NODE_RANK=0 MASTER_ADDR=... bash tools/dist_train.sh ...
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: bash tools/dist_train.sh CONFIG GPUS [options of tools/train.py]" >&2
    exit 2
fi
config=$1 gpus=$2
shift 2
exec bash "$(dirname "$0")/dist_run.sh" "$gpus" "$(dirname "$0")/train.py" "$config" "$@"
