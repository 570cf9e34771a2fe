"""Train a model on ratings with ids: index the ids, shuffle, group and train."""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each, gather, sort_by
from mascot_jax.base.biases import Biases
from mascot_jax.base.units import around
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.devices import choose_device, computing_on
from mascot_jax.engine.interactions import RowPairs
from mascot_jax.engine.ratings import Triples
from mascot_jax.engine.scratch import Scratch, ScratchFolder
from mascot_jax.engine.tables import to_host
from mascot_jax.errors import (
    DataError,
    DivergenceError,
    RatingsWarning,
    SettingsError,
    UnsavableIdsWarning,
)
from mascot_jax.ids.file import warn_unsavable
from mascot_jax.ids.table import IdTable, index_ids
from mascot_jax.mf.advice import warn_of_confidences, warn_of_ratings
from mascot_jax.mf.interactions import Interactions, Source
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.on_disk import TableOnDisk
from mascot_jax.mf.seen import seen_before, seen_items
from mascot_jax.mf.train import train_model
from mascot_jax.mf.warm_start import warm_state
from mascot_jax.settings import (
    RegroupSettings,
    RunSettings,
    TrainPlan,
    TrainSettings,
)
from mascot_jax.settings.interactions import INTERACTION_DEFAULTS
from mascot_jax.tables.groups import regroup
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.fingerprint import digest_of, fingerprint
from mascot_jax.training.interactions import summed
from mascot_jax.training.loop import OnEpoch
from mascot_jax.training.problem import Ground, Prepared, Problem, make_problem, prepare
from mascot_jax.training.records import Progress
from mascot_jax.training.shareable import backend_among, check_alike, execution_among

_log = logging.getLogger(__name__)
USUAL_RATING: Final = 5.0
"""Largest magnitude of ratings that the step sizes of the recipe ``paper`` are chosen for."""


def fit_ratings(
    ratings: Source,
    settings: TrainSettings,
    groups: RegroupSettings,
    run: RunSettings,
    *,
    keep_seen: bool = True,
    earlier: Model | None = None,
    extend: bool = False,
    on_start: Callable[[Prepared], None] | None = None,
    on_epoch: OnEpoch | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
    on_write: Callable[[int, int], None] | None = None,
    workers: Workers | None = None,
) -> Model:
    """Train a model on ratings, whose row order does not matter.

    Ratings are sorted by user, item and rating and then shuffled by the seed: the same ratings in
    another order give the same model, bit for bit if the training is deterministic.

    Parameters
    ----------
    ratings
        Result of ``read_interactions``; with ``run.scratch`` also another source.
    settings, groups, run
        How to train, to group and to run.
    keep_seen
        Whether the model keeps the items that each user has rated.
    earlier
        Model with initial factors for its users and items; others start from random ones.
    extend
        Whether the ratings are additional to the earlier model's: users and items that only it
        knows then stay, as do the items that its users have seen. Otherwise, whatever is not in the
        ratings is dropped.
    on_start
        Called before the first epoch with what is trained on.
    on_epoch
        As for ``training.loop.train_state``.
    on_write
        Called after each write to ``run.scratch`` with the bytes written so far, and those of all
        such writes before the first epoch.
    checkpoint
        File for the progress, every ``run.checkpoint_every`` epochs and when training ends; if that
        is None, nothing is written. The caller removes the file once the model is saved.
    resume
        Resume from the checkpoint, if there is one.
    workers
        Processes, or GPUs of one or more, that share the training; each process calls this with the
        same ratings and settings, and gets the model. All write the checkpoint, on a file system
        that they share.

    Raises
    ------
    CheckpointError
        If the checkpoint to resume from is damaged, or is of another training.
    DataError
        If ids or ratings cannot be used.
    SettingsError
        If the earlier model has another number of factors, or the workers cannot share this.
    ProcessError
        If the workers differ in ratings, settings or code, do not see each other's files, or one of
        them has ended.
    DivergenceError
        At the end of the first epoch whose factors are not all finite.
    """
    device = choose_device(backend_among(settings, run, workers))
    decided = settings.left_to_ratings
    if earlier is not None:
        settings = _fitting(earlier, settings, extend=extend)
    known = earlier if extend else None
    with computing_on(device), _warned_once(workers):
        folder = None if run.scratch is None else ScratchFolder(run.scratch, on_write)
        table = _indexed(ratings, known, settings, folder, keep_seen=keep_seen)
        confidence = settings.confidence or INTERACTION_DEFAULTS["confidence"]
        if settings.of_interactions and confidence == "values":
            warn_of_confidences(table.ratings)
        ids = table.user_ids, table.item_ids
        users = _Side(table.users, table.user_ids, groups.user_groups, earlier, known, "users")
        items = _Side(table.items, table.item_ids, groups.item_groups, earlier, known, "items")
        ground = None if earlier is None else _ground(earlier)
        if known is not None:
            ground = _continued(known, users, items, table.ratings)
        met_before = _met_before(table, users, items, known) if settings.of_interactions else None
        scratch = table.scratch
        problem = _problem(table.release(), users, items, known, scratch)
        problem = problem._replace(met_before=met_before)
        problem = problem.judged(settings)
        plan = problem.plan(settings, device.platform if workers is None else workers.platform)
        execution = execution_among(plan, run, workers)
        prepared = prepare(problem, plan, execution, ground, compared=True)
        if not settings.of_interactions:
            warn_of_ratings(table.given, prepared.spread, fresh=earlier is None)
        if on_start is not None:
            on_start(prepared)
        jax.block_until_ready(prepared.ratings)
        del problem, scratch  # the ratings are in ``prepared`` now, in another order
        seen = table.seen
        del table
        start = None if earlier is None else _warm(earlier, users, items, plan)
        keep = _Keep(checkpoint, run.checkpoint_every, resume, workers)
        checkpoints, start = keep.checkpoints(prepared, start)
        _log.info(
            "training on %d %s of %d users and %d items: method %s, %d factors, %d epochs, %s",
            len(prepared.ratings) - (0 if met_before is None else len(met_before[0])),
            plan.objective,
            len(users.ids),
            len(items.ids),
            plan.method,
            plan.factors,
            plan.epochs,
            device if workers is None else ", ".join(map(str, workers.devices)),
        )
        with _scale_in_words(prepared):
            model = train_model(
                prepared,
                execution,
                on_epoch,
                start=start,
                checkpoints=checkpoints,
                workers=workers,
            )
    _log.info("trained %d epochs", model.epochs_trained)
    model = dataclasses.replace(
        model,
        users=model.users.named(users.ids, users.counts),
        items=model.items.named(items.ids, items.counts),
        regroup=groups,
        decided=decided,
        damping=prepared.damping,
        baseline=None if model.biases is not None else prepared.baseline,
    )
    del prepared
    jax.device_put(0)  # JAX lets go of the ratings' memory at its next call
    if keep_seen:
        pairs = seen_items(ratings.users, ratings.items, *ids, known) if seen is None else seen
        model = dataclasses.replace(model, seen=pairs)
    return model


def _indexed(
    ratings: Source,
    known: Model | None,
    settings: TrainSettings,
    folder: ScratchFolder | None,
    *,
    keep_seen: bool,
) -> _Table | TableOnDisk:
    """Return the indexed ratings, in a file if there is a folder for it, else in memory."""
    if folder is not None:
        if known is not None:
            raise SettingsError(
                "run.scratch: partial_fit holds the new ratings in memory: set run.scratch to None"
            )
        return TableOnDisk(ratings, settings.seed, folder, keep_seen=keep_seen)
    if not isinstance(ratings, Interactions):
        raise DataError(
            "ratings that are read piece by piece are trained on where a disk holds them: set "
            "run.scratch to a folder"
        )
    return _Table(ratings, known, settings.seed, merge=settings.of_interactions)


@contextmanager
def _warned_once(workers: Workers | None) -> Iterator[None]:
    """Leave warnings, which all processes would give alike, to the first one."""
    if workers is None or workers.leads:
        yield
        return
    with warnings.catch_warnings():
        for category in (RatingsWarning, UnsavableIdsWarning):
            warnings.simplefilter("ignore", category)
        yield


def _fitting(earlier: Model, settings: TrainSettings, *, extend: bool) -> TrainSettings:
    """Return settings completed by those of an earlier model; refuse others that differ."""
    if extend and settings.pruning is not None and settings.pruning.projects:
        # The rows have been projected, or never will be: further training keeps their width.
        width = {"factors": earlier.factors, "pruning": None}
        settings = settings.model_copy(update=width)
    left = ["biases"] if settings.biases is None else []
    if extend:  # the new ratings alone do not tell how strongly factors may add
        left += settings.left_to_ratings
    settings = settings.model_copy(update={name: getattr(earlier.settings, name) for name in left})
    has: dict[str, Any] = {
        "objective": earlier.settings.objective,
        "factors": earlier.factors,
        "biases": earlier.settings.biases,
    }
    if earlier.settings.of_interactions:  # what the scores and the weights are units of
        has |= {"confidence": earlier.settings.confidence, "loss": earlier.settings.loss}
    for name, there in has.items():
        wanted = getattr(settings, name)
        if wanted is None and name in INTERACTION_DEFAULTS:
            wanted = INTERACTION_DEFAULTS[name]
        if wanted != there:
            projected = name == "factors" and settings.pruning is not None
            raise SettingsError(
                f"{name}: {wanted}: the model to start from has {there}: set {name} to that"
                f"{', and pruning to None' if projected else ''}, or start from no model"
            )
    return settings


class _Table:
    """Indexed ratings, in a random order that does not depend on their original one.

    Attributes are replaced one at a time, so that at most one column is in memory twice.
    """

    scratch = None
    """They are in memory."""
    seen = None
    """Not found yet."""

    def __init__(
        self, ratings: Interactions, known: Model | None, seed: int, *, merge: bool
    ) -> None:
        users = [] if known is None else [known.users.id_table]
        items = [] if known is None else [known.items.id_table]
        self.user_ids, self.users = index_ids(ratings.users, *users)
        self.item_ids, self.items = index_ids(ratings.items, *items)
        warn_unsavable(self.user_ids, "user")
        warn_unsavable(self.item_ids, "item")
        self._source = ratings
        self.ratings = ratings.values()
        # Sort ratings by their bits: any fixed order will do.
        order = sort_by(self.users, self.items, self.ratings.view(np.uint32))
        if merge:
            self._take(order)
            self.users, self.items, self.ratings = summed(self.users, self.items, self.ratings)
            order = np.arange(len(self.ratings), dtype=order.dtype)
        np.random.default_rng(seed).shuffle(order)
        self._take(order)

    def _take(self, order: NDArray[np.integer[Any]]) -> None:
        self.users = gather(self.users, order)
        self.items = gather(self.items, order)
        self.ratings = gather(self.ratings, order)

    @property
    def given(self) -> NDArray[np.float32]:
        """The ratings in their original order."""
        return self._source.values()

    def release(self) -> Triples:
        """Return the columns, and drop them here."""
        columns = self.users, self.items, self.ratings
        del self.users, self.items, self.ratings
        return columns


def _problem(
    columns: Triples,
    users: _Side,
    items: _Side,
    known: Model | None,
    scratch: Scratch | None,
) -> Problem:
    sides = users.grouping, items.grouping
    problem = make_problem(columns, *sides, scratch=scratch, expendable=True)
    if known is None:
        return problem
    return problem._replace(low=min(problem.low, known.low), high=max(problem.high, known.high))


def _met_before(
    table: _Table | TableOnDisk, users: _Side, items: _Side, known: Model | None
) -> RowPairs | None:
    """Return the rows of what the users have met besides, if the model to extend has kept it."""
    if known is None or known.seen is None:
        return None
    found = seen_before(table.users, table.items, users.ids, items.ids, known)
    return users.grouping.row_of[found[0]], items.grouping.row_of[found[1]]


def _warm(earlier: Model, users: _Side, items: _Side, plan: TrainPlan) -> Progress:
    groupings = users.grouping, items.grouping
    return Progress(warm_state(earlier, *groupings, users.earlier, items.earlier, plan))


@contextmanager
def _scale_in_words(prepared: Prepared) -> Iterator[None]:
    """Add to a divergence error that the range of the ratings is too wide, if it is."""
    try:
        yield
    except DivergenceError as error:
        largest = max(abs(prepared.low), abs(prepared.high))
        usual = largest <= USUAL_RATING or prepared.plan.of_interactions
        if usual or not prepared.rule.units.plain:
            raise
        raise DivergenceError(
            f"{error}; ratings go from {prepared.low:g} to {prepared.high:g}: the step sizes of "
            "train.recipe paper suit ranges such as 1 to 5; with train.recipe tuned, ratings may "
            "have any range"
        ) from error


class _Keep(NamedTuple):
    """Checkpoint file, how often to write it, and whether to resume from it."""

    path: str | os.PathLike[str] | None
    every: int | None
    resume: bool
    workers: Workers | None

    def checkpoints(
        self, prepared: Prepared, start: Progress | None
    ) -> tuple[Checkpoints | None, Progress | None]:
        """Return the checkpoints, None if not wanted, and the progress to start from.

        Processes that share the training are first seen to be alike.
        """
        wanted = self.path is not None and bool(self.every or self.resume)
        if not wanted and self.workers is None:
            return None, start
        origin = "seed"
        if start is not None:
            # Live rows only: the rest of each array is uninitialised memory.
            tables = map(to_host, (start.state.users, start.state.items))
            origin = digest_of(x for t in tables for x in (*t.stored.values(), t.starts, t.codes))
        identity = fingerprint(prepared, origin=origin)
        if self.workers is not None:
            # Checkpoints, too: all processes write and read them together, or none does.
            way = [self.every, self.resume] if wanted else None
            check_alike(self.workers, identity | {"checkpoints": way})
        if self.path is None or not wanted:
            return None, start
        checkpoints = Checkpoints(self.path, self.every, identity, workers=self.workers)
        found = checkpoints.load() if self.resume else None
        return checkpoints, found or start


class _Side:
    """Groups of one side, and the index of each of its ids in an earlier model."""

    def __init__(
        self,
        indices: NDArray[np.uint32],
        ids: IdTable,
        groups: int,
        earlier: Model | None,
        known: Model | None,
        name: str,
    ) -> None:
        self.ids = ids
        self.earlier = np.full(len(ids), -1, dtype=np.int64)
        if earlier is not None:
            side: ModelSide = getattr(earlier, name)
            self.earlier = side.id_table.encode(ids.values, name)
        visits = count_each(indices, len(ids))
        self.counts = visits.copy()
        if known is not None:
            there = self.earlier >= 0
            self.counts[there] += getattr(known, name).rating_counts[self.earlier[there]]
        grouping = regroup(self.counts, groups)
        visits = np.add.reduceat(visits[grouping.order], grouping.starts[:-1].astype(np.intp))
        self.grouping = grouping._replace(visits=visits)

    def bias(self, earlier: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the earlier bias of each row, NaN for a new one; ``earlier`` is by index."""
        by_index = np.append(earlier, np.float32(np.nan))[self.earlier]
        return by_index[self.grouping.order]


def _ground(earlier: Model) -> Ground:
    """Return what an earlier model's factors stand on, for a training that begins with them."""
    ground = Ground(earlier.units, earlier.bias_share, earlier.lift)
    return ground._replace(confidence=earlier.confidence)


def _continued(known: Model, users: _Side, items: _Side, ratings: NDArray[np.float32]) -> Ground:
    """Return the ground of a training that adds ratings; what the model knows stays as it is.

    Without biases and lift, only predictions of cold pairs contain the mean: it becomes that of all
    ratings.
    """
    ground = _ground(known)
    mean = known.mean_rating
    if known.biases is None and not known.lift:
        before = int(known.users.rating_counts.sum())
        trained = ratings if known.units.plain else around(known.units).cut(ratings)
        total = mean * before + float(trained.sum(dtype=np.float64))
        mean = total / (before + len(ratings))
    biases = known.biases if known.biases is not None else known.baseline
    if biases is not None:
        # A baseline is in addition to the mean; a pair's two biases share what that has moved by.
        moved = np.float32((mean - known.mean_rating) / known.units.scale / 2)
        biases = Biases(
            users.bias(biases.users[known.users.row_of] - moved),
            items.bias(biases.items[known.items.row_of] - moved),
        )
        ground = ground._replace(biases=biases, damping=known.damping)
    return ground._replace(mean_rating=mean)
