"""Solves a problem of this folder with SciPy instead and prints the optimum: python check_allocation.py groups_30x6.json

Needs numpy and scipy. Reads the fields that these files use: family hill or michaelis_menten, bounds, an exact total, and rules
on the spend of channels, brands and groups of brands.
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize

problem = json.load(open(sys.argv[1], encoding="utf-8"))
beta, k, current, lower, upper = (np.array(problem[name]) for name in ["beta", "k", "current", "lower", "upper"])
a = np.array(problem.get("a", 1.0)) * np.ones_like(beta)
brands, channels = beta.shape
total = problem["B"]


def value(x):
    x = x.reshape(beta.shape)
    return (beta * x**a / (x**a + k**a)).sum()


def slope(x):
    x = x.reshape(beta.shape)
    return (beta * a * k**a * x ** (a - 1) / (x**a + k**a) ** 2).ravel()


rows, limits = [], []
for rule in problem["rules"]:
    row = np.zeros(beta.shape)
    kind = rule["rule"]
    if kind.startswith("channel"):
        row[:, rule["channel"]] = 1
    elif kind.startswith("brand"):
        row[rule["brand"], :] = 1
    else:
        row[np.ix_(rule.get("brands") or range(brands), rule.get("channels") or range(channels))] = 1
    now = (row * current).sum()
    least = now * (1 - rule["max_relative"]) if kind.endswith("change") else rule.get("min")
    most = now * (1 + rule["max_relative"]) if kind.endswith("change") else rule.get("max")
    for limit, sign in [(least, 1), (most, -1)]:
        if limit is not None:
            rows.append(sign * row.ravel())
            limits.append(sign * limit)

scale = total / beta.size
rows, limits = np.array(rows), np.array(limits) / scale
found = minimize(
    lambda z: -value(scale * z),
    current.ravel() / scale,
    jac=lambda z: -scale * slope(scale * z),
    bounds=np.column_stack([lower.ravel(), upper.ravel()]) / scale,
    constraints=[
        {"type": "eq", "fun": lambda z: z.sum() - beta.size, "jac": lambda z: np.ones(z.size)},
        {"type": "ineq", "fun": lambda z: rows @ z - limits, "jac": lambda z: rows},
    ],
    method="SLSQP",
    options={"maxiter": 500, "ftol": 1e-10},
)
print(f"{found.message}\nvalue {-found.fun:.9f} at a total of {scale * found.x.sum():.6f}")
