"""Whole trainings in NumPy, right ones and one for each mistake that `onelayer audit` knows, independent of the Rust code.

    python3 tests/numpy/runs.py OUT [MISTAKE ...] [--data FOLDER] [--files TRAIN VALIDATION TEST] [--epochs 40] [--eta 0.001]
        [--lam 0.1] [--batch-size 100] [--seed 42] [--order permutation] [--dtype float64] [--transposed]

writes OUT/MISTAKE.npz, by default for all of them; `right` has no mistake. The arrays are those that a student keeps: the
final W and b, the losses, costs and accuracies of each epoch, and the test accuracy.
"""

import argparse
from pathlib import Path

import numpy as np

MISTAKES = """right penalty_forgotten penalty_halved penalty_doubled sum_for_mean bias_penalised cost_for_loss loss_for_cost
own_statistics not_normalised raw_pixels ddof mean_only all_pixels per_channel labels_in_order labels_left_behind
last_batch_left_out rate_times_10 rate_by_10 decayed_in_steps decayed_each_epoch decayed_once before_the_epoch last_batch
last_batch_before mean_of_batches on_validation on_validation_own on_test on_test_own pixels_interleaved pixels_transposed wide
narrow zero xavier""".split()


def read(path, mistake):
    records = np.fromfile(path, np.uint8).reshape(-1, 3073)
    pixels = records[:, 1:]
    if mistake == "pixels_interleaved":
        pixels = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(-1, 3072)
    if mistake == "pixels_transposed":
        pixels = pixels.reshape(-1, 3, 32, 32).transpose(0, 1, 3, 2).reshape(-1, 3072)
    return pixels / (1.0 if mistake == "raw_pixels" else 255.0), records[:, 0]


def statistics(x, mistake):
    mean, std = x.mean(axis=0), x.std(axis=0, ddof=int(mistake == "ddof"))
    if mistake in ("not_normalised", "raw_pixels"):
        mean, std = np.zeros_like(mean), np.ones_like(std)
    if mistake == "mean_only":
        std = np.ones_like(std)
    if mistake == "all_pixels":
        mean, std = np.full_like(mean, x.mean()), np.full_like(std, x.std())
    if mistake == "per_channel":
        planes = x.reshape(len(x), 3, -1)
        mean, std = (np.repeat(s, 1024) for s in (planes.mean(axis=(0, 2)), planes.std(axis=(0, 2))))
    return mean, std


def forward(x, w, b):
    s = x @ w.T + b
    s = s - s.max(axis=1, keepdims=True)
    return s - np.log(np.exp(s).sum(axis=1, keepdims=True))


def scores(x, y, w, b):
    log_p = forward(x, w, b)
    return -log_p[np.arange(len(y)), y].mean(dtype=float), (log_p.argmax(axis=1) == y).mean()


def step(xb, yb, w, b, eta, lam, mistake):
    g = np.exp(forward(xb, w, b))
    g[np.arange(len(yb)), yb] -= 1
    if mistake != "sum_for_mean":
        g /= len(yb)
    factor = {"penalty_forgotten": 0, "penalty_halved": 1, "penalty_doubled": 4}.get(mistake, 2)
    dw, db = g.T @ xb + factor * lam * w, g.sum(axis=0)
    if mistake == "bias_penalised":
        db = db + 2 * lam * b
    return w - eta * dw, b - eta * db


def rate(eta, epoch, epochs, mistake):
    if mistake == "decayed_in_steps":
        return eta * 0.1 ** ((epoch - 1) // max(1, epochs // 4))
    if mistake == "decayed_each_epoch":
        return eta * 0.95 ** (epoch - 1)
    if mistake == "decayed_once":
        return eta * (0.1 if epoch > epochs // 2 else 1)
    return eta * {"rate_times_10": 10, "rate_by_10": 0.1}.get(mistake, 1)


def train(files, mistake, options):
    dtype = np.dtype(options.dtype)
    splits = [read(file, mistake) for file in files]
    if mistake.startswith("on_"):
        trained_on = splits[1 if "validation" in mistake else 2]
        mean, std = statistics((trained_on if mistake.endswith("own") else splits[0])[0], mistake)
    else:
        trained_on = splits[0]
        mean, std = statistics(splits[0][0], mistake)
    own = lambda x: statistics(x, mistake) if mistake == "own_statistics" else (mean, std)
    normalised = [(((x - own(x)[0]) / own(x)[1]).astype(dtype), y) for x, y in splits]
    x, y = ((trained_on[0] - mean) / std).astype(dtype), trained_on[1]

    rng = np.random.default_rng(options.seed)
    width = {"wide": 0.1, "narrow": 0.001, "zero": 0, "xavier": 1 / np.sqrt(3072)}.get(mistake, 0.01)
    drawn = rng.standard_normal((3072, 10)).T if options.transposed else rng.standard_normal((10, 3072))
    w, b = (width * drawn).astype(dtype), np.zeros(10, dtype)
    eta, lam, n, size = options.eta, options.lam, len(y), options.batch_size
    curves = {f"{s}_{k}": [] for s in ("train", "validation") for k in ("loss", "cost", "accuracy")}

    def record(w, b, train, splits=("train", "validation")):
        for split in splits:
            images, labels = train if split == "train" else normalised[1]
            loss, accuracy = scores(images, labels, w, b)
            penalty = lam * (w.astype(float) ** 2).sum()
            curves[f"{split}_loss"].append(loss + (penalty if mistake == "cost_for_loss" else 0))
            curves[f"{split}_cost"].append(loss + (0 if mistake == "loss_for_cost" else penalty))
            curves[f"{split}_accuracy"].append(accuracy)

    order = np.arange(n)
    for epoch in range(1, options.epochs + 1):
        if options.order == "permutation":
            order = rng.permutation(n)
        elif options.order == "shuffle":
            rng.shuffle(order)
        if mistake == "labels_left_behind":
            x, order = x[order], np.arange(n)
            normalised[0] = (x, y)
        shown = (np.arange(n) if mistake == "labels_in_order" else order)
        if mistake == "before_the_epoch":
            record(w, b, normalised[0])
        batch_losses = []
        starts = list(range(0, n, size))
        if mistake == "last_batch_left_out":
            starts = starts[:-1]
        for i in starts:
            xb, yb = x[order[i : i + size]], y[shown[i : i + size]]
            if mistake == "last_batch_before" and i == starts[-1]:
                record(w, b, (xb, yb), ["train"])
            if mistake == "mean_of_batches":
                batch_losses.append(scores(xb, yb, w, b)[0])
            w, b = step(xb, yb, w, b, dtype.type(rate(eta, epoch, options.epochs, mistake)), dtype.type(lam), mistake)
        if mistake == "last_batch":
            record(w, b, (xb, yb))
        elif mistake.startswith("on_"):
            record(w, b, (x, y))
        elif mistake == "last_batch_before":
            record(w, b, None, ["validation"])
        elif mistake != "before_the_epoch":
            record(w, b, normalised[0])
        if mistake == "mean_of_batches":
            curves["train_loss"][-1] = np.mean(batch_losses)
    if mistake == "mean_of_batches":
        del curves["train_cost"], curves["train_accuracy"]
    return dict(W=w.T if options.transposed else w, b=b, test_accuracy=scores(*normalised[2], w, b)[1], **{k: np.array(c) for k, c in curves.items()})


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=Path)
    arguments.add_argument("mistakes", nargs="*", default=MISTAKES)
    arguments.add_argument("--data", default="data/sample", type=Path)
    arguments.add_argument("--files", default=["train.bin", "validation.bin", "test.bin"], nargs=3)
    arguments.add_argument("--epochs", default=40, type=int)
    arguments.add_argument("--eta", default=0.001, type=float)
    arguments.add_argument("--lam", default=0.1, type=float)
    arguments.add_argument("--batch-size", default=100, type=int)
    arguments.add_argument("--seed", default=42, type=int)
    arguments.add_argument("--order", default="permutation")
    arguments.add_argument("--dtype", default="float64")
    arguments.add_argument("--transposed", action="store_true", help="W is (3072, 10), and drawn so")
    options = arguments.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for mistake in options.mistakes:
        run = train([options.data / file for file in options.files], mistake, options)
        np.savez(options.out / f"{mistake}.npz", epochs=options.epochs, eta=options.eta, batch_size=options.batch_size,
                 seed=options.seed, **{"lambda": options.lam}, **run)
        print(mistake, *(f"{k} {run[k][-1]:.6f}" for k in ("train_loss", "validation_loss")), run["test_accuracy"])


if __name__ == "__main__":
    main()
