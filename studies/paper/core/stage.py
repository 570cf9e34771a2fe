"""What every stage of the study does: read the parameters, measure each data set, keep the rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tqdm import tqdm

from mascot_jax.data.store import read_facts
from mascot_jax.engine.devices import choose_device, computing_on
from mascot_jax.training.problem import Problem
from pipeline.common.hardware import describe_hardware
from pipeline.common.paths import DataFolder
from studies.paper.core import folders
from studies.paper.core.entry import checked_study
from studies.paper.core.problem import read_problem
from studies.paper.core.race import Outcome, Scored, Variant, race
from studies.paper.core.records import write_records
from studies.paper.core.settings import DataSet, Grids, Profile, Training

Rows = list[dict[str, Any]]


class Case(NamedTuple):
    """One data set of the profile, for a figure to measure."""

    figure: str
    data: str
    """The data set's name."""
    folder: DataFolder
    repetitions: int
    train: Training
    grids: Grids

    def problems(self) -> Iterator[tuple[int, Problem]]:
        """Yield each repetition's seed and fold: repetition r tests fold r modulo their number."""
        count = read_facts(self.folder.split).count
        for repetition in range(self.repetitions):
            if repetition == 0 or count > 1:
                problem = read_problem(self.folder, repetition % count)
            yield self.train.seed + repetition, problem

    def race(
        self, variants: Sequence[Variant], scored: Scored = Scored.NEVER
    ) -> dict[str, list[Outcome]]:
        """Have variants race in every repetition; a variant's outcomes by its name."""
        outcomes: dict[str, list[Outcome]] = defaultdict(list)
        total = self.repetitions * len(variants) * self.train.epochs
        with self.progress(total) as bar:
            for seed, problem in self.problems():
                run = race(variants, problem, self.train, seed, scored, lambda _: bar.update())
                for name, outcome in run.items():
                    outcomes[name].append(outcome)
        return outcomes

    def progress(self, epochs: int) -> tqdm[Any]:
        """Return a bar of so many epochs."""
        return tqdm(total=epochs, desc=f"{self.figure}, {self.data}", unit="epoch", disable=None)


Measure = Callable[[Case], Mapping[str, Rows]]
"""Measures one data set; ``rows``, and what else the figure shows, without the data set's name."""


def run_figure(figure: str, measure: Measure) -> None:
    """Run a figure's stage: measure each data set of the profile, and write what all have shown."""
    study = checked_study(figure, measure.__doc__)
    profile = study.chosen
    tables: dict[str, Rows] = {}
    device = choose_device(profile.train.backend)
    with computing_on(device):
        for data_set in profile.sets:
            for name, rows in measure(_case(figure, study.profile, profile, data_set)).items():
                tables.setdefault(name, []).extend({"data": data_set.name, **row} for row in rows)
    about = {
        "figure": figure,
        "profile": study.profile,
        "hardware": describe_hardware(device),
        "settings": _shown(profile),
    }
    write_records(folders.result(study.profile, figure), about | tables)


def _case(figure: str, profile_name: str, profile: Profile, data_set: DataSet) -> Case:
    folder = folders.data(profile_name, data_set)
    comparators = data_set.comparators or profile.train.comparators
    train = profile.train.model_copy(update={"comparators": comparators})
    return Case(figure, data_set.name, folder, profile.repetitions, train, profile.grids)


def _shown(profile: Profile) -> dict[str, Any]:
    """Return what all figures depend on of a profile, but for where its data came from.

    What a figure varies is in its rows.
    """
    origin = {"sets": {"__all__": {"data": {"source", "columns"}}}}
    return profile.model_dump(mode="json", exclude={"grids": True, **origin})
