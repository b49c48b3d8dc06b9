"""models.py CSV PERIOD HORIZON STRIDE: CPU milliseconds per series of statsforecast's models on every STRIDE-th series of a file with the
columns unique_id,t,y,is_test (training part), one process, one thread. Prints {"arima": …, "ces": …, "mstl": …, "series": …}."""
import json
import os
import sys
import time
import warnings

for key in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[key] = "1"
os.environ["NIXTLA_NUMBA_CACHE"] = "1"

import pandas as pd  # noqa: E402
from statsforecast.models import MSTL, AutoARIMA, AutoCES, AutoETS  # noqa: E402

warnings.filterwarnings("ignore")

path, period, horizon, stride = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
frame = pd.read_csv(path)
frame = frame[frame.is_test == 0]
series = [group.y.to_numpy(float) for _, group in frame.groupby("unique_id", sort=False)][::stride]
make = {
    "arima": lambda: AutoARIMA(season_length=period),
    "ces": lambda: AutoCES(season_length=period),
    "mstl": lambda: MSTL(season_length=period, trend_forecaster=AutoETS(model="ZZN")),
}
out = {"series": len(series)}
for name, model in make.items():
    # Whatever is compiled on first use is not counted.
    for y in series[:2]:
        model().forecast(y=y, h=horizon, level=[80, 95])
    begun = time.process_time()
    for y in series:
        model().forecast(y=y, h=horizon, level=[80, 95])
    out[name] = 1e3 * (time.process_time() - begun) / len(series)
print(json.dumps(out))
