#!/bin/sh
# Six papers in one net, from its training to a file that runs without archc: docs/six.md tells what each
# step does. It takes Fashion-MNIST, and a FOLDER for the runs (runs/six).
set -eu
runs=${1:-runs/six}
threads=${THREADS:-2}

# DenseNet, MSDNet, stochastic depth: the net. Snapshots and the sparsity term: its recipe.
archc train dense_grid --set growth=6 --set stages=3 --data fashion-mnist --val 5000 \
    --recipe dense_grid --epochs 4 --recipe-set schedule.cycles=2 --threads "$threads" --out "$runs/wide"

# Network slimming: half of the multiply-accumulates, by the scales that the sparsity term has made small.
archc slim "$runs/wide" --target-macs 50% -o "$runs/thin"

# Trained further, in three cycles: a snapshot at the end of each.
archc train "$runs/thin" --recipe dense_grid --recipe-set sparsity=null --threads "$threads" --out "$runs/tuned"

# The snapshots together, under a budget of half of what all of them cost at their last exits.
archc calibrate "$runs/tuned" --ensemble all --budget 50%
archc eval "$runs/tuned" --ensemble all --budgets

# One file for other runtimes, in which images leave at these thresholds.
archc export "$runs/tuned" --ensemble all --exits cond --onnx "$runs/ensemble.onnx"
