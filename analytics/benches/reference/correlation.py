"""Correlations of a panel with NumPy on one thread. Arguments: the panel (float64, series after series), series, periods,
brands, largest lag. Prints, as JSON, the CPU seconds of the fastest of several runs: all pairs of all series; and all ordered
pairs of brands at all lags for every metric, each over the periods that both series have. The lagged form is the fastest
that NumPy allows: standardised once, views without copies, and the overlap's own mean and norm corrected after the product."""
import json
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np

path, series, periods, brands, lags = sys.argv[1], *map(int, sys.argv[2:6])
y = np.fromfile(path).reshape(series, periods)


def fastest(work, runs):
    times = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def pearson():
    z = y - y.mean(axis=1, keepdims=True)
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


panel = y.reshape(brands, series // brands, periods)
blocks = [np.ascontiguousarray(panel[:, m]) for m in range(series // brands)]
print(
    json.dumps(
        {
            "numpy": np.__version__,
            "pearson": fastest(pearson, 7),
            "lagged": fastest(lambda: [lagged(block) for block in blocks], 4),
        }
    )
)
