"""Write tables of docs/ from the recorded results: ``python -m benchmarks.tables``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->``. ``--check`` writes nothing,
and leaves with status 1 where a page is not that of ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.harness.instructions import read_counts
from benchmarks.throughput import ALIKE, BY_DEFAULT, FACTORS, STREAM, TARGETS, TARGETS_OF_ALL

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = (ROOT / "docs/speed.md", ROOT / "docs/ranking.md")
RESULTS: Final = ROOT / "benchmarks/results"
PLACE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
RATIOS = (
    "fp32, deterministic / fp32",
    "default / fp32",
    "default / fp32, deterministic",
    "fp16 / fp32",
    "fp16, stochastic / fp32",
    "mascot / fp16",
    "half in fp32 / weighted mean",
    "measuring / plain epoch",
    "int8 runs / fp16 stochastic runs",
)
SHUFFLED = ("fp32", "fp16", "fp16, stochastic")
"""Methods whose every rating moves two rows."""

Line = Sequence[Any]
Result = Mapping[str, Any]


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = filled(old, RESULTS)
        if options.check and new != old:
            raise SystemExit(
                f"{page}: is not of the recorded results; run python -m benchmarks.tables"
            )
        if not options.check:
            page.write_text(new, encoding="utf-8")


def filled(page: str, results: Path) -> str:
    """Return a page with its tables made from a folder of results."""

    def fill(place: re.Match[str]) -> str:
        try:
            table = TABLES[place[2]](results)
        except FileNotFoundError:
            table = "Not recorded yet."
        return f"{place[1]}{table}\n{place[3]}"

    return PLACE.sub(fill, page)


def _read(results: Path, name: str) -> Result:
    content: Result = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
    return content


def _markdown(head: Line, lines: Iterable[Line]) -> str:
    rows = [head, ["---", *["---:"] * (len(head) - 1)], *lines]
    return "\n".join(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)


def _machine(results: Path) -> str:
    result = _read(results, "throughput")
    hardware = result["hardware"]
    machine = f"{hardware['processor']}, {hardware['cores']} cores, {hardware['instruction_set']}"
    memory = f"at most {result['peak_gib']:.1f} GiB of memory"
    return f"{machine}; medians of {result['rounds']} rounds; {memory}."


def _columns(tables: Sequence[Result]) -> list[tuple[str, Result]]:
    """Return tables of k = 128, each with the head of its column."""
    several = len({table["instruction_set"] for table in tables}) > 1
    columns = []
    for table in tables:
        if table["factors"] == FACTORS:
            threads, instruction_set = table["threads"], table["instruction_set"]
            head = f"{_shape(table)}, {threads} thread{'s' * (threads > 1)}"
            columns.append((f"{head}, {instruction_set}" if several else head, table))
    return columns


def _shape(table: Result) -> str:
    millions = f"{table['ratings'] / 1e6:.0f} M"
    return f"{table['shape']}, {millions}"


def _ratios(results: Path) -> str:
    columns = _columns(_read(results, "throughput")["tables"])

    def cell(name: str, table: Result) -> str:
        value = table["ratios"].get(name)
        if value is None:
            return ""
        targets = TARGETS_OF_ALL | TARGETS.get((table["shape"], table["threads"]), {})
        return f"{value:.2f}" + (f" ({targets[name]:g})" if name in targets else "")

    lines = [[name, *(cell(name, table) for _, table in columns)] for name in RATIOS]
    return _markdown(["time of / time of (target)", *(head for head, _ in columns)], lines)


def _rates(results: Path) -> str:
    columns = _columns(_read(results, "throughput")["tables"])
    rates = [
        {row["method"]: row["updates_per_s"] / 1e6 for row in table["variants"]}
        for _, table in columns
    ]
    names = [name for name in (*BY_DEFAULT, "mascot") if any(name in rate for rate in rates)]
    lines = [
        [name, *(f"{rate[name]:.1f}" if name in rate else "" for rate in rates)] for name in names
    ]
    return _markdown(["million updates a second", *(head for head, _ in columns)], lines)


def _instructions(results: Path) -> str:
    rows = [r for r in _read(results, "instructions")["rows"] if r["factors"] == FACTORS]
    timed = (results / "throughput.json").is_file()
    rates = _rates_in_cache(_read(results, "throughput")["tables"]) if timed else {}
    kinds = ("instructions", "multiply_adds", "conversions", "loads", "stores", "prefetches")

    def line(row: Result) -> Line:
        rate = rates.get((row["instruction_set"], row["method"]))
        speed = "" if rate is None else f"{row['instructions'] * rate / 1e9:.1f}"
        counts = (f"{row[kind]:.0f}" for kind in kinds)
        return [f"{row['method']}, {row['instruction_set']}", f"{row['bytes']:.0f}", *counts, speed]

    titles = (kind.replace("_", "-") for kind in kinds)
    head = ["a rating, k = 128", "bytes", *titles, "instructions a nanosecond"]
    return _markdown(head, [line(row) for row in rows])


def _rates_in_cache(tables: Iterable[Result]) -> dict[tuple[str, str], float]:
    """Return updates a second of one thread on tables that fit the caches."""
    return {
        (table["instruction_set"], row["method"]): row["updates_per_s"]
        for table in tables
        if (table["shape"], table["threads"], table["factors"]) == ("ml-1m", 1, FACTORS)
        for row in table["variants"]
    }


def _stream(results: Path) -> str:
    lines = []
    for head, table in _columns(_read(results, "throughput")["tables"]):
        rows = {row["method"]: row for row in table["variants"]}
        if STREAM not in rows:
            continue
        rate = rows[STREAM]["gb_per_s"]
        shares = (
            f"{rows[name]['gb_per_s'] / rate:.2f}" if name in rows else "" for name in SHUFFLED
        )
        lines.append([head, f"{rate:.1f}", *shares])
    titles = (f"{name}: share of it" for name in SHUFFLED)
    return _markdown(["", "stream, GB/s", *titles], lines)


def _factors(results: Path) -> str:
    tables = _read(results, "throughput-factors")["tables"]
    factors = sorted({table["factors"] for table in tables})
    counted = {key[:2] for key in read_counts(results / "instructions.json")}
    ways: dict[tuple[str, int, str], dict[int, Result]] = {}
    for table in tables:
        way = table["shape"], table["threads"], table["instruction_set"]
        ways.setdefault(way, {})[table["factors"]] = table
    lines = []
    for (shape, threads, instruction_set), of_factors in ways.items():
        for rows in zip(*(of_factors[k]["variants"] for k in factors), strict=True):
            name = rows[0]["method"]
            by = "bytes, instructions" if (instruction_set, name) in counted else "bytes"
            if (instruction_set, ALIKE.get(name)) in counted:
                by = f"bytes, instructions of {ALIKE[name]}"
            cells = (f"{r['updates_per_s'] / 1e6:.1f} ({r['over_predicted']:.2f})" for r in rows)
            lines.append([f"{shape}, {threads}, {instruction_set}: {name}", by, *cells])
    heads = (f"k = {k}" for k in factors)
    return _markdown(["shape, threads: method", "predicted by", *heads], lines)


def _peers(results: Path) -> str:
    result = _read(results, "peers")
    lines = [
        [
            f"{_shape(table)}: {row['name']}",
            f"{row['updates_per_s'] / 1e6:.1f}",
            f"{row['seconds_per_million']:.4f}",
            f"{row['over_fastest']:.2f}",
        ]
        for table in result["tables"]
        for row in table["rows"]
    ]
    head = ["", "million updates a second", "seconds per million", "time over our fastest"]
    libmf = result["libmf"]
    said = "" if libmf is None else f"LIBMF {libmf['version']}, vectors: {libmf['vectors']}.\n\n"
    return said + _markdown(head, lines)


def _time_to_rmse(results: Path) -> str:
    result = _read(results, "time-to-rmse-ml-1m")
    lines = [
        [
            row["name"],
            f"{row['best_rmse']:.4f}",
            "" if row["epochs"] is None else f"{row['epochs']:.0f}",
            "never" if row["seconds"] is None else f"{row['seconds']:.2f}",
        ]
        for row in (*result["variants"], *result["peers"])
    ]
    return _markdown(["", "best RMSE", "epochs to the goal", "seconds"], lines)


def _time_to_ndcg(results: Path) -> str:
    result = _read(results, "time-to-ndcg-ml-1m")
    lines = [
        [
            row["name"],
            _settings(row["settings"]),
            f"{row['ndcg']:.4f}",
            f"{row['seconds']:.2f}",
            f"{row['cpu_seconds']:.2f}",
        ]
        for row in result["rows"]
    ]
    machine = f"{result['hardware']['processor']}, {result['threads']} threads"
    head = ["", "settings", "NDCG@10", "seconds", "seconds of CPU"]
    return f"{machine}.\n\n{_markdown(head, lines)}"


def _settings(settings: Mapping[str, Any]) -> str:
    """Return settings in short, without what all ways have in common."""
    common = ("objective", "confidence")
    return ", ".join(f"{name}={value:g}" for name, value in settings.items() if name not in common)


def _lists(results: Path) -> str:
    head = ["NDCG@10", "coverage", "seconds of CPU"]
    return _of_models(_read(results, "lists"), head, ("ndcg", "coverage"))


def _lists_leave_one_out(results: Path, name: str = "lists-leave-one-out") -> str:
    head = ["HR@10", "NDCG@10", "seconds of CPU"]
    return _of_models(_read(results, name), head, ("hit_rate", "ndcg"))


def _of_models(result: Result, head: Line, figures: Sequence[str]) -> str:
    lines = [
        [f"{table['data']}: {row['name']}", *(f"{row[name]:.4f}" for name in figures), seconds]
        for table in result["tables"]
        for row in table["rows"]
        for seconds in [f"{row['cpu_seconds']:.1f}"]
    ]
    hardware = result["hardware"]
    machine = f"{hardware['processor']}, {result['threads']} threads"
    count = len(result["seeds"])
    what = "seeds" if result["leave_one_out"] else "splits"
    splits = f"means over {count} {what}" if count > 1 else f"one {what[:-1]}"
    return f"{machine}; {splits}.\n\n{_markdown(['', *head], lines)}"


TABLES: Final[Mapping[str, Callable[[Path], str]]] = MappingProxyType(
    {
        "machine": _machine,
        "ratios": _ratios,
        "rates": _rates,
        "instructions": _instructions,
        "stream": _stream,
        "factors": _factors,
        "peers": _peers,
        "time-to-rmse": _time_to_rmse,
        "time-to-ndcg": _time_to_ndcg,
        "lists": _lists,
        "lists-leave-one-out": _lists_leave_one_out,
        "lists-leave-one-out-seeds": partial(
            _lists_leave_one_out, name="lists-leave-one-out-seeds"
        ),
    }
)


if __name__ == "__main__":
    main()
