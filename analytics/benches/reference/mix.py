"""PyMC-Marketing with numpyro on its example: python mix.py <mmm_example.csv> <chains> <tune> <draws> <target_accept> <seed>."""

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import arviz as az
import pandas as pd
import pymc_marketing
from pymc_marketing.mmm import MMM, GeometricAdstock, LogisticSaturation

path, chains, tune, draws, target, seed = sys.argv[1:]
data = pd.read_csv(path, parse_dates=["date_week"])
x = data[["date_week", "x1", "x2", "event_1", "event_2"]].assign(t=range(len(data)))
model = MMM(
    date_column="date_week",
    adstock=GeometricAdstock(l_max=8),
    saturation=LogisticSaturation(),
    channel_columns=["x1", "x2"],
    control_columns=["event_1", "event_2", "t"],
    yearly_seasonality=2,
)
start = time.time()
model.fit(
    X=x,
    y=data["y"],
    chains=int(chains),
    draws=int(draws),
    tune=int(tune),
    target_accept=float(target),
    random_seed=int(seed),
    nuts_sampler="numpyro",
    progressbar=False,
    cores=2,
)
seconds = time.time() - start
names = [
    "intercept",
    "gamma_control",
    "gamma_fourier",
    "adstock_alpha",
    "saturation_lam",
    "saturation_beta",
    "y_sigma",
]
summary = az.summary(model.idata, var_names=names, round_to=10)
print()
print(
    json.dumps(
        {
            "version": pymc_marketing.__version__,
            "seconds": seconds,
            "ess": float(summary["ess_bulk"].min()),
        }
    )
)
