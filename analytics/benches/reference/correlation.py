"""Correlations of a panel with NumPy, SciPy, scikit-learn and statsmodels on one thread. Arguments: the panel (float64, series after
series), series, periods, brands, largest lag, a file of Granger tests (target_brand,target_metric,cause_brand,cause_metric,kind,lag,…).
Prints, as JSON, the median CPU seconds of several runs: all pairs of all series, of values and of ranks; and all ordered pairs
of brands at all lags for every metric, each over the periods that both series have (the lagged form is the fastest that NumPy
allows: standardised once, views without copies, and the overlap's own mean and norm corrected after the product). Then the
Granger tests of the file with seven lags, and Ledoit-Wolf and the graphical lasso of the first metric freed from its first-order
autocorrelation ("raw"), and with the cross-section mean taken out ("own")."""
import json
import os
import sys
import time
import warnings

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.covariance import graphical_lasso, ledoit_wolf
from statsmodels.tsa.stattools import grangercausalitytests

warnings.filterwarnings("ignore")

path, series, periods, brands, lags = sys.argv[1], *map(int, sys.argv[2:6])
y = np.fromfile(path).reshape(series, periods)
panel = y.reshape(brands, series // brands, periods)


def timed(work, runs):
    times = []
    for _ in range(runs):
        begin = time.process_time()
        result = work()
        times.append(time.process_time() - begin)
    return float(np.median(times)), result


def products(rows):
    z = rows - rows.mean(axis=1, keepdims=True)
    z /= np.sqrt((z * z).sum(axis=1, keepdims=True))
    return z @ z.T


def lagged(block):
    z = block - block.mean(axis=1, keepdims=True)
    z /= np.sqrt((z * z).sum(axis=1, keepdims=True))
    sums = np.concatenate([np.zeros((len(z), 1)), z.cumsum(axis=1)], axis=1)
    squares = np.concatenate([np.zeros((len(z), 1)), (z * z).cumsum(axis=1)], axis=1)
    out = np.empty((lags + 1, len(z), len(z)))
    for lag in range(lags + 1):
        n = periods - lag
        a, b = sums[:, n], sums[:, -1] - sums[:, lag]
        left = 1 / np.sqrt(squares[:, n] - a * a / n)
        right = 1 / np.sqrt(squares[:, -1] - squares[:, lag] - b * b / n)
        product = np.matmul(z[:, :n], z[:, lag:].T, out=out[lag])
        product -= np.outer(a / n, b)
        product *= left[:, None]
        product *= right[None, :]
    return out


def granger(target, cause):
    return grangercausalitytests(np.column_stack([target, cause]), [7])[7][0]["ssr_ftest"][:2]


def least_squares(target, cause):
    """F of seven lags of the cause beside seven of the target, by NumPy alone."""
    n = len(target) - 7
    own = np.column_stack([target[7 - k : 7 - k + n] for k in range(1, 8)] + [np.ones(n)])
    both = np.column_stack([own] + [cause[7 - k : 7 - k + n] for k in range(1, 8)])
    small, large = (np.linalg.lstsq(x, target[7:], rcond=None)[1][0] for x in (own, both))
    return (small - large) / 7 / (large / (n - 15))


result = {"numpy": np.__version__}
result["pearson"], _ = timed(lambda: products(y), 7)
result["spearman"], _ = timed(lambda: products(rankdata(y, axis=1)), 3)
blocks = [np.ascontiguousarray(panel[:, m]) for m in range(series // brands)]
result["lagged"], _ = timed(lambda: [lagged(block) for block in blocks], 5)

tests = pd.read_csv(sys.argv[6])
tests = tests[tests.lag == 7]
pairs = [
    (panel[t, m], panel[c, k])
    for t, m, c, k in zip(tests.target_brand, tests.target_metric, tests.cause_brand, tests.cause_metric)
]
seconds, found = timed(lambda: [granger(*pair) for pair in pairs], 3)
result["granger_statsmodels_ms"] = 1e3 * seconds / len(pairs)
result["granger_f"] = [float(f) for f, _ in found]
unrelated = (tests.kind == "random").to_numpy()
result["granger_unrelated"] = float(np.mean(np.array([p for _, p in found])[unrelated] < 0.01))
seconds, own = timed(lambda: [least_squares(*pair) for pair in pairs], 3)
assert np.allclose(own, result["granger_f"], rtol=1e-9)
result["granger_lstsq_ms"] = 1e3 * seconds / len(pairs)

raw = blocks[0][:, 1:] - 0.6 * blocks[0][:, :-1]
scaled = (raw - raw.mean(axis=1, keepdims=True)) / raw.std(axis=1, keepdims=True)
seconds, (_, shrinkage) = timed(lambda: ledoit_wolf(scaled.T), 7)
result["ledoit_wolf_ms"] = 1e3 * seconds
result["ledoit_wolf_shrinkage"] = float(shrinkage)
result["graphical_lasso"] = {}
for name, sample, penalties in [
    ("raw", np.corrcoef(raw), (0.05, 0.1, 0.2, 0.4)),
    ("own", np.corrcoef(raw - raw.mean(axis=0)), (0.05, 0.1)),
]:
    for penalty in penalties:
        try:
            seconds, _ = timed(lambda: graphical_lasso(sample, penalty, max_iter=300), 1)
            found = {"seconds": seconds}
        except FloatingPointError as problem:
            found = {"failed": str(problem).split(":")[0]}
        result["graphical_lasso"][f"{name} {penalty}"] = found
print(json.dumps(result))
