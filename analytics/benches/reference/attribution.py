"""XGBoost, LightGBM and WOODELF on one stored data set: contributions, interactions, accuracy; one thread, processor time.

attribution.py <folder of data/ and ref/> <data set> <folder for results>
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
import contextlib
import io
import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import lightgbm as lgb
import numpy as np
import pandas as pd
import xgboost as xgb

folder, name, out = sys.argv[1:4]
ROWS, PAIR_ROWS = 2000, 200


def best(task, times):
    least = np.inf
    for _ in range(times):
        start = time.process_time()
        result = task()
        least = min(least, time.process_time() - start)
    return least, result


def save(values, what):
    np.ascontiguousarray(values, dtype="<f8").tofile(f"{out}/{name}_{what}.f64")


data = pd.read_csv(f"{folder}/data/{name}.csv")
features = [c for c in data.columns if c not in ("target", "split")]
train, test = data[data.split == "train"], data[data.split == "test"]
x_train, y_train = train[features].values, train.target.values
x_test, y_test = test[features].values, test.target.values
x = x_test[:ROWS]
result = {"rows": len(x)}


def error(predicted):
    return float(np.sqrt(np.mean((predicted - y_test) ** 2)))


booster = xgb.Booster(params=dict(nthread=1))
booster.load_model(f"{folder}/ref/{name}_xgb.json")
matrix = xgb.DMatrix(x, feature_names=features, nthread=1)
seconds, values = best(lambda: booster.predict(matrix, pred_contribs=True), 3)
result["xgboost_ms"] = 1e3 * seconds / len(x)
save(values, "xgb")
few = xgb.DMatrix(x[:PAIR_ROWS], feature_names=features, nthread=1)
seconds, values = best(lambda: booster.predict(few, pred_interactions=True), 1)
result["xgboost_pairs_ms"] = 1e3 * seconds / PAIR_ROWS
save(values, "xgb_pairs")

settings = dict(
    objective="reg:squarederror", max_depth=6, eta=0.1, reg_lambda=1.0, min_child_weight=1,
    tree_method="hist", max_bin=256, nthread=1, seed=0,
)
train_matrix = xgb.DMatrix(x_train, y_train, feature_names=features, nthread=1)
seconds, fitted = best(lambda: xgb.train(settings, train_matrix, 300), 1)
result["xgboost_train_s"] = seconds
result["xgboost_error"] = error(fitted.predict(xgb.DMatrix(x_test, feature_names=features)))

model = lgb.Booster(model_file=f"{folder}/ref/{name}_lgb.txt")
seconds, values = best(lambda: model.predict(x, pred_contrib=True, num_threads=1), 3)
result["lightgbm_ms"] = 1e3 * seconds / len(x)
save(values, "lgb")

try:
    from woodelf import WoodelfExplainer

    def quietly(task):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return task()

    table = pd.DataFrame(x, columns=features)
    background = pd.DataFrame(x_train, columns=features)
    seconds, values = best(lambda: quietly(lambda: WoodelfExplainer(booster).shap_values(table)), 1)
    result["woodelf_paths_ms"] = 1e3 * seconds / len(x)
    seconds, values = best(
        lambda: quietly(lambda: WoodelfExplainer(booster, background).shap_values(table)), 1
    )
    result["woodelf_background_ms"] = 1e3 * seconds / len(x)
    save(values, "woodelf_background")
except Exception as problem:
    print(f"WOODELF could not be run: {problem!r}", file=sys.stderr)

print(json.dumps(result))
