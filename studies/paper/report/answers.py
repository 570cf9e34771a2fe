"""What the data say to the paper's four research questions.

Each answer is put together from claims, one data set after the other, and each claim is judged by
intervals alone: two quantities differ where their 95 % intervals do not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from studies.paper import published
from studies.paper.report.document import Answer, Finding, Verdict
from studies.paper.report.methods import COMPARATORS, name_of
from studies.paper.report.numbers import show, show_quantity
from studies.paper.report.reasons import Reasons
from studies.paper.report.results import Quantity, Results, Row, names, pick

COMPARABLE: Final = 0.01
"""RMSE within which errors count as comparable; the paper names no figure."""
SIMILAR: Final = 0.1
"""Relative times within which a saving counts as the paper's."""


class Claim(NamedTuple):
    """One statement of the paper, held against one data set."""

    holds: bool | None
    """None where the data cannot tell."""
    text: str
    """What the data say."""
    why: str = ""
    """Why it does not hold, as far as known."""
    main: bool = False
    """Without it, the paper's answer falls."""


def answers(results: Results) -> tuple[Answer, ...]:
    """Answer RQ1 to RQ4."""
    reasons = Reasons(results)
    data = dict.fromkeys(row["data"] for file in results.files.values() for row in file.rows)
    found = []
    for name, question, paper, judge in QUESTIONS:
        claims = {each: list(judge(results, each, reasons)) for each in data}
        findings = tuple(_finding(each, those) for each, those in claims.items() if those)
        everything = [claim for those in claims.values() for claim in those]
        found.append(Answer(name, question, paper, verdict(everything), findings))
    return tuple(found)


def _finding(data: str, claims: Sequence[Claim]) -> Finding:
    said = "; ".join(f"{claim.text}{_held(claim)}" for claim in claims)
    whys = dict.fromkeys(claim.why for claim in claims if claim.holds is False and claim.why)
    return Finding(f"On {data}, {said}.", " ".join(whys))


def _held(claim: Claim) -> str:
    if claim.holds is None:
        return ", which decides nothing"
    return "" if claim.holds else ", contrary to the paper"


def verdict(claims: Sequence[Claim]) -> Verdict:
    """Return what claims say together; it is the main ones that can contradict."""
    if not claims:
        return "not run"
    held = {claim.holds for claim in claims}
    if held == {True}:
        return "agrees"
    if {claim.holds for claim in claims if claim.main} == {False}:
        return "contradicts"
    if held == {None}:
        return "cannot be told"
    return "agrees in part"


def below(one: Quantity, other: Quantity | float) -> bool | None:
    """Tell whether one lies below the other, or None where intervals touch."""
    return True if one.below(other) else False if one.above(other) else None


def _rq1(results: Results, data: str, reasons: Reasons) -> Iterable[Claim]:
    """MASCOT is faster than FP32, and no comparator is."""
    rows = [row for row in results.rows("fig7") if row["data"] == data]
    factors = max(names(rows, "factors"), default=0)
    rows = [row for row in rows if row["factors"] == factors]
    mascot = pick(rows, method="mascot")
    if mascot is not None:
        yield from _saves(
            mascot.quantity("relative_time"), reasons.no_time_saved(data, factors), factors
        )
    others = [row for row in rows if row["method"] in COMPARATORS]
    if others:
        yield _no_gain(others, reasons)


def _saves(time: Quantity, why: str, factors: int) -> Iterable[Claim]:
    paper = published.number("fig7/mascot/128/relative_time")
    text = (
        f"MASCOT takes {_q('relative_time', time)} of FP32's time at k = {factors} (the paper: "
        f"{paper:g})"
    )
    saves = below(time, 1.0)
    yield Claim(saves, text, why, main=True)
    if saves and time.above(paper + SIMILAR):
        yield Claim(False, "that is a smaller saving", why)


def _no_gain(rows: Sequence[Row], reasons: Reasons) -> Claim:
    figures = _listed(rows, "relative_time")
    fast = [row for row in rows if row.quantity("relative_time").below(1.0)]
    if fast:
        quick = _and([name_of(row["method"]) for row in fast])
        return Claim(
            False,
            f"existing quantisation saves time, too ({quick}): {figures}",
            reasons.comparator_fast(),
        )
    # An interval about 1 is no gain either, which is what the paper found of MPT; a wide one is
    # nothing at all.
    sure = all(row.quantity("relative_time").above(1.0 - SIMILAR) for row in rows)
    return Claim(sure or None, f"no comparator is surely faster than FP32: {figures}")


def _rq2(results: Results, data: str, reasons: Reasons) -> Iterable[Claim]:
    """MASCOT's error is comparable to FP32's, and lower than the comparators'."""
    rows = [row for row in results.rows("fig8", "final") if row["data"] == data]
    mascot = pick(rows, method="mascot")
    if mascot is None:
        return
    loss = mascot.quantity("loss")
    text = (
        f"MASCOT's RMSE of {_q('rmse', mascot.quantity('rmse'))} differs from FP32's by "
        f"{_q('loss', loss)}, where up to {COMPARABLE} counts as comparable here"
    )
    yield Claim(below(loss, COMPARABLE), text, reasons.rounding(), main=True)
    others = [row for row in rows if row["method"] in COMPARATORS]
    if others:
        yield _lower(loss, others, reasons)


def _lower(loss: Quantity, others: Sequence[Row], reasons: Reasons) -> Claim:
    order = [(row, below(loss, row.quantity("loss"))) for row in others]
    parts = []
    for holds, words in (
        (True, "lower than that of"),
        (False, "higher than that of"),
        (None, "not to be told from that of"),
    ):
        found = [row for row, held in order if held is holds]
        if found:
            parts.append(f"{words} {_listed(found, 'loss')}")
    held = {holds for _, holds in order}
    holds = True if held == {True} else False if False in held else None
    return Claim(holds, f"this loss is {', and '.join(parts)}", reasons.comparators_exact())


def _rq3(results: Results, data: str, reasons: Reasons) -> Iterable[Claim]:
    """N1 saves the time, MASCOT keeps the error; opt is faster than naive."""
    rows = [row for row in results.rows("fig9") if row["data"] == data]
    n1, n2, mascot = (pick(rows, variant=name) for name in ("mascot-n1", "mascot-n2", "mascot"))
    if n1 and mascot:
        why = reasons.no_time_saved(data, results.factors)
        yield _time_saved(n1.quantity("relative_time"), mascot.quantity("relative_time"), why)
        yield _error_saved(n1, mascot, n2)
    rows = [row for row in results.rows("fig10") if row["data"] == data and row["lookup"] == "opt"]
    if rows:
        yield _lookup(
            min(rows, key=lambda row: abs(row["groups"] - 100)), reasons.no_lookup_saved(data)
        )


def _time_saved(n1: Quantity, mascot: Quantity, why: str) -> Claim:
    held = {below(time, 1.0) for time in (n1, mascot)}
    holds = False if False in held else True if held == {True} else None
    text = (
        f"m-quantization alone (N1) takes {_q('relative_time', n1)} of FP32's time, and MASCOT "
        f"{_q('relative_time', mascot)}"
    )
    return Claim(holds, text, why, main=True)


def _error_saved(n1: Row, mascot: Row, n2: Row | None) -> Claim:
    before, after = (row.quantity("loss") for row in (n1, mascot))
    beside = f", N2 to {_q('loss', n2.quantity('loss'))}" if n2 else ""
    text = (
        f"g-switching brings the loss from N1's {_q('loss', before)} to {_q('loss', after)}{beside}"
    )
    return Claim(below(after, before), text, main=True)


def _lookup(opt: Row, why: str) -> Claim:
    time = opt.quantity("relative_time")
    paper = published.number("fig10/opt/100/relative_time")
    text = (
        f"searching {opt['groups']} groups takes {_q('relative_time', time)} of the naive lookup's "
        f"time (the paper, 100 groups: {paper:g})"
    )
    return Claim(below(time, 1.0), text, why)


def _rq4(results: Results, data: str, reasons: Reasons) -> Iterable[Claim]:
    """Small samples save time and cost no error, nor does the number of groups."""
    tests = [row for row in results.rows("table2", "tests") if row["data"] == data]
    seconds, rmse = (pick(tests, quantity=kind) for kind in ("seconds", "rmse"))
    if seconds is not None:
        yield _sampling(seconds, rmse, reasons)
    rows = [row for row in results.rows("fig11") if row["data"] == data]
    if rows:
        yield _insensitive(rows)


def _sampling(seconds: Row, rmse: Row | None, reasons: Reasons) -> Claim:
    difference = seconds.quantity("difference")
    holds = (difference.mean < 0) if seconds["significant"] else None
    text = (
        f"π = 2 with γ = 5 % changes the time of π = 1 with γ = 100 % by "
        f"{_q('seconds', difference)} s ({_p(seconds)})"
    )
    if rmse is not None:
        text += f" and its RMSE by {_q('loss', rmse.quantity('difference'))} ({_p(rmse)})"
    return Claim(holds, text, reasons.sampling(), main=True)


def _p(row: Row) -> str:
    if row["p_value"] is None:
        return "without a t-test"
    said = "significant" if row["significant"] else "not significant"
    p = show("p_value", row["p_value"])
    return f"{said}, p {p if p.startswith('<') else '= ' + p}"


def _insensitive(rows: Sequence[Row]) -> Claim:
    errors = [row.quantity("rmse").mean for row in rows]
    counts = names(rows, "groups")
    quickest = min(rows, key=lambda row: row.quantity("seconds").mean)
    text = (
        f"with {min(counts)} to {max(counts)} groups RMSE lies between "
        f"{show('rmse', min(errors))} and {show('rmse', max(errors))}, and "
        f"{quickest['groups']} take the least time (the paper: about "
        f"{published.number('fig11/turning'):g})"
    )
    return Claim(max(errors) - min(errors) < COMPARABLE, text)


def _q(kind: str, quantity: Quantity) -> str:
    return show_quantity(kind, quantity)


def _listed(rows: Sequence[Row], kind: str) -> str:
    return _and([f"{name_of(row['method'])} ({_q(kind, row.quantity(kind))})" for row in rows])


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


Judge = Callable[[Results, str, Reasons], Iterable[Claim]]

QUESTIONS: Final[tuple[tuple[str, str, str, Judge], ...]] = (
    (
        "RQ1",
        "Does MASCOT save more training time than existing quantisation?",
        "About 45 % less time than FP32 at k = 128; MPT gains nothing, MuPPET and AFP lose.",
        _rq1,
    ),
    (
        "RQ2",
        "Are its errors lower than theirs?",
        "Low, and comparable to FP32's.",
        _rq2,
    ),
    (
        "RQ3",
        "What do its strategies and its optimisation bring?",
        "m-quantization saves the time, g-switching the error; opt saves 10 % with 100 groups.",
        _rq3,
    ),
    (
        "RQ4",
        "How sensitive is it to its hyperparameters?",
        "π = 2 with γ = 5 % is significantly faster than measuring everything, at a comparable "
        "error; the number of groups does not matter to the error.",
        _rq4,
    ),
)
