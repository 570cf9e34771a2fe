"""Put the report together: what comes in which section, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from studies.paper import published
from studies.paper.report import figures, parameters, tables
from studies.paper.report.answers import answers
from studies.paper.report.document import Block, Report, Section
from studies.paper.report.findings import comparators, findings
from studies.paper.report.pareto import pareto
from studies.paper.report.results import Result, Results, names


def report(results: Results) -> Report:
    """Return the whole report of what has been measured."""
    return Report(
        title="MASCOT, measured again",
        lead=(
            f"Section IV of “{published.TITLE}” (Ko et al.), and its figures 1, 4 and 5, run again "
            f"with mascot-jax: every table and figure, the paper's value beside ours.",
            f"The paper's values were measured on its own data sets and hardware "
            f"({published.HARDWARE}); those in its tables and text are exact, those off its plots "
            f"say “read off”. Where it does not have a data set of ours, its smallest one, "
            f"{published.DATA[published.NEAREST]}, stands beside it. Ours are means, with half the "
            f"width of Student's 95 % interval over the repetitions (±). Two of ours differ where "
            f"their intervals do not touch. A loss is an RMSE less FP32's in the same repetition: "
            f"how much folds differ is not in its interval.",
        ),
        facts=_facts(results),
        answers=answers(results),
        sections=tuple(_section(plan, results) for plan in PLANS),
    )


class Plan(NamedTuple):
    """A section, what it needs, and what fills it."""

    name: str
    title: str
    file: str
    """The result file without which it has not been run."""
    blocks: Callable[[Results], Sequence[Block]]


def _section(plan: Plan, results: Results) -> Section:
    if not results.rows(plan.file):
        return Section(plan.name, plan.title, ("Not run.",))
    return Section(plan.name, plan.title, tuple(plan.blocks(results)))


def _facts(results: Results) -> tuple[tuple[str, str], ...]:
    files = results.files.values()
    data = dict.fromkeys(row["data"] for file in files for row in file.rows)
    hardware = dict.fromkeys(_hardware(file) for file in files)
    trainings = dict.fromkeys(filter(None, map(_trainings, files)))
    return (
        ("Profile", results.profile),
        ("Data", "; ".join(data) or "none yet"),
        ("Trainings", "; ".join(trainings) or "none yet"),
        ("Hardware", "; ".join(hardware) or "none yet"),
    )


def _trainings(file: Result) -> str:
    train, repetitions = file.settings.get("train"), file.settings.get("repetitions")
    if not train or not repetitions:
        return ""
    return (
        f"{train['epochs']} epochs, k = {train['factors']} where nothing else is said; "
        f"repetitions: {repetitions}, each on another fold with another seed"
    )


def _hardware(file: Result) -> str:
    known = file.hardware
    parts = [
        str(known.get("backend", "unknown back end")).upper(),
        str(known.get("device", "")),
        str(known.get("processor", "")),
        f"{known['cores']} cores" if "cores" in known else "",
        str(known.get("instruction_set", "")),
    ]
    return ", ".join(part for part in parts if part)


def _data_and_distribution(results: Results) -> Sequence[Block]:
    drawn = [figures.distribution(results)] if results.rows("table1", "distribution") else []
    return [tables.statistics(results), *drawn]


def _table2(results: Results) -> Sequence[Block]:
    blocks: list[Block] = [parameters.sensitivity(results)]
    for data in names(results.rows("table2"), "data"):
        blocks += [
            tables.sensitivity(results, data, "rmse"),
            tables.sensitivity(results, data, "seconds"),
            tables.relative_sensitivity(results, data),
        ]
    if results.rows("table2", "tests"):
        blocks.append(tables.tests(results))
    return blocks


PLANS: Final = (
    Plan("table1", "Table I and Fig. 5(a): the data", "table1", _data_and_distribution),
    Plan(
        "fig7",
        "Fig. 1 and 7: training time of every method",
        "fig7",
        lambda results: [figures.methods_time(results), tables.methods_time(results)],
    ),
    Plan(
        "fig4",
        "Fig. 4: time by the share of rows in FP16",
        "fig4",
        lambda results: [figures.half_shares(results), tables.half_shares(results)],
    ),
    Plan(
        "fig5",
        "Fig. 5(b): gradients by the number of ratings",
        "fig5",
        lambda results: [figures.gradients(results), tables.gradients(results)],
    ),
    Plan(
        "fig8",
        "Fig. 8: error over the epochs",
        "fig8",
        lambda results: [
            figures.errors(results),
            *comparators(results),
            tables.final_errors(results),
        ],
    ),
    Plan(
        "fig9",
        "Fig. 9: MASCOT's strategies",
        "fig9",
        lambda results: [
            figures.strategies(results),
            tables.strategies(results),
            tables.unit_of_switching(results),
        ],
    ),
    Plan(
        "fig10",
        "Fig. 10: finding a row's group",
        "fig10",
        lambda results: [parameters.lookups(results), tables.lookups(results)],
    ),
    Plan("table2", "Table II: period and sample ratio", "table2", _table2),
    Plan(
        "fig11",
        "Fig. 11: number of groups",
        "fig11",
        lambda results: [parameters.group_counts(results), tables.group_counts(results)],
    ),
    Plan(
        "beyond",
        "Beyond the paper: accuracy and bytes",
        "beyond",
        lambda results: [pareto(results), *findings(results), tables.beyond(results)],
    ),
)
