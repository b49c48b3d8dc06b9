"""forecast.py CSV PERIOD HORIZON STRIDE: statsforecast's Theta, DOT and ETS on every STRIDE-th series of a file with the columns
unique_id,t,y,is_test (training part), one process, one thread. Prints {model: {"ms": CPU milliseconds per series, "mean": [[…], …]}}."""
import json
import os
import sys
import time
import warnings

for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[key] = "1"
os.environ["NIXTLA_NUMBA_CACHE"] = "1"

import pandas as pd  # noqa: E402
from statsforecast.models import AutoETS, DynamicOptimizedTheta, Theta  # noqa: E402

warnings.filterwarnings("ignore")

path, period, horizon, stride = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
frame = pd.read_csv(path)
frame = frame[frame.is_test == 0]
series = [group.y.to_numpy(float) for _, group in frame.groupby("unique_id", sort=False)][::stride]
make = {
    "theta": lambda: Theta(season_length=period),
    "dynamic_theta": lambda: DynamicOptimizedTheta(season_length=period),
    "damped_ets": lambda: AutoETS(season_length=period, damped=True),
    "ets": lambda: AutoETS(season_length=period),
}
out = {}
for name, model in make.items():
    # Whatever is compiled on first use is not counted.
    for y in series[:3]:
        model().forecast(y=y, h=horizon, level=[80, 95])
    begun = time.process_time()
    means = [model().forecast(y=y, h=horizon, level=[80, 95])["mean"].tolist() for y in series]
    out[name] = {"ms": 1e3 * (time.process_time() - begun) / len(series), "mean": means}
print(json.dumps(out))
