"""What the data say to the paper's four research questions.

Each answer is put together from claims, and each claim is judged by intervals alone: two quantities
differ where their 95 % intervals do not touch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from studies.paper import published
from studies.paper.report.document import Answer, Verdict
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
    return tuple(
        _answer(name, question, paper, results, reasons, judge)
        for name, question, paper, judge in QUESTIONS
    )


def _answer(
    name: str, question: str, paper: str, results: Results, reasons: Reasons, judge: Judge
) -> Answer:
    claims = list(judge(results, reasons))
    if not claims:
        return Answer(name, question, paper, "not run", "Not run.", "")
    sentence = "; ".join(f"{claim.text}{_held(claim)}" for claim in claims)
    whys = dict.fromkeys(claim.why for claim in claims if claim.holds is False and claim.why)
    return Answer(
        name, question, paper, verdict(claims), sentence[:1].upper() + sentence[1:] + ".", " ".join(whys)
    )


def _held(claim: Claim) -> str:
    return {True: "", False: ", contrary to the paper", None: ", which is too uncertain to tell"}[claim.holds]


def verdict(claims: Sequence[Claim]) -> Verdict:
    """Return what claims say together; it is the main ones that can contradict."""
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


def _rq1(results: Results, reasons: Reasons) -> Iterable[Claim]:
    """MASCOT is faster than FP32, and no comparator is."""
    for data in names(results.rows("fig7"), "data"):
        rows = [row for row in results.rows("fig7") if row["data"] == data]
        factors = max(names(rows, "factors"))
        rows = [row for row in rows if row["factors"] == factors]
        mascot = pick(rows, method="mascot")
        if mascot is not None:
            yield from _saves(data, factors, mascot.quantity("relative_time"), reasons)
        others = [row for row in rows if row["method"] in COMPARATORS]
        if others:
            yield _no_gain(data, others, reasons)


def _saves(data: str, factors: int, time: Quantity, reasons: Reasons) -> Iterable[Claim]:
    published_time = published.number("fig7/mascot/128/relative_time")
    paper = f"{published_time:g}"
    text = (
        f"on {data} with k = {factors}, MASCOT takes {_q('relative_time', time)} of FP32's time "
        f"(the paper: {paper})"
    )
    saves = below(time, 1.0)
    yield Claim(saves, text, reasons.no_time_saved(data, factors), main=True)
    if saves and time.above(published_time + SIMILAR):
        yield Claim(False, "that is a smaller saving", reasons.no_time_saved(data, factors))


def _no_gain(data: str, rows: Sequence[Row], reasons: Reasons) -> Claim:
    times = [row.quantity("relative_time") for row in rows]
    figures = _listed(rows, "relative_time")
    fast = [row for row, time in zip(rows, times, strict=True) if time.below(1.0)]
    if fast:
        quick = _and([name_of(row["method"]) for row in fast])
        return Claim(False, f"{quick} saves time there, {figures}", reasons.comparator_fast(data))
    if all(time.above(1.0) for time in times):
        return Claim(True, f"no comparator saves any: {figures}")
    # Intervals that hold 1 are no gain either, which is what the paper found of MPT.
    return Claim(True, f"no comparator is surely faster than FP32: {figures}")


def _rq2(results: Results, reasons: Reasons) -> Iterable[Claim]:
    """MASCOT's error is comparable to FP32's, and lower than the comparators'."""
    final = results.rows("fig8", "final")
    for data in names(final, "data"):
        rows = [row for row in final if row["data"] == data]
        mascot = pick(rows, method="mascot")
        if mascot is None:
            continue
        loss = mascot.quantity("loss")
        near = below(loss, COMPARABLE)
        yield Claim(
            near,
            f"on {data}, MASCOT's RMSE of {_q('rmse', mascot.quantity('rmse'))} differs from FP32's by "
            f"{_q('loss', loss)}, where up to {COMPARABLE} counts as comparable here",
            reasons.rounding(data),
            main=True,
        )
        others = [row for row in rows if row["method"] in COMPARATORS]
        if others:
            yield _lower(mascot, others, reasons)


def _lower(mascot: Row, others: Sequence[Row], reasons: Reasons) -> Claim:
    loss = mascot.quantity("loss")
    order = [(row, below(loss, row.quantity("loss"))) for row in others]
    parts = []
    for holds, words in ((True, "lower than"), (False, "higher than"), (None, "not to be told from")):
        found = [row for row, held in order if held is holds]
        if found:
            parts.append(f"{words} {_listed(found, 'loss')}")
    held = {holds for _, holds in order}
    holds = True if held == {True} else False if False in held else None
    return Claim(holds, f"its loss is {' and '.join(parts)}", reasons.comparators_exact(mascot["data"]))


def _rq3(results: Results, reasons: Reasons) -> Iterable[Claim]:
    """N1 is fastest and least exact, N2 slower than N1, MASCOT exact; opt is faster than naive."""
    rows = results.rows("fig9")
    for data in names(rows, "data"):
        row = {name: pick(rows, data=data, variant=name) for name in names(rows, "variant")}
        n1, n2, mascot = (row.get(name) for name in ("mascot-n1", "mascot-n2", "mascot"))
        if n1 and mascot:
            yield _time_saved(data, n1, mascot, reasons)
            yield _error_saved(n1, mascot, n2)
    yield from _lookup(results, reasons)


def _time_saved(data: str, n1: Row, mascot: Row, reasons: Reasons) -> Claim:
    times = [row.quantity("relative_time") for row in (n1, mascot)]
    held = {below(time, 1.0) for time in times}
    holds = False if False in held else True if held == {True} else None
    text = (
        f"on {data}, m-quantization alone (N1) takes {_q('relative_time', times[0])} and MASCOT "
        f"{_q('relative_time', times[1])} of FP32's time"
    )
    return Claim(holds, text, reasons.no_time_saved(data, None), main=True)


def _error_saved(n1: Row, mascot: Row, n2: Row | None) -> Claim:
    losses = [row.quantity("loss") for row in (n1, mascot)]
    beside = f", N2 {_q('loss', n2.quantity('loss'))}" if n2 else ""
    text = (
        f"g-switching brings the loss from {_q('loss', losses[0])} (N1) to {_q('loss', losses[1])}"
        f"{beside}"
    )
    return Claim(below(losses[1], losses[0]), text, main=True)


def _lookup(results: Results, reasons: Reasons) -> Iterable[Claim]:
    rows = results.rows("fig10")
    for data in names(rows, "data"):
        opt = [row for row in rows if row["data"] == data and row["lookup"] == "opt"]
        if not opt:
            continue
        row = min(opt, key=lambda row: abs(row["groups"] - 100))
        time = row.quantity("relative_time")
        paper = f"{published.number('fig10/opt/100/relative_time'):g}"
        text = (
            f"on {data} with {row['groups']} groups, searching them takes {_q('relative_time', time)} "
            f"of the naive lookup's time (the paper: {paper})"
        )
        yield Claim(below(time, 1.0), text, reasons.no_lookup_saved(data))


def _rq4(results: Results, reasons: Reasons) -> Iterable[Claim]:
    """Sampling saves time and costs no error; the number of groups does not matter to the error."""
    tests = results.rows("table2", "tests")
    for data in names(tests, "data"):
        seconds = pick(tests, data=data, quantity="seconds")
        rmse = pick(tests, data=data, quantity="rmse")
        if seconds is not None:
            yield _sampling(data, seconds, rmse, reasons)
    rows = results.rows("fig11")
    for data in names(rows, "data"):
        yield _insensitive([row for row in rows if row["data"] == data], data)


def _sampling(data: str, seconds: Row, rmse: Row | None, reasons: Reasons) -> Claim:
    difference = seconds.quantity("difference")
    significant = bool(seconds["significant"])
    holds = (difference.mean < 0) if significant else None
    text = (
        f"on {data}, π = 2 with γ = 5 % changes the time by {_q('seconds', difference)} s against "
        f"π = 1 with γ = 100 %, {_p(seconds)}"
    )
    if rmse is not None:
        text += f", and RMSE by {_q('loss', rmse.quantity('difference'))}, {_p(rmse)}"
    return Claim(holds, text, reasons.sampling(), main=True)


def _p(row: Row) -> str:
    if row["p_value"] is None:
        return "without a t-test"
    said = "significant" if row["significant"] else "not significant"
    p = show("p_value", row["p_value"])
    return f"{said} (p {p if p.startswith('<') else '= ' + p})"


def _insensitive(rows: Sequence[Row], data: str) -> Claim:
    errors = [row.quantity("rmse") for row in rows]
    least, most = min(errors, key=lambda q: q.mean), max(errors, key=lambda q: q.mean)
    counts = names(rows, "groups")
    holds = most.mean - least.mean < COMPARABLE
    quickest = min(rows, key=lambda row: row.quantity("seconds").mean)
    text = (
        f"from {min(counts)} to {max(counts)} groups RMSE on {data} lies between "
        f"{show('rmse', least.mean)} and {show('rmse', most.mean)}, and {quickest['groups']} groups "
        f"take the least time (the paper: about {published.number('fig11/turning'):g})"
    )
    return Claim(holds, text)


def _q(kind: str, quantity: Quantity) -> str:
    return show_quantity(kind, quantity)


def _listed(rows: Sequence[Row], kind: str) -> str:
    return _and([f"{name_of(row['method'])} ({_q(kind, row.quantity(kind))})" for row in rows])


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


Judge = Callable[[Results, Reasons], Iterable[Claim]]

QUESTIONS: Final[tuple[tuple[str, str, str, Judge], ...]] = (
    (
        "RQ1",
        "Does MASCOT save more training time than existing quantisation?",
        "About 45 % less than FP32 at k = 128; MPT gains nothing, MuPPET and AFP lose.",
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
        "π = 2 with γ = 5 % is significantly faster at the same error; groups do not matter to it.",
        _rq4,
    ),
)
