"""What the data say beyond the paper: each sentence only where its variants were measured."""

from __future__ import annotations

from collections.abc import Iterable

from studies.paper.report.answers import COMPARABLE
from studies.paper.report.document import Items
from studies.paper.report.methods import COMPARATORS, Variant, name_of, variant
from studies.paper.report.numbers import show, show_quantity
from studies.paper.report.pareto import front, places
from studies.paper.report.results import Results, Row, names
from studies.paper.report.tables import switches

Measured = dict[Variant, Row]

FP32 = Variant("fp32")
FP32_RUNS = Variant("fp32", runs=True)
N1 = Variant("fp16")
STOCHASTIC = Variant("fp16", stochastic=True)
STOCHASTIC_RUNS = Variant("fp16", stochastic=True, runs=True)
MASCOT = Variant("mascot")
LOST_UPDATE = Variant("mascot", lost_update=True)
INT8 = Variant("int8")
MASCOT_INT8 = Variant("mascot-int8")


def findings(results: Results) -> list[Items]:
    """Return one list of findings for each data set."""
    rows = results.rows("beyond")
    lists = []
    for data in names(rows, "data"):
        measured = {variant(row): row for row in rows if row["data"] == data}
        sentences = [*_best(results, data), *_rounding(measured), *_criterion(measured)]
        sentences += [*_int8(measured), *_orders(measured)]
        if sentences:
            lists.append(Items(f"On {data}:", tuple(sentences)))
    return lists


def comparators(results: Results) -> list[str]:
    """Say whether the comparators end near FP32, and what those computed in that do not."""
    paragraphs = []
    for data in names(results.rows("fig8", "final"), "data"):
        rows = [row for row in results.rows("fig8", "final") if row["data"] == data]
        rows = [row for row in rows if row["method"] in COMPARATORS]
        near = [row for row in rows if row.quantity("loss").mean <= COMPARABLE]
        far = [row for row in rows if row not in near]
        said = [f"{name_of(row['method'])} ends within {COMPARABLE} of FP32" for row in near]
        said += [_far(row) for row in far]
        if said:
            paragraphs.append(f"On {data}, {'; '.join(said)}.")
    return paragraphs


def _far(row: Row) -> str:
    loss = show_quantity("loss", row.quantity("loss"))
    words = switches(row).text
    lengths = f", having computed in {words}" if words else ", in one precision throughout"
    return f"{name_of(row['method'])} ends {loss} from FP32{lengths}"


def _best(results: Results, data: str) -> Iterable[str]:
    best = front(places(results, data))
    if best:
        listed = "; ".join(
            f"{place.variant.label} ({show('relative_bytes', place.bytes.mean)} of the bytes, RMSE "
            f"{show('rmse', place.rmse.mean)})"
            for place in sorted(best, key=lambda place: place.bytes.mean)
        )
        yield f"Nothing beats these in both bytes and mean RMSE: {listed}."


def _rounding(measured: Measured) -> Iterable[str]:
    if not {N1, STOCHASTIC} <= measured.keys():
        return
    nearest, stochastic = measured[N1], measured[STOCHASTIC]
    less = stochastic.quantity("loss").below(nearest.quantity("loss"))
    yield (
        f"With stochastic rounding, all rows in FP16 lose {_shown(stochastic, 'loss')} to "
        f"FP32, {'less' if less else 'not surely less'} than the {_shown(nearest, 'loss')} of "
        f"rounding to nearest (N1), at the same bytes and without any switching."
    )
    if MASCOT in measured:
        yield f"MASCOT loses {_cost(measured[MASCOT])}."


def _criterion(measured: Measured) -> Iterable[str]:
    if {MASCOT, LOST_UPDATE} <= measured.keys():
        yield (
            f"Groups chosen by the updates that they lose, instead of by Eq. 4, give a loss of "
            f"{_cost(measured[LOST_UPDATE])}, where Eq. 4 gives {_cost(measured[MASCOT])}."
        )


def _int8(measured: Measured) -> Iterable[str]:
    parts = [
        f"{key.label} {_cost(measured[key])}" for key in (INT8, MASCOT_INT8) if key in measured
    ]
    if parts:
        yield f"Storage in eight bits loses: {'; '.join(parts)}."


def _orders(measured: Measured) -> Iterable[str]:
    for plain, runs in ((FP32, FP32_RUNS), (STOCHASTIC, STOCHASTIC_RUNS)):
        if {plain, runs} <= measured.keys():
            yield (
                f"Visited in runs of a user's ratings, {plain.label} takes "
                f"{_shown(measured[runs], 'relative_time')} of FP32's time instead of "
                f"{_shown(measured[plain], 'relative_time')}, with a loss of "
                f"{_shown(measured[runs], 'loss')}."
            )


def _cost(row: Row) -> str:
    return f"{_shown(row, 'loss')} at {_shown(row, 'relative_bytes')} of the bytes"


def _shown(row: Row, kind: str) -> str:
    return show_quantity(kind, row.quantity(kind))
