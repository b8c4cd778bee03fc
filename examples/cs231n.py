"""Hands a problem to a function with the signature of Stanford's CS231n, softmax_loss_naive(W, X, y, reg): the last row of W
(d+1,k) is the bias, the last feature of each row of X (n,d+1) is 1, and the loss includes the penalty reg · Σ W².

    onelayer gradcheck --export problem.npz --layout cs231n
    python3 examples/cs231n.py problem.npz student.npz --solution cs231n/classifiers/softmax.py
    onelayer gradcheck --grads student.npz

Without --solution, the function below is used.
"""

import argparse
import runpy

import numpy as np


def softmax_loss_naive(W, X, y, reg):
    """The loss and its gradient, of the shape of W."""
    loss, dW = 0.0, np.zeros_like(W)
    for x, label in zip(X, y):
        scores = x @ W
        p = np.exp(scores - scores.max())
        p /= p.sum()
        loss -= np.log(p[label])
        p[label] -= 1
        dW += np.outer(x, p)
    return loss / len(X) + reg * np.sum(W * W), dW / len(X) + 2 * reg * W


arguments = argparse.ArgumentParser()
arguments.add_argument("problem")
arguments.add_argument("student")
arguments.add_argument("--solution", help="a Python file with the function")
arguments.add_argument("--function", default="softmax_loss_naive", help="its name, such as softmax_loss_vectorized")
options = arguments.parse_args()

functions = runpy.run_path(options.solution) if options.solution else globals()
problem = np.load(options.problem)
if str(problem["layout"]) != "cs231n":
    raise SystemExit("export the problem with --layout cs231n")
loss, dW = functions[options.function](problem["W"], problem["x"], problem["y"], float(problem["lambda"]))
np.savez(options.student, dW=dW, loss=loss)
