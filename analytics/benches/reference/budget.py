"""SciPy's SLSQP on a problem file (Hill curves, fixed total, bounds): value, CPU seconds, relative error of the total."""

import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from scipy.optimize import minimize

with open(sys.argv[1]) as file:
    p = json.load(file)
beta, a, k, current, lower, upper = (
    np.ravel(p[name]) for name in ("beta", "a", "k", "current", "lower", "upper")
)
total = p["B"]


def value(x):
    return (beta * x**a / (x**a + k**a)).sum()


def slope(x):
    return beta * a * x ** (a - 1) * k**a / (x**a + k**a) ** 2


start = time.process_time()
found = minimize(
    lambda x: -value(x),
    current,
    jac=lambda x: -slope(x),
    bounds=list(zip(lower, upper)),
    method="SLSQP",
    constraints=[{"type": "eq", "fun": lambda x: x.sum() / total - 1, "jac": lambda x: np.full(x.size, 1 / total)}],
    options={"maxiter": 500, "ftol": 1e-10},
)
seconds = time.process_time() - start
print(json.dumps({"value": value(found.x), "seconds": seconds, "off": abs(found.x.sum() / total - 1)}))
