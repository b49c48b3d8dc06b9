#!/usr/bin/env python3
"""Writes robyn_semicolon.csv: robyn_weekly.csv as a German office program would save it.

Semicolons between cells, decimal commas, points between thousands, dates as day.month.year; the same values. Run it in this
folder: python3 make_semicolon.py
"""
import csv
from decimal import Decimal


def german(number: str) -> str:
    whole, _, fraction = f"{Decimal(number):,f}".partition(".")
    return whole.replace(",", ".") + ("," + fraction if fraction else "")


with open("robyn_weekly.csv", newline="") as source, open("robyn_semicolon.csv", "w", newline="") as target:
    rows = csv.reader(source)
    out = csv.writer(target, delimiter=";", lineterminator="\n")
    header = next(rows)
    out.writerow(header)
    events = header.index("events")
    for row in rows:
        year, month, day = row[0].split("-")
        cells = [cell if column == events else german(cell) for column, cell in enumerate(row) if column > 0]
        out.writerow([f"{day}.{month}.{year}", *cells])
