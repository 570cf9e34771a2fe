"""What the data say beyond the paper: each sentence only where its variants were measured."""

from __future__ import annotations

from collections.abc import Iterable

from studies.paper.report.methods import Variant, variant
from studies.paper.report.numbers import show, show_quantity
from studies.paper.report.pareto import front, places
from studies.paper.report.results import Results, Row, names

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


def findings(results: Results) -> list[str]:
    """Return one paragraph of findings for each data set."""
    rows = results.rows("beyond")
    paragraphs = []
    for data in names(rows, "data"):
        measured = {variant(row): row for row in rows if row["data"] == data}
        sentences = [*_best(results, data), *_rounding(measured), *_criterion(measured)]
        sentences += [*_int8(measured), *_orders(measured)]
        if sentences:
            paragraphs.append(f"On {data}: " + " ".join(sentences))
    return paragraphs


def _best(results: Results, data: str) -> Iterable[str]:
    best = front(places(results, data))
    if best:
        listed = "; ".join(
            f"{place.variant.label} ({show('relative_bytes', place.bytes.mean)} of the bytes, RMSE "
            f"{show('rmse', place.rmse.mean)})"
            for place in sorted(best, key=lambda place: place.bytes.mean)
        )
        yield f"nothing beats these in both bytes and mean RMSE: {listed}."


def _rounding(measured: Measured) -> Iterable[str]:
    if not {N1, STOCHASTIC} <= measured.keys():
        return
    nearest, stochastic = (measured[key].quantity("loss") for key in (N1, STOCHASTIC))
    told = "less than" if stochastic.below(nearest) else "not surely less than"
    yield (
        f"With stochastic rounding, all rows in FP16 lose {show_quantity('loss', stochastic)} to "
        f"FP32, {told} the {show_quantity('loss', nearest)} of rounding to nearest (N1), at the same "
        f"bytes and without any switching."
    )
    if MASCOT in measured:
        mascot = measured[MASCOT]
        bytes_moved = show_quantity("relative_bytes", mascot.quantity("relative_bytes"))
        yield (
            f"MASCOT loses {show_quantity('loss', mascot.quantity('loss'))} at {bytes_moved} of the "
            f"bytes."
        )


def _criterion(measured: Measured) -> Iterable[str]:
    if {MASCOT, LOST_UPDATE} <= measured.keys():
        eq4, lost = measured[MASCOT], measured[LOST_UPDATE]
        yield (
            f"Groups chosen by the updates that they lose, instead of by Eq. 4, give a loss of "
            f"{show_quantity('loss', lost.quantity('loss'))} at "
            f"{show_quantity('relative_bytes', lost.quantity('relative_bytes'))} of the bytes, where "
            f"Eq. 4 gives {show_quantity('loss', eq4.quantity('loss'))} at "
            f"{show_quantity('relative_bytes', eq4.quantity('relative_bytes'))}."
        )


def _int8(measured: Measured) -> Iterable[str]:
    parts = [
        f"{key.label} {show_quantity('loss', measured[key].quantity('loss'))} at "
        f"{show_quantity('relative_bytes', measured[key].quantity('relative_bytes'))}"
        for key in (INT8, MASCOT_INT8)
        if key in measured
    ]
    if parts:
        yield f"Storage in eight bits loses, at so much of the bytes: {'; '.join(parts)}."


def _orders(measured: Measured) -> Iterable[str]:
    for plain, runs in ((FP32, FP32_RUNS), (STOCHASTIC, STOCHASTIC_RUNS)):
        if {plain, runs} <= measured.keys():
            loss = show_quantity("loss", measured[runs].quantity("loss"))
            times = [
                show_quantity("relative_time", measured[key].quantity("relative_time"))
                for key in (runs, plain)
            ]
            yield (
                f"Visited in runs of a user's ratings, {plain.label} takes {times[0]} of FP32's time "
                f"instead of {times[1]}, with a loss of {loss}."
            )
