#!/usr/bin/env bash
# What dist_train.sh and dist_test.sh share: one process a GPU, by torchrun.
#   bash tools/dist_run.sh GPUS SCRIPT [arguments of the tool]
set -euo pipefail

gpus=$1 tool=$2
shift 2
exec "${PYTHON:-python}" "$(dirname "$0")/torchrun.py" \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$gpus" \
    "$tool" "$@" --launcher pytorch
