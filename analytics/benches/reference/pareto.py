"""pymoo's NSGA-II and NSGA-III on one thread: pareto.py SEEDS PLANS.

SEEDS is the number of seeds, PLANS a JSON file {beta, a, k, lower, upper, low, high, seeds}: Hill curves with bounds, the values of the
least and the most spend, and plans to start from. Prints, as JSON, for ZDT1-3 and DTLZ2 with 25,000 evaluations the median
hypervolume of the final population for the reference point 1.1 in every objective, and the median CPU seconds; for the front of
response and spend from the given plans the median hypervolume, both objectives scaled to 0 ... 1 by the least and the most spend.
"""
import json
import os
import sys
import time

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.nsga3 import NSGA3
from pymoo.core.problem import Problem
from pymoo.indicators.hv import HV
from pymoo.optimize import minimize
from pymoo.util.ref_dirs import get_reference_directions

count = int(sys.argv[1])
with open(sys.argv[2]) as file:
    plans = json.load(file)


class Vectorised(Problem):
    def __init__(self, lower, upper, objectives, evaluate):
        super().__init__(n_var=len(lower), n_obj=objectives, xl=np.array(lower), xu=np.array(upper))
        self.evaluate_rows = evaluate

    def _evaluate(self, x, out, *args, **kwargs):
        out["F"] = self.evaluate_rows(x)


def zdt(second):
    def evaluate(x):
        g = 1 + 9 * x[:, 1:].mean(axis=1)
        return np.column_stack([x[:, 0], g * second(x[:, 0], x[:, 0] / g)])

    return Vectorised([0.0] * 30, [1.0] * 30, 2, evaluate)


def dtlz2(x):
    a, b = x[:, 0] * np.pi / 2, x[:, 1] * np.pi / 2
    g = 1 + ((x[:, 2:] - 0.5) ** 2).sum(axis=1)
    return np.column_stack([g * np.cos(a) * np.cos(b), g * np.cos(a) * np.sin(b), g * np.sin(a)])


def spend(x):
    beta, a, k = (np.ravel(plans[name]) for name in ("beta", "a", "k"))
    value = (beta * x**a / (x**a + k**a)).sum(axis=1)
    total = x.sum(axis=1)
    least, most = lower.sum(), upper.sum()
    return np.column_stack(
        [1 - (value - plans["low"]) / (plans["high"] - plans["low"]), (total - least) / (most - least)]
    )


def run(problem, algorithm):
    volumes, times = [], []
    for seed in range(count):
        begun = time.process_time()
        found = minimize(problem, algorithm(seed), ("n_eval", 25_000), seed=seed, verbose=False)
        times.append(time.process_time() - begun)
        volumes.append(HV(ref_point=np.full(problem.n_obj, 1.1))(found.pop.get("F")))
    return {"hypervolume": float(np.median(volumes)), "seconds": float(np.median(times))}


def from_plans(seed):
    given = np.array(plans["seeds"])
    rest = np.random.default_rng(seed).uniform(lower, upper, (100 - len(given), len(lower)))
    return NSGA2(pop_size=100, sampling=np.vstack([given, rest]))


lower, upper = np.ravel(plans["lower"]), np.ravel(plans["upper"])
directions = get_reference_directions("das-dennis", 3, n_partitions=12)
result = {
    "zdt1": run(zdt(lambda x, r: 1 - np.sqrt(r)), lambda seed: NSGA2(pop_size=100)),
    "zdt2": run(zdt(lambda x, r: 1 - r**2), lambda seed: NSGA2(pop_size=100)),
    "zdt3": run(zdt(lambda x, r: 1 - np.sqrt(r) - r * np.sin(10 * np.pi * x)), lambda seed: NSGA2(pop_size=100)),
    "dtlz2": run(
        Vectorised([0.0] * 12, [1.0] * 12, 3, dtlz2), lambda seed: NSGA3(ref_dirs=directions, pop_size=100)
    ),
    "plans": run(Vectorised(lower, upper, 2, spend), from_plans),
}
print(json.dumps(result))
