"""The report's tables: ours, and the paper's beside it. Each number keeps where it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from studies.paper import published
from studies.paper.report.document import Cell, Table
from studies.paper.report.methods import name_of, variant
from studies.paper.report.numbers import show, show_published, show_quantity
from studies.paper.report.results import Quantity, Results, Row, names, pick

NOTHING: Final = Cell("")

TITLES: Final = {
    "seconds": "Seconds",
    "relative_time": "Relative time",
    "rmse": "RMSE",
    "loss": "Loss to FP32",
    "relative_bytes": "Relative bytes",
}


def table(caption: str, header: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
    """Return a table without the columns that have nothing in them."""
    full = [place for place in range(len(header)) if any(row[place].text for row in rows)]
    return Table(
        caption,
        tuple(header[place] for place in full),
        tuple(tuple(row[place] for place in full) for row in rows),
    )


def head(text: object) -> Cell:
    """Return a cell that names its row."""
    return Cell(str(text), head=True)


def ours(row: Row | None, kind: str) -> Cell:
    """Return a cell with a measured quantity, an empty one where there is no row."""
    if row is None:
        return NOTHING
    return Cell(show_quantity(kind, row.quantity(kind)), data=row.source(kind))


def papers(path: str, kind: str) -> Cell:
    """Return a cell with a published value, an empty one where the paper gives none."""
    if path not in published.VALUES:
        return NOTHING
    value, _, read_off = published.VALUES[path]
    text = value if isinstance(value, str) else show_published(kind, value)
    return Cell(f"{text} (read off)" if read_off else text, paper=path)


def first(paths: Iterable[str], kind: str) -> Cell:
    """Return a cell with the first of these that the paper gives."""
    return next((cell for path in paths if (cell := papers(path, kind)) != NOTHING), NOTHING)


def statistics(results: Results) -> Table:
    """Return Table I: our data sets, then the paper's."""
    kinds = ("users", "items", "ratings", "sparsity")
    rows = [
        (
            head(row["data"]),
            *(Cell(show(kind, row[kind]), data=row.source(kind)) for kind in kinds),
        )
        for row in results.rows("table1")
    ]
    for data, name in published.DATA.items():
        cells = (papers(f"table1/{data}/{kind}", kind) for kind in kinds)
        rows.append((head(f"{name} (paper)"), *cells))
    header = ("Data", "Users", "Items", "Ratings", "Sparsity")
    return table("Table I: the data sets, ours and the paper's", header, rows)


def methods_time(results: Results) -> Table:
    """Return the times of Fig. 1 and 7."""
    rows = []
    for row in results.rows("fig7"):
        data, factors, method = row["data"], row["factors"], row["method"]
        rows.append(
            (
                head(data),
                head(factors),
                head(name_of(method)),
                ours(row, "seconds"),
                ours(row, "relative_time"),
                first(
                    (
                        f"fig7/{method}/{factors}/relative_time",
                        f"fig7/{method}/relative_time",
                    ),
                    "relative_time",
                ),
                _training_seconds(data, factors, method),
            )
        )
    header = (
        "Data",
        "k",
        "Method",
        "Seconds",
        "Relative time",
        "Paper: relative",
        "Paper: seconds",
    )
    return table("Time of a whole training, and relative to FP32", header, rows)


def _training_seconds(data: str, factors: int, method: str) -> Cell:
    if factors != 128 or method not in ("fp32", "mascot"):
        return NOTHING
    chosen = published.cell(data, *published.CHOSEN)
    return papers(f"{chosen}/seconds" if method == "mascot" else f"fp32/{data}/seconds", "seconds")


def half_shares(results: Results) -> Table:
    """Return the times of Fig. 4."""
    rows = [
        (
            head(row["data"]),
            head(f"{row['half_share']:.0%}".replace("%", " %")),
            *(ours(row, kind) for kind in ("seconds", "relative_time")),
        )
        for row in results.rows("fig4")
    ]
    header = ("Data", "Rows in FP16", "Seconds an epoch", "Relative time")
    return table("Time of an epoch by the share of rows in FP16", header, rows)


def gradients(results: Results) -> Table:
    """Return the gradients of Fig. 5(b) in the first epoch and in the last."""
    everything = results.rows("fig5")
    rows = []
    for data in names(everything, "data"):
        of_data = [row for row in everything if row["data"] == data]
        epochs = names(of_data, "epoch")
        for side in names(of_data, "side"):
            for quartile in sorted(names(of_data, "quartile")):
                cells = (
                    ours(
                        pick(of_data, side=side, quartile=quartile, epoch=epoch),
                        "gradient",
                    )
                    for epoch in (epochs[0], epochs[-1])
                )
                rows.append((head(data), head(side), head(f"G{quartile}"), *cells))
    header = ("Data", "Side", "Quartile", "First epoch", "Last epoch")
    return table("Root mean square norm of the gradients; G1 is the most-rated", header, rows)


def final_errors(results: Results) -> Table:
    """Return the ends of Fig. 8's curves."""
    rows = []
    for row in results.rows("fig8", "final"):
        data, method = row["data"], row["method"]
        chosen = published.cell(data, *published.CHOSEN)
        exact = (f"{chosen}/rmse",) if method == "mascot" else ()
        paper = first((*exact, f"fig8/{method}/rmse"), "rmse")
        measured = (ours(row, kind) for kind in ("rmse", "loss", "relative_bytes"))
        rows.append((head(data), head(name_of(method)), *measured, paper, switches(row)))
    header = (
        "Data", "Method", "RMSE", "Loss to FP32", "Relative bytes", "Paper: error", "Switched",
    )  # fmt: skip
    return table(f"After the last epoch, k = {results.factors}", header, rows)


def switches(row: Row) -> Cell:
    """Say in a few words what a method switched; an empty cell, where it never does."""
    events = row.get("events") or []
    if any("word_length" in event for event in events):
        said = (f"{_bits(event['word_length'])} from epoch {event['epoch']}" for event in events)
        return Cell(", ".join(said), data=row.source("events"))
    changed = [event for event in events if event.get("switched")]
    if not changed:
        return NOTHING
    began, share = changed[0]["epoch"], changed[-1]["switched"]
    text = f"{share:.0%} of the row visits at the end, the first in epoch {began}"
    return Cell(text.replace("%", " %"), data=row.source("events"))


def _bits(length: int | None) -> str:
    return "FP32" if length in (None, 32) else f"{length} bits"


def strategies(results: Results) -> Table:
    """Return Fig. 9's numbers."""
    rows = []
    for row in results.rows("fig9"):
        data, name = row["data"], row["variant"]
        rows.append(
            (
                head(data),
                head(name_of(name)),
                *(ours(row, kind) for kind in ("seconds", "relative_time", "rmse", "loss")),
                papers(f"fig9/{name}/relative_time", "relative_time"),
                _published_error(data, name),
            )
        )
    header = (
        "Data", "Variant", "Seconds", "Relative time", "RMSE", "Loss to FP32", "Paper: relative",
        "Paper: error",
    )  # fmt: skip
    return table("Time of a whole training, and the error after it", header, rows)


def _published_error(data: str, name: str) -> Cell:
    exact = f"{published.cell(data, *published.CHOSEN)}/rmse" if name == "mascot" else ""
    return first((exact, f"fig9/{name}/rmse"), "rmse")


def unit_of_switching(results: Results) -> Table:
    """Return the time of MASCOT-N2 relative to MASCOT-N1, of which the paper has one figure."""
    everything = results.rows("fig9")
    rows = []
    for data in names(everything, "data"):
        n2, n1 = (pick(everything, data=data, variant=f"mascot-{name}") for name in ("n2", "n1"))
        quotient = _quotient(n2, n1, "seconds")
        rows.append((head(data), quotient, papers("fig9/mascot-n2/over-n1", "relative_time")))
    header = ("Data", "N2's time / N1's", "Paper")
    return table("What switching a whole side at once costs", header, rows)


def _quotient(row: Row | None, unit: Row | None, kind: str) -> Cell:
    if row is None or unit is None:
        return NOTHING
    value = row.quantity(kind).mean / unit.quantity(kind).mean
    return Cell(show("relative_time", value), data=f"{row.source(kind)} {unit.source(kind)}")


def lookups(results: Results) -> Table:
    """Return Fig. 10's numbers."""
    rows = []
    for row in results.rows("fig10"):
        data, lookup, groups = row["data"], row["lookup"], row["groups"]
        paths = [f"fig10/{lookup}/{groups}{part}/relative_time" for part in (f"/{data}", "")]
        cells = (ours(row, kind) for kind in ("seconds", "relative_time"))
        paper = first(paths, "relative_time")
        rows.append((head(data), head(groups), head(lookup), *cells, paper))
    header = ("Data", "Groups", "Lookup", "Seconds", "Relative time", "Paper: relative time")
    return table("Time by the way a row's group is found, relative to naive", header, rows)


def group_counts(results: Results) -> Table:
    """Return Fig. 11's numbers."""
    rows = [
        (head(row["data"]), head(row["groups"]), *(ours(row, kind) for kind in ("seconds", "rmse")))
        for row in results.rows("fig11")
    ]
    return table(
        "Time and error by the number of groups", ("Data", "Groups", "Seconds", "RMSE"), rows
    )


def sensitivity(results: Results, data: str, kind: str) -> Table:
    """Return one half of Table II, errors (``rmse``) or ``seconds``, ours over the paper's.

    Where the paper does not have the data set, its smallest one stands below ours.
    """
    of_data = [row for row in results.rows("table2") if row["data"] == data]
    ratios = sorted(names(of_data, "sample_ratio"))
    other = published.counterpart(data)
    rows = []
    for period in sorted(names(of_data, "period")):
        mine = (
            _marked(ours(pick(of_data, period=period, sample_ratio=ratio), kind), period, ratio)
            for ratio in ratios
        )
        rows.append((head(period), head("ours"), *mine))
        theirs = (
            _marked(papers(f"{published.cell(other, period, ratio)}/{kind}", kind), period, ratio)
            for ratio in ratios
        )
        rows.append((head(period), head(f"paper, {published.DATA[other]}"), *theirs))
    header = ("Period π", "", *(f"γ = {100 * ratio:g} %" for ratio in ratios))
    return table(f"Table II, {'RMSE' if kind == 'rmse' else kind}: {data}", header, rows)


def _marked(cell: Cell, period: int, ratio: float) -> Cell:
    """Let the paper's choice and what it tests that against stand out."""
    return cell._replace(strong=(period, ratio) in (published.CHOSEN, published.NAIVE))


def relative_sensitivity(results: Results, data: str) -> Table:
    """Return Table II's times relative to measuring all ratings in every epoch."""
    of_data = [row for row in results.rows("table2") if row["data"] == data]
    ratios = sorted(names(of_data, "sample_ratio"))
    other = published.counterpart(data)
    naive = pick(of_data, period=published.NAIVE[0], sample_ratio=published.NAIVE[1])
    unit = f"{published.cell(other, *published.NAIVE)}/seconds"
    rows = []
    for period in sorted(names(of_data, "period")):
        mine = (
            _quotient(pick(of_data, period=period, sample_ratio=ratio), naive, "seconds")
            for ratio in ratios
        )
        rows.append((head(period), head("ours"), *mine))
        theirs = (
            _published_quotient(f"{published.cell(other, period, ratio)}/seconds", unit)
            for ratio in ratios
        )
        rows.append((head(period), head(f"paper, {published.DATA[other]}"), *theirs))
    header = ("Period π", "", *(f"γ = {100 * ratio:g} %" for ratio in ratios))
    return table(f"Table II, time relative to π = 1, γ = 100 %: {data}", header, rows)


def _published_quotient(path: str, unit: str) -> Cell:
    if path not in published.VALUES:
        return NOTHING
    value = published.number(path) / published.number(unit)
    return Cell(show("relative_time", value), paper=f"{path} {unit}")


def tests(results: Results) -> Table:
    """Return the paired t-tests of Table II."""
    rows = []
    for row in results.rows("table2", "tests"):
        kind = row["quantity"]
        difference = row.quantity("difference")
        rows.append(
            (
                head(row["data"]),
                head(TITLES[kind]),
                Cell(
                    show_quantity("loss" if kind == "rmse" else kind, difference),
                    data=difference.source,
                ),
                _p_value(row),
                _significant(row),
                papers("table2/p", "p_value") if kind == "seconds" else NOTHING,
            )
        )
    header = ("Data", "Quantity", "Difference", "p", "Significant", "Paper: p below")
    caption = "π = 2, γ = 5 % less π = 1, γ = 100 %: paired t-test at 95 %"
    return table(caption, header, rows)


def _p_value(row: Row) -> Cell:
    # None of one repetition, or of differences that are all 0.
    p = row["p_value"]
    return Cell("–" if p is None else show("p_value", p), data=row.source("p_value"))


def _significant(row: Row) -> Cell:
    said = {True: "yes", False: "no", None: "–"}[row["significant"]]
    return Cell(said, data=row.source("significant"))


def beyond(results: Results) -> Table:
    """Return what every variant costs and saves."""
    kinds = ("rmse", "loss", "relative_bytes", "relative_time")
    rows = [
        (head(row["data"]), head(variant(row).label), *(ours(row, kind) for kind in kinds))
        for row in results.rows("beyond")
    ]
    header = ("Data", "Variant", *(TITLES[kind] for kind in kinds))
    return table(f"Every method, k = {results.factors}", header, rows)


def repetitions(quantities: Sequence[Quantity]) -> str:
    """Say over how many repetitions these are."""
    counts = sorted({len(quantity.values) for quantity in quantities})
    return "n = " + (str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}")


def spread(rows: Sequence[Row], kind: str) -> str:
    """Say over how many repetitions one of the rows' quantities is."""
    return repetitions([row.quantity(kind) for row in rows])
