"""``MatrixFactorization``: fit ratings, predict, recommend, save."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, BinaryIO, Self

from mascot_jax.base.parameters import Parameters
from mascot_jax.distributed.join import initialised
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DataError, MascotError, SettingsError
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.fitted import Fitted
from mascot_jax.mf.interactions import Source, is_source, read_interactions
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import load_model
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings, validate
from mascot_jax.settings.defaults import with_defaults, without_presets
from mascot_jax.settings.naming import renamed
from mascot_jax.training.epoch_bar import EpochBar
from mascot_jax.training.records import EpochRecord
from mascot_jax.training.signals import deferred_signals

Record = dict[str, float | None]
"""Record of an epoch: plain numbers by name."""


@dataclass(kw_only=True, eq=False)
class MatrixFactorization(Parameters, Fitted):
    """Matrix factorisation: k factors per user and item, whose inner product is the rating.

    The defaults store factors in FP16 with stochastic rounding and visit ratings in runs of one
    user, by the ``tuned`` recipe: the accuracy of FP32 in half the memory (RMSE on MovieLens 1M
    0.8386 with either, mean of five folds). Ratings may have any scale. Biases of users and items
    are fitted first, and factors add to them as far as the ratings tell. ``recipe="paper"``,
    ``method="mascot"``, ``order="shuffled"`` is the paper's training. With
    ``pruning={"method": "project", "factors": 64}`` it goes on with fewer factors after a quarter
    of the epochs: half the model in less time, RMSE +0.0004 on MovieLens 1M (docs/pruning.md).

    The constructor only stores settings; ``fit`` checks them. Settings that are None take the
    recipe's value or the method's (``rounding``: stochastic with ``fp16``). Names of learned
    attributes end in an underscore: ``model_``, ``history_``, ``user_ids_``, ``item_ids_``,
    ``user_factors_``, ``item_factors_``, ``user_biases_``, ``item_biases_``, ``intercept_``,
    ``mean_rating_``.

    Ids are those of the ratings: integers, strings, dates, any hashable objects. Unknown ids are no
    error. If the user or the item is unknown, or has no training rating, the prediction is the mean
    training rating; with ``biases``, plus the bias of the other one. Unknown users are recommended
    the items with the most ratings. Integers and strings are not mixed up: asking for the user "12"
    if users are integers is an error, as the answer would be wrong for all.

    On a CPU, the same ratings give the same model, bit for bit, for any order of their rows and any
    number of threads, unless ``deterministic=False``, which may be faster.
    """

    method: str = "fp16"
    """``fp32``, ``fp16``, ``mascot`` (promotes groups to float32), ``int8``, ``mascot-int8``, or a
    method to compare with (docs/comparators.md)."""
    recipe: str = "tuned"
    """``tuned`` or ``paper``: fills epochs, step sizes and regularisation that are None."""
    factors: int = 128
    """Components of a factor row (k)."""
    epochs: int | None = None
    """Passes over the ratings."""
    learning_rate: float | None = None
    """Step size of the first epoch (eta); None with ``tuned``, here and below: by the ratings."""
    schedule: str | None = None
    """How step sizes fall: ``power``, by ``1 / (1 + decay t^1.5)``, or ``linear``, to 0."""
    decay: float | None = None
    """Decay of the schedule ``power``."""
    user_reg: float | None = None
    """Regularisation of user factors (lambda_P)."""
    item_reg: float | None = None
    """Regularisation of item factors (lambda_Q)."""
    biases: bool | None = None
    """Fit a mean and biases of users and items first; None: yes with ``tuned``, else where ratings
    are few."""
    validation: float = 0.0
    """Share of the ratings that is not trained on but scored after each epoch."""
    patience: int | None = None
    """Stop after so many epochs without a better validation RMSE, or NDCG; None: never."""
    objective: str = "ratings"
    """``ratings``, or ``interactions``: learn from clicks, plays or purchases which items a user
    has met, for lists of recommendations (docs/interactions.md)."""
    confidence: str | None = None
    """With interactions: weigh each by its ``values`` (the default), by ``log1p`` of it, or all
    ``equal``."""
    loss: str | None = None
    """With interactions: ``squared`` (the default) or ``logistic``."""
    negatives: float | None = None
    """With interactions: items without one, drawn anew in every epoch, for each; None: 8."""
    negative_weight: float | None = None
    """With interactions: weight of a negative; None: 1, that of an average interaction."""
    negative_power: float | None = None
    """With interactions: draw negatives by this power of an item's number of interactions; None:
    0, all alike."""
    storage: str | None = None
    """Storage of the rows at the start: ``float32``, ``float16``, ``int8-row``, ``int8-64``,
    ``int8-32`` or ``int8-16``."""
    rounding: str | None = None
    """Rounding of stores in fewer than 32 bits: ``nearest`` or ``stochastic``."""
    criterion: str | None = None
    """What promotes a group: ``gradient-diversity`` (the paper's q-error) or ``lost-update``."""
    threshold: float | None = None
    """Threshold of the criterion (theta)."""
    period: int | None = None
    """Epochs between measurements of the criterion (pi)."""
    sample_ratio: float | None = None
    """Share of the ratings that a measurement samples (gamma)."""
    warmup: int | None = None
    """First epoch that is measured, counted from 0."""
    order: str = "runs"
    """How an epoch visits ratings: ``shuffled``, ``runs`` of one user, or ``group-blocks``."""
    rotations: int | None = None
    """For a training that processes share: ranges of rows go round them so many times in an epoch;
    2 send a tenth of what None does (docs/scale.md)."""
    pruning: dict[str, Any] | None = None
    """Compute less from some epoch on, such as ``{"method": "project", "factors": 64}``: train
    with all ``factors`` for a quarter of the epochs (``"epoch"`` sets how many), then with 64."""
    deterministic: bool | None = None
    """Give the same bits on every run and for every number of threads; None: on a CPU only."""
    backend: str = "auto"
    """``cpu``, ``cuda``, or ``auto``: a GPU if it can do what is asked, else the CPU."""
    threads: int | None = None
    """Number of CPU threads; None: every core that the process may use."""
    writes: str = "add"
    """On a GPU: ``add`` loses no update of a row that other threads write too; ``store`` may."""
    checkpoint_every: int | None = 10
    """Epochs between checkpoints, if ``fit`` is given a file for them."""
    scratch: str | os.PathLike[str] | None = None
    """Folder on a fast disk for ratings that memory does not hold; on a CPU (docs/scale.md)."""
    seed: int = 0
    """Seed of initial factors, order of visiting and samples."""
    user_groups: int = 100
    """Wanted number of user groups (the paper's g)."""
    item_groups: int = 100
    """Wanted number of item groups."""
    distributed: bool = False
    """Share the training with the other processes of ``jax.distributed``. All call ``fit`` with the
    same ratings and settings, and each gets the model: the bytes of one process."""
    keep_seen: bool = True
    """Keep the items that each user has rated, for ``recommend`` to leave out: 4 bytes per
    rating."""

    model_: Model = field(init=False, repr=False)
    """The learned model, which ``save`` writes."""
    history_: list[Record] = field(init=False, repr=False)
    """Record of each epoch of the last training, also as rows for a data frame; not saved."""

    def __sklearn_tags__(self) -> Any:
        """Tell scikit-learn, which alone calls this, that predictions are numbers."""
        from sklearn.utils import InputTags, RegressorTags, Tags, TargetTags

        return Tags(
            estimator_type="regressor",
            target_tags=TargetTags(required=False),
            regressor_tags=RegressorTags(),
            input_tags=InputTags(string=True, categorical=True),
        )

    def fit(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        init: MatrixFactorization | Model | None = None,
        callbacks: Iterable[Callable[[Record], object]] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        verbose: bool = False,
    ) -> Self:
        """Train on ratings; drop what was learned before.

        Parameters
        ----------
        ratings
            Three arrays (users, items, ratings); or a SciPy sparse matrix, users x items, whose
            numbers of rows and columns with a rating are the ids and whose stored entries,
            including zeros, are the ratings; or a data frame (pandas, polars, pyarrow or another
            that narwhals supports). With ``scratch`` also what ``mascot_jax.data.open_ratings``
            yields, which memory need not hold. If a user rates an item twice, both ratings count.
            Of interactions, two arrays (users, items), or a data frame of these columns, will do,
            and the values of a user and an item are added up.
        y
            The ratings ``(n,)``, if ``ratings`` holds only pairs, as scikit-learn's tools give
            them: a data frame of users and items, or an array ``(n, 2)``.
        user, item, rating
            Columns of a data frame.
        init
            Model or estimator with initial factors for its users and items, instead of random ones.
            It must have as many factors. Its users and items without a rating here are dropped;
            ``partial_fit`` keeps them.
        callbacks
            Called after every epoch with its record, as in ``history_``; if one returns true,
            training ends there.
        checkpoint
            File for the training's progress, written every ``checkpoint_every`` epochs and at the
            end. If the process is killed, the same call with ``resume`` continues from there.
            Delete the file yourself once the model is saved; of several processes, the folder
            ``CHECKPOINT.parts`` too.
        resume
            Resume from the checkpoint, if there is one; ``history_`` begins there.
        verbose
            Show a progress bar on stderr.

        Raises
        ------
        CheckpointError
            If the checkpoint to resume from is damaged, or is of another training.
        KeyboardInterrupt
            After Ctrl-C, at the end of the epoch, with the model learned so far; a second Ctrl-C
            acts at once.
        DataError
            If ratings or ids cannot be used; the message names the first such row.
        SettingsError
            If a setting is invalid.
        DivergenceError
            If factors exceed the range of their storage.
        ProcessError
            If the training is ``distributed``, and processes are not alike or one has ended.
        """
        columns = {"user": user, "item": item, "rating": rating}
        earlier = init.model_ if isinstance(init, MatrixFactorization) else init
        if not isinstance(earlier, Model | None):
            raise DataError(f"init: {init!r}: must be a model, or an estimator that has one")
        implicit = self.objective == "interactions"
        found: Source
        if is_source(ratings) and y is None:
            found = _unnamed(ratings, columns)
        else:
            found = read_interactions(ratings, y, **columns, implicit=implicit)
        keep = {"checkpoint": checkpoint, "resume": resume}
        return self._train(found, callbacks, earlier, extend=False, verbose=verbose, **keep)

    def partial_fit(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        callbacks: Iterable[Callable[[Record], object]] = (),
        verbose: bool = False,
    ) -> Self:
        """Train the present model further on new ratings, with their new users and items.

        ``epochs`` epochs visit the new ratings only, starting from the model's factors, and from
        random ones for new users and items. Rows without new ratings do not change. Step sizes
        start from ``learning_rate`` again: set a small one if the model should not forget. With
        interactions, negatives are drawn among all items, whose rows so change, too; not among
        those that a user met earlier, unless ``keep_seen`` is false. With all interactions at hand,
        ``fit(init=model)`` is better.

        Groups are made anew from all ratings so far. If the method promotes groups, a group begins
        in the most precise storage that any of its rows was in. The mean and the biases of known
        users and items stay; biases of new ones are fitted to the new ratings. Only with ``paper``
        and without biases, the mean becomes that of all ratings: predictions of cold pairs alone
        contain it.

        Parameters and errors are those of ``fit``. Without a model, this is ``fit``.
        """
        earlier = self.__dict__.get("model_")
        columns = {"user": user, "item": item, "rating": rating}
        implicit = self.objective == "interactions"
        found = read_interactions(ratings, y, **columns, implicit=implicit)
        extend = earlier is not None
        return self._train(found, callbacks, earlier, extend=extend, verbose=verbose)

    def _train(
        self,
        ratings: Source,
        callbacks: Iterable[Callable[[Record], object]],
        earlier: Model | None,
        *,
        extend: bool,
        verbose: bool,
        **keep: Any,
    ) -> Self:
        history: list[Record] = []
        with ExitStack() as stack:
            stack.enter_context(_parameters_as_arguments())
            interruption = stack.enter_context(deferred_signals())
            settings, groups, run = self._settings()
            workers = initialised() if self.distributed else None
            bar = EpochBar(ratings.size, settings, show=verbose)
            stack.enter_context(bar)

            def on_epoch(record: EpochRecord, _: TrainState) -> bool:
                history.append(_plain(record))
                bar.add(record)
                stops = [bool(callback(history[-1])) for callback in callbacks]
                return any(stops) or interruption.requested

            model = fit_ratings(
                ratings,
                settings,
                groups,
                run,
                keep_seen=self.keep_seen,
                earlier=earlier,
                extend=extend,
                on_epoch=on_epoch,
                on_write=bar.note_written,
                workers=workers,
                **keep,
            )
        self._become(model, history)
        stopped_by = interruption.signal or 0
        if workers is not None:  # the others have stopped with the one that got it
            stopped_by = workers.largest(stopped_by)
        if stopped_by:  # now that the model is kept
            signal.raise_signal(stopped_by)
        return self

    def check_settings(self) -> None:
        """Check all settings, as ``fit`` does first.

        Raises
        ------
        SettingsError
            If a setting is invalid; the message names it.
        """
        with _parameters_as_arguments():
            self._settings()

    def _settings(self) -> tuple[TrainSettings, RegroupSettings, RunSettings]:
        params = self.get_params()
        del params["keep_seen"], params["distributed"]
        groups = {name: params.pop(name) for name in RegroupSettings.model_fields}
        run = self._run()
        for name in RunSettings.model_fields:
            del params[name]
        return (
            validate(TrainSettings, with_defaults(params)),
            validate(RegroupSettings, groups),
            run,
        )

    def _become(self, model: Model, history: list[Record]) -> None:
        self._forget_caches()
        self.model_, self.history_ = model, history

    @classmethod
    def load(cls, path: str | os.PathLike[str] | BinaryIO) -> Self:
        """Read a model file that ``save`` or the pipeline wrote, from a path or an open file.

        The ids of a file without ids, from a version before 3, are indices.

        Raises
        ------
        ModelFileError
            If the file is truncated, altered, not a model, or of a newer version.
        """
        return cls.from_model(load_model(path))

    @classmethod
    def from_model(cls, model: Model) -> Self:
        """Return an estimator with a learned model.

        Its settings are the model's, except that those that the method, the recipe or the device
        decided are None: they follow if ``set_params`` changes one of these.
        """
        there = {f.name for f in fields(cls) if f.init}
        settings = {**without_presets(model.settings, model.decided), **model.regroup.model_dump()}
        estimator = cls(
            **{name: value for name, value in settings.items() if name in there},
            keep_seen=model.seen is not None,
        )
        estimator._become(model, [])
        return estimator


@contextmanager
def _parameters_as_arguments() -> Iterator[None]:
    """Make errors name parameters as the constructor does, not as ``params.yaml``."""
    try:
        yield
    except MascotError as error:
        error.args = (renamed(str(error), str),)
        raise


def _unnamed(ratings: Source, columns: dict[str, str]) -> Source:
    """Return ratings that are read piece by piece, whose columns have been named already."""
    for argument, name in columns.items():
        if name != argument:
            raise SettingsError(
                f"{argument}: {name!r}: ratings that are read piece by piece have no columns to "
                "name: name them where they are opened"
            )
    return ratings


def _plain(record: EpochRecord) -> Record:
    return {
        "epoch": record.epoch,
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
        "validation_rmse": record.validation_rmse,
        **({} if record.validation_ndcg is None else {"validation_ndcg": record.validation_ndcg}),
    }
