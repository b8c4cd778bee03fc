"""The gradients of an exported problem in NumPy: replace gradients() with your own formulas.

    onelayer gradcheck --export problem.npz
    python3 examples/gradients.py problem.npz student.npz
    onelayer gradcheck --grads student.npz
"""

import argparse

import numpy as np


def gradients(x, y, W, b, lam):
    """x (n,d), y (n), W (k,d), b (k); cost = mean cross-entropy + lam * (W**2).sum()."""
    n = len(y)
    logits = x @ W.T + b
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(n), y].mean()
    dlogits = np.exp(log_p)
    dlogits[np.arange(n), y] -= 1
    dlogits /= n
    return {
        "loss": loss,
        "cost": loss + lam * (W**2).sum(),
        "grad_W": dlogits.T @ x + 2 * lam * W,
        "grad_b": dlogits.sum(axis=0),
    }


arguments = argparse.ArgumentParser()
arguments.add_argument("problem")
arguments.add_argument("student")
arguments.add_argument("--float32", action="store_true", help="compute in float32")
arguments.add_argument("--transpose", action="store_true", help="save grad_W as (d,k) and grad_b as (k,1)")
options = arguments.parse_args()

problem = np.load(options.problem)
precision = np.float32 if options.float32 else np.float64
x, W, b, lam = (problem[name].astype(precision) for name in ("x", "W", "b", "lambda"))
found = gradients(x, problem["y"], W, b, lam)
if options.transpose:
    found["grad_W"], found["grad_b"] = found["grad_W"].T, found["grad_b"].reshape(-1, 1)
np.savez(options.student, **found)
