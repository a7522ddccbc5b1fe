#!/usr/bin/env bash
# Evaluate on several GPUs of one or more machines:
#   bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: bash tools/dist_test.sh CONFIG CHECKPOINT GPUS [options of tools/test.py]" >&2
    exit 2
fi
config=$1 checkpoint=$2 gpus=$3
shift 3
exec bash "$(dirname "$0")/dist_run.sh" "$gpus" "$(dirname "$0")/test.py" "$config" "$checkpoint" "$@"
