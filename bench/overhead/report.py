"""Rows as tables for people."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

from .passes import FORWARD, TRAINING
from .targets import CALIBRATION_ELSEWHERE, ELSEWHERE, Row

TITLES = {
    "passes": "A subnet on the supernet against the equal static network",
    "small": "The same with a small batch: what each layer costs, however little it does",
    "steps": "A sandwich step (largest, smallest, 2 random; soft distillation; AdamW) against its static parts",
    "assembling": "From a spec to its subnet: of new pieces, and of pieces that earlier subnets left",
    "memory": "Peak memory of training, less what the process had before there was any network",
    "calibration": "Recalibrating batch norms against evaluating the same images",
    "throughput": "A training step of the largest published member, on the supernet and in timm",
}
COMPARED = f"{'ours ms':>11}{'static ms':>11}{'ratio':>8}  {'middle half':16}"


def say(table: str, rows: Iterable[Row]) -> list[Row]:
    """Prints each row as it comes, and under the table what can be said of all. Returns the rows."""
    print(f"\n{TITLES[table]}", flush=True)
    found: list[Row] = []
    for row in rows:
        if not found:
            print(f"  {_setting(row)}\n  {_head(table)}")
        found.append(row)
        print(f"  {_line(row)}", flush=True)
    if not found:
        print("  nothing to measure here")
    elif table in ("passes", "small"):
        _say_medians(found)
    elif table == "calibration":
        print(f"  {'median':35}{statistics.median(row['ratio'] for row in found):8.3f}")
        print(f"  measured earlier, elsewhere, 8 batches of 16 at 160 px: {CALIBRATION_ELSEWHERE}")
    return found


def say_targets(rows: Iterable[Row]) -> None:
    print("\nTargets: medians of ratios to the static networks")
    print(f"  {'space':20}{'what':33}{'ratio':>8}{'at most':>9}")
    for row in rows:
        word = "met" if row["is_met"] else "MISSED"
        print(f"  {row['space']:20}{row['target']:33}{row['ratio']:8.3f}{row['limit']:9.2f}  {word}")


def _setting(row: Row) -> str:
    about = f"{row['space']}: batch {row['batch']}, {row['pixels']} px, {row['device']}"
    about += "" if row["amp"] == "none" else f", {row['amp']}"
    about += f", {row['pairs']} pairs a row" if "pairs" in row else ""
    about += f", {row['steps']} steps, median of {row['repeats']}" if row["table"] == "memory" else ""
    if row["is_small"] and row["batch"] > 1:
        about += " (batch 2, as the batch norm in this head can't be trained on one image)"
    return about


def _head(table: str) -> str:
    if table in ("passes", "small"):
        return f"{'member':12}{'pass':18}{COMPARED}"
    if table == "memory":
        return f"{'static side':26}{'ours MB':>9}{'static MB':>11}{'ratio':>8}{'our weights':>14}{'static ones':>13}"
    if table == "assembling":
        return f"{'':18}{'new ms':>11}{'kept ms':>11}"
    if table == "throughput":
        return f"{'network':22}{'ours':>13}{'timm':>13}{'time ratio':>12}  middle half"
    other = "eval. ms" if table == "calibration" else "static ms"
    return f"{'member' if table == 'calibration' else '':12}{COMPARED.replace('static ms', f'{other:>9}')}"


def _line(row: Row) -> str:
    if row["table"] == "memory":
        sides = f"{row['static']:26}{row['ours_mb']:9.0f}{row['static_mb']:11.0f}{row['ratio']:8.3f}"
        return f"{sides}{row['ours_params_m']:12.1f} M{row['static_params_m']:11.1f} M"
    if row["table"] == "assembling":
        return f"{'median of ' + str(row['subnets']):18}{row['new_ms']:11.1f}{row['kept_ms']:11.1f}"
    low, high = row["ratio_quartiles"]
    spread = f"{low:.3f} to {high:.3f}"
    if row["table"] == "throughput":
        speeds = f"{row['ours_images_s']:9.1f} im/s{row['timm_images_s']:8.1f} im/s"
        return f"{row['network']:22}{speeds}{row['ratio']:12.3f}  {spread}"
    other = row["evaluation_ms"] if row["table"] == "calibration" else row["static_ms"]
    times = f"{row['ours_ms']:11.1f}{other:11.1f}{row['ratio']:8.3f}  {spread}"
    if row["table"] == "passes":
        return f"{row['member']:12}{row['pass']:18}{times}"
    return f"{row.get('member', ''):12}{times}"


def _say_medians(rows: list[Row]) -> None:
    for kind in (TRAINING, FORWARD):
        median = statistics.median(row["ratio"] for row in rows if row["pass"] == kind)
        print(f"  {'median':12}{kind:18}{'':22}{median:8.3f}")
    print("  measured earlier, elsewhere (elastic / static):")
    for known in ELSEWHERE:
        if (known["batch"] > 2) != rows[0]["is_small"]:
            where = f"batch {known['batch']}, {known['pixels']} px"
            ranges = f"{TRAINING} {known['training']}, {FORWARD} {known['forward']}"
            print(f"    {known['system']:26}{where:18}{ranges}")
