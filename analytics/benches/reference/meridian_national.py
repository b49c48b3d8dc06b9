"""Meridian on its national example, fit and best budget: python meridian_national.py <national_all_channels.csv>."""

import json
import os
import sys
import time
import warnings

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore")

import arviz as az
import meridian
import pandas as pd
from meridian.analysis import optimizer
from meridian.data import load
from meridian.model import model, spec

path = sys.argv[1]
columns = list(pd.read_csv(path, nrows=0).columns)
media = [c for c in columns if c.startswith("Channel") and c.endswith("_impression")]
spends = [c for c in columns if c.startswith("Channel") and c.endswith("_spend")]
data = load.CsvDataLoader(
    csv_path=path,
    kpi_type="non_revenue",
    coord_to_columns=load.CoordToColumns(
        time="time",
        kpi="conversions",
        revenue_per_kpi="revenue_per_conversion",
        controls=[c for c in columns if c.endswith("_control")],
        media=media,
        media_spend=spends,
    ),
    media_to_channel={c: c.removesuffix("_impression") for c in media},
    media_spend_to_channel={c: c.removesuffix("_spend") for c in spends},
).load()
fitted = model.Meridian(input_data=data, model_spec=spec.ModelSpec(knots=10))
fitted.sample_prior(50)
start = time.time()
fitted.sample_posterior(n_chains=2, n_adapt=500, n_burnin=500, n_keep=1000, seed=1)
fit = time.time() - start
start = time.time()
optimizer.BudgetOptimizer(fitted).optimize()
optimise = time.time() - start
summary = az.summary(fitted.inference_data, var_names=["roi_m", "alpha_m"], round_to=10)
returns = summary[summary.index.str.startswith("roi_m")]
print()
print(
    json.dumps(
        {
            "version": meridian.__version__,
            "fit": fit,
            "optimise": optimise,
            "ess": float(summary["ess_bulk"].min()),
            "returns": returns[["mean", "sd"]].values.tolist(),
        }
    )
)
