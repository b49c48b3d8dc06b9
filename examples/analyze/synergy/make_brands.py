"""Writes brands.csv: three brands over 156 weeks whose elasticities are known. Standard library only; run it to get the same file.

Truth, in percent of the outcome per percent of the spend: every brand's spend lifts itself by 0.20; spend of Alba takes 0.15 from
Brio and gives nothing to Cima; spend of Brio lifts Cima by 0.12; spend of Cima hardly varies, so nothing can be told of it.
"""

import math
import random

WEEKS, BRANDS = 156, ["Alba", "Brio", "Cima"]
EFFECT = {("Alba", "Brio"): -0.15, ("Brio", "Cima"): 0.12}
LEVEL = {"Alba": 9.0, "Brio": 8.6, "Cima": 8.2}  # of the logarithm of the spend
SPREAD = {"Alba": 0.35, "Brio": 0.30, "Cima": 0.01}
random.seed(1)

spend = {b: [] for b in BRANDS}
for week in range(WEEKS):
    season = 0.1 * math.sin(2 * math.pi * week / 52.18)
    for brand in BRANDS:
        spend[brand].append(LEVEL[brand] + SPREAD[brand] * random.gauss(0, 1) + season)

with open("brands.csv", "w", encoding="utf-8") as file:
    print("brand,week,outcome,spend", file=file)
    for brand, level in [("Alba", 12.0), ("Brio", 11.6), ("Cima", 11.2)]:
        noise = 0.0
        for week in range(WEEKS):
            noise = 0.3 * noise + 0.03 * random.gauss(0, 1)
            log = level + 0.001 * week + 0.08 * math.cos(2 * math.pi * week / 52.18) + noise
            for other in BRANDS:
                log += (0.20 if other == brand else EFFECT.get((other, brand), 0.0)) * (spend[other][week] - LEVEL[other])
            print(f"{brand},{week + 1},{math.exp(log):.2f},{math.exp(spend[brand][week]):.2f}", file=file)
