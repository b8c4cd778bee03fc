"""Hands a problem to functions with the signatures of KTH's DD2424: ApplyNetwork(X, network) and
BackwardPass(X, Y, P, network, lam). Each example is a column of X; network is a dict with W (k,d) and b (k,1).

    onelayer gradcheck --export problem.npz --layout columns --features 10 --examples 3
    python3 examples/dd2424.py problem.npz student.npz --solution your_file.py
    onelayer gradcheck --grads student.npz

Without --solution, the functions below are used.
"""

import argparse
import runpy

import numpy as np


def ApplyNetwork(X, network):
    """The probabilities P (k,n) of the examples X (d,n)."""
    s = network["W"] @ X + network["b"]
    e = np.exp(s - s.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def BackwardPass(X, Y, P, network, lam):
    """The gradients of the cost at P for the labels Y (k,n), each a column with a single 1."""
    G = (P - Y) / X.shape[1]
    return {
        "W": G @ X.T + 2 * lam * network["W"],
        "b": G.sum(axis=1, keepdims=True),
    }


arguments = argparse.ArgumentParser()
arguments.add_argument("problem")
arguments.add_argument("student")
arguments.add_argument("--solution", help="a Python file with ApplyNetwork and BackwardPass")
options = arguments.parse_args()

functions = runpy.run_path(options.solution) if options.solution else globals()
problem = np.load(options.problem)
if str(problem["layout"]) != "columns":
    raise SystemExit("export the problem with --layout columns")
network = {"W": problem["W"], "b": problem["b"]}
X, Y = problem["x"], np.eye(len(network["W"]))[problem["y"]].T
P = functions["ApplyNetwork"](X, network)
gradients = functions["BackwardPass"](X, Y, P, network, float(problem["lambda"]))
np.savez(options.student, **gradients)
