"""Metric files for the aggregation bench, and polars' streaming engine on them.

aggregate.py make <folder>                     writes rows.parquet and rows.csv: 10,037,500 rows, the same on every machine
aggregate.py run <folder> <csv|parquet> <n>    one query, in this process, on n threads
"""

import json
import os
import resource
import sys
import time

what, folder, *rest = sys.argv[1:]
if what == "run":
    # Read when polars is loaded.
    os.environ["POLARS_MAX_THREADS"] = rest[1]

import polars as pl

if what == "make":
    import numpy as np

    brands, metrics, days = 250, 55, 730
    count = brands * metrics * days
    at = np.arange(count)
    day, brand, metric = at // (brands * metrics), (at // metrics) % brands, at % metrics

    def mixed(stream):
        # SplitMix64, as uniform numbers in (0, 1).
        with np.errstate(over="ignore"):
            z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
        return ((z >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53

    normal = np.sqrt(-2 * np.log(mixed(9))) * np.cos(2 * np.pi * mixed(10_000_019))
    frame = pl.DataFrame(
        dict(
            date=np.datetime64("2024-01-01") + day.astype("timedelta64[D]"),
            project_id=(brand % 12).astype(np.int32),
            brand_id=brand.astype(np.int32),
            metric=pl.Series([f"metric_{k:02d}" for k in range(metrics)]).gather(metric),
            value=np.round(100 + 20 * normal + metric, 4),
        )
    ).with_columns(pl.col("date").cast(pl.Date))
    frame.write_csv(f"{folder}/rows.csv.part")
    frame.write_parquet(f"{folder}/rows.parquet.part", compression="zstd")
    os.rename(f"{folder}/rows.csv.part", f"{folder}/rows.csv")
    os.rename(f"{folder}/rows.parquet.part", f"{folder}/rows.parquet")
    print(json.dumps({"rows": frame.height, "total": frame["value"].sum()}))
else:
    wall, processor = time.perf_counter(), time.process_time()
    if rest[0] == "csv":
        rows = pl.scan_csv(f"{folder}/rows.csv", try_parse_dates=True)
    else:
        rows = pl.scan_parquet(f"{folder}/rows.parquet")
    value = pl.col("value")
    found = (
        rows.group_by("brand_id", "metric", pl.col("date").dt.truncate("1mo").alias("month"))
        .agg(
            value.sum().alias("sum"),
            value.mean().alias("mean"),
            pl.len().alias("count"),
            value.min().alias("min"),
            value.max().alias("max"),
        )
        .collect(engine="streaming")
    )
    print(
        json.dumps(
            {
                "groups": found.height,
                "total": found["sum"].sum(),
                "wall_s": time.perf_counter() - wall,
                "cpu_s": time.process_time() - processor,
                "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )
