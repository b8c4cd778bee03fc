"""The protocol in NumPy, independent of the Rust code: writes tests/numpy/losses.csv.

    python3 tests/numpy/train.py start.npz losses.csv [--data FOLDER] [--epochs 5]

writes a random start (arrays W and b), and the losses and costs of gradient descent from it in file order, in float64,
for the report's three stable settings. FOLDER contains train.bin and validation.bin, as data/sample does.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

# (lambda, eta) of the report, without (0, 0.1), where rounding is amplified and two correct programs drift apart.
SETTINGS = [(0.0, 0.001), (0.1, 0.001), (1.0, 0.001)]


def read(path):
    records = np.fromfile(path, np.uint8).reshape(-1, 3073)
    return records[:, 1:] / 255.0, records[:, 0]


def probabilities(x, weight, bias):
    logits = x @ weight.T + bias
    logits -= logits.max(axis=1, keepdims=True)
    p = np.exp(logits)
    return p / p.sum(axis=1, keepdims=True)


def loss(x, y, weight, bias):
    return -np.log(probabilities(x, weight, bias)[np.arange(len(y)), y]).mean()


def train(splits, weight, bias, lam, eta, epochs, batch_size):
    weight, bias = weight.astype(float), bias.astype(float)
    (x, y), validation = splits
    for epoch in range(1, epochs + 1):
        for i in range(0, len(y), batch_size):
            xb, yb = x[i : i + batch_size], y[i : i + batch_size]
            dlogits = probabilities(xb, weight, bias)
            dlogits[np.arange(len(yb)), yb] -= 1
            dlogits /= len(yb)
            weight -= eta * (dlogits.T @ xb + 2 * lam * weight)
            bias -= eta * dlogits.sum(axis=0)
        losses = [loss(*split, weight, bias) for split in ((x, y), validation)]
        penalty = lam * (weight**2).sum()
        yield epoch, losses[0], losses[0] + penalty, losses[1], losses[1] + penalty


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("start")
    arguments.add_argument("losses")
    arguments.add_argument("--data", default="data/sample", type=Path)
    arguments.add_argument("--files", default=["train.bin", "validation.bin"], nargs=2)
    arguments.add_argument("--epochs", default=5, type=int)
    # 1,000 is not a multiple of 96: the last batch of an epoch has 40 examples.
    arguments.add_argument("--batch-size", default=96, type=int)
    options = arguments.parse_args()

    generator = np.random.default_rng(0)
    weight = generator.normal(0, 0.01, (10, 3072)).astype(np.float32)
    bias = generator.normal(0, 0.01, 10).astype(np.float32)
    np.savez(options.start, W=weight, b=bias)

    splits = [read(options.data / name) for name in options.files]
    mean, std = splits[0][0].mean(axis=0), splits[0][0].std(axis=0)
    splits = [((x - mean) / std, y) for x, y in splits]
    with open(options.losses, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow("lambda eta epoch train_loss train_cost validation_loss validation_cost".split())
        for lam, eta in SETTINGS:
            for row in train(splits, weight, bias, lam, eta, options.epochs, options.batch_size):
                out.writerow((lam, eta) + row)


main()
