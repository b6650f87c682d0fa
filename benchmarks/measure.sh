#!/usr/bin/env bash
# Measure the numbers of the docs anew, on one commit and a machine that does nothing else, and put them into the docs:
#
#   benchmarks/measure.sh layers   with gates, 100, 300 and 1,000 models           about 25 minutes on 2 quiet cores
#   benchmarks/measure.sh nodes    without gates, the same                         about 20 minutes
#   benchmarks/measure.sh coarse   1,000 models, a task for a model and its tests  about 10 minutes
#   benchmarks/measure.sh cosmos   10 and 100 models beside Cosmos                 about 35 minutes
#   benchmarks/measure.sh growth   what a run costs as it grows                    about 15 minutes
#
# Several names measure several; ROUNDS (3) sets how often each variant runs, after one run that is not counted and not
# in these times.
set -euo pipefail
cd "$(dirname "$0")/.."

engines() {
    name=$1
    shift
    echo "== $name (after $SECONDS s)"
    uv run --no-sync python benchmarks/engines.py --json "benchmarks/results/engines-$name.json" "$@"
}

rounds=${ROUNDS:-3}
both=(--variants "dbt_build,shared" --warm-up)
for set in "$@"; do
    case $set in
        layers) for n in 100 300 1000; do engines "$n-layer" --models "$n" --gate layer "${both[@]}" --repeat "$rounds"; done ;;
        nodes) for n in 100 300 1000; do engines "$n-node" --models "$n" --gate node "${both[@]}" --repeat "$rounds"; done ;;
        coarse) engines 1000-layer-model --models 1000 --gate layer --tasks model "${both[@]}" --repeat "$rounds" ;;
        cosmos)
            engines 10-layer-cosmos --models 10 --variants dbt_build,shared,isolated,cosmos_watcher,cosmos_local --repeat 1
            engines 100-layer-cosmos --models 100 --variants dbt_build,isolated,cosmos_watcher --repeat 1
            ;;
        growth)
            uv run --no-sync python benchmarks/growth.py --cases 10,100,300,1000,1000:model,3000:model \
                --json benchmarks/results/growth.json
            ;;
        *)
            echo "No set $set: layers, nodes, coarse, cosmos, growth" >&2
            exit 2
            ;;
    esac
done
uv run --no-sync python benchmarks/docs.py
