"""``MatrixFactorization``: fit ratings, predict, recommend, save."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, BinaryIO, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.metrics import Baselines
from mascot_jax.engine.devices import (
    batch_device,
    choose_device,
    computing_on,
    execution_of,
    serving_device,
    serving_on,
)
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import DataError, MascotError, NotFittedError, SettingsError
from mascot_jax.ids.table import INTEGER, OBJECT, IdTable
from mascot_jax.ids.values import as_ids, encode_ids, known_ids
from mascot_jax.mf.advice import warn_if_worse
from mascot_jax.mf.evaluation import (
    SeenRatingsWarning,
    count_seen,
    error_totals,
    note_on_seen,
)
from mascot_jax.mf.export import export_dense
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.folded import Folded
from mascot_jax.mf.interactions import Interactions, read_interactions, read_pairs
from mascot_jax.mf.list_metrics import list_metrics
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import load_model, save_model
from mascot_jax.mf.predictor import Predictor
from mascot_jax.mf.pruned import PrunedPredictor
from mascot_jax.mf.recommend import (
    Neighbourhood,
    Neighbours,
    Ranking,
    Recommendations,
    SideName,
    ranks_of,
    recommend,
)
from mascot_jax.settings import RegroupSettings, RunSettings, TrainSettings, validate
from mascot_jax.settings.defaults import with_defaults, without_presets
from mascot_jax.settings.naming import renamed
from mascot_jax.training.epoch_bar import EpochBar
from mascot_jax.training.records import EpochRecord
from mascot_jax.training.signals import deferred_signals

Record = dict[str, float | None]
"""Record of an epoch: plain numbers by name."""
_CACHES: Final = ("_predictor", "_ranking", "_near_users", "_near_items")
"""Attributes that are computed from the model on first use."""


@dataclass(kw_only=True, eq=False)
class MatrixFactorization:
    """Matrix factorisation: k factors per user and item, whose inner product is the rating.

    The defaults store factors in FP16 with stochastic rounding and visit ratings in runs of one
    user, by the ``tuned`` recipe: the accuracy of FP32 in half the memory (RMSE on MovieLens 1M
    0.8385 with either, mean of five folds). Ratings may have any scale. Biases of users and items
    are fitted first, and factors add to them as far as the ratings tell. ``recipe="paper"``,
    ``method="mascot"``, ``order="shuffled"`` is the paper's training. Where speed counts and tables
    exceed the caches, ``pruning={"method": "project", "factors": 64}`` goes on with fewer factors
    after a quarter of the epochs: RMSE +0.0004 on MovieLens 1M, half the model (docs/pruning.md).

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
    """Stop after so many epochs without a better validation RMSE; None: never."""
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
    seed: int = 0
    """Seed of initial factors, order of visiting and samples."""
    user_groups: int = 100
    """Wanted number of user groups (the paper's g)."""
    item_groups: int = 100
    """Wanted number of item groups."""
    keep_seen: bool = True
    """Keep the items that each user has rated, for ``recommend`` to leave out: 4 bytes per
    rating."""

    model_: Model = field(init=False, repr=False)
    """The learned model, which ``save`` writes."""
    history_: list[Record] = field(init=False, repr=False)
    """Record of each epoch of the last training, also as rows for a data frame; not saved."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings that the constructor takes."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def set_params(self, **params: Any) -> Self:
        """Change settings, from the next ``fit`` on.

        Raises
        ------
        SettingsError
            If there is no such setting.
        """
        there = self.get_params()
        for name, value in params.items():
            if name not in there:
                raise SettingsError(f"{name}: {value!r}: unknown parameter: {', '.join(there)}")
            setattr(self, name, value)
        return self

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
            that narwhals supports). If a user rates an item twice, both ratings count.
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
            Delete the file yourself once the model is saved.
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
        """
        columns = {"user": user, "item": item, "rating": rating}
        earlier = init.model_ if isinstance(init, MatrixFactorization) else init
        if not isinstance(earlier, Model | None):
            raise DataError(f"init: {init!r}: must be a model, or an estimator that has one")
        found = read_interactions(ratings, y, **columns)
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
        start from ``learning_rate`` again: set a small one if the model should not forget.

        Groups are made anew from all ratings so far. If the method promotes groups, a group begins
        in the most precise storage that any of its rows was in. With ``biases``, the mean and the
        biases of known users and items stay; those of new ones are fitted to the new ratings.

        Parameters and errors are those of ``fit``. Without a model, this is ``fit``.
        """
        earlier = self.__dict__.get("model_")
        found = read_interactions(ratings, y, user=user, item=item, rating=rating)
        extend = earlier is not None
        return self._train(found, callbacks, earlier, extend=extend, verbose=verbose)

    def _train(
        self,
        ratings: Interactions,
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
            bar = EpochBar(ratings.ratings.size, settings, show=verbose)
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
                **keep,
            )
        self._become(model, history)
        if interruption.signal is not None:  # now that the model is kept
            signal.raise_signal(interruption.signal)
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
        del params["keep_seen"]
        groups = {name: params.pop(name) for name in RegroupSettings.model_fields}
        run = self._run()
        for name in RunSettings.model_fields:
            del params[name]
        return (
            validate(TrainSettings, with_defaults(params)),
            validate(RegroupSettings, groups),
            run,
        )

    def _run(self) -> RunSettings:
        return validate(
            RunSettings, {name: getattr(self, name) for name in RunSettings.model_fields}
        )

    def _become(self, model: Model, history: list[Record]) -> None:
        self._forget_caches()
        self.model_, self.history_ = model, history

    def _forget_caches(self) -> None:
        for name in _CACHES:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def __getattr__(self, name: str) -> Any:
        # Properties that read the model also come here if there is none.
        learned = name.startswith("_") or name.endswith("_")
        if learned and not name.startswith("__") and "model_" not in self.__dict__:
            raise NotFittedError(
                "nothing has been learned yet: call fit, or MatrixFactorization.load"
            )
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    @property
    def user_ids_(self) -> NDArray[Any]:
        """``(users,)``: the id of each row of ``user_factors_``."""
        return self._user_table.values

    @property
    def item_ids_(self) -> NDArray[Any]:
        """``(items,)``: the id of each row of ``item_factors_``."""
        return self._item_table.values

    @property
    def user_factors_(self) -> NDArray[np.float32]:
        """float32 ``(users, k)``, decoded from storage at every call, in units of the ratings."""
        factors = self.model_.dense_users()
        units = self.model_.units
        return factors if units.plain else np.float32(units.scale) * factors

    @property
    def item_factors_(self) -> NDArray[np.float32]:
        """float32 ``(items, k)``, decoded from storage at every call."""
        return self.model_.dense_items()

    @property
    def user_biases_(self) -> NDArray[np.float32] | None:
        """float32 ``(users,)``, in units of the ratings; None without biases.

        A prediction is ``intercept_``, both biases and the product of the factors, if both user and
        item have a training rating.
        """
        biases = self.model_.biases
        return None if biases is None else self._shared(biases.users[self.model_.users.row_of])

    @property
    def item_biases_(self) -> NDArray[np.float32] | None:
        """float32 ``(items,)``, as ``user_biases_``."""
        biases = self.model_.biases
        return None if biases is None else self._shared(biases.items[self.model_.items.row_of])

    def _shared(self, biases: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the share of biases that is added to products of rows, in units of the ratings."""
        rule = self.model_.cold_rule
        return np.float32(rule.units.scale * rule.bias_share) * biases

    @property
    def intercept_(self) -> float:
        """What is added to biases and products of factors in every prediction."""
        rule = self.model_.cold_rule
        return rule.units.centre + rule.units.scale * rule.base

    @property
    def mean_rating_(self) -> float:
        """Mean of the training ratings."""
        return self.model_.mean_rating

    @property
    def _user_table(self) -> IdTable:
        return self.model_.users.id_table

    @property
    def _item_table(self) -> IdTable:
        return self.model_.items.id_table

    def predict(self, users: Any, items: Any = None, *, clip: bool = False) -> Any:
        """Predict ratings.

        Parameters
        ----------
        users, items
            One or many ids: scalars, lists, arrays or series, broadcast against each other. Without
            ``items``, ``users`` holds pairs, as scikit-learn's tools give them: a data frame with
            columns ``user`` and ``item``, or an array ``(n, 2)``.
        clip
            Clip predictions to the range of the training ratings.

        Returns
        -------
        predictions
            float32 of the broadcast shape; a float for one user and one item.
        """
        if items is None:
            users, items = (column.read(slice(None)) for column in read_pairs(users))
        user = encode_ids(self._user_table, users, "user")
        item = encode_ids(self._item_table, items, "item")
        try:
            user, item = np.broadcast_arrays(user, item)
        except ValueError as error:
            raise DataError(
                f"users have the shape {user.shape}, items {item.shape}: give "
                "equally many, or a single one of either"
            ) from error
        with self._on_device():
            found = self._predictor.predict(user.reshape(-1), item.reshape(-1))
        found = found.reshape(user.shape)
        if clip:
            found = found.clip(self.model_.low, self.model_.high)
        return found if found.ndim else float(found)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model_, execution_of(self.model_.settings, self._run()))

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self.model_)

    @cached_property
    def _near_users(self) -> Neighbourhood:
        return Neighbourhood(self.model_, "users")

    @cached_property
    def _near_items(self) -> Neighbourhood:
        return Neighbourhood(self.model_, "items")

    def _on_device(self) -> AbstractContextManager[Any]:
        return serving_on(serving_device(self.model_.settings, self._run().backend))

    def recommend(
        self,
        users: Any,
        n: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        clip: bool = False,
    ) -> Recommendations:
        """Recommend the n items with the highest predictions.

        Parameters
        ----------
        users
            One or many ids. Unknown users, and those without a training rating, get the items with
            the most ratings.
        n
            Number of items per user; fewer if fewer are left.
        exclude_seen
            Leave out items that the user has rated in training.
        candidates
            The only items to recommend, unknown ones ignored; None: all. Items without a training
            rating are never recommended.
        clip
            Clip scores to the range of the training ratings; the order is that of the predictions.

        Returns
        -------
        Recommendations
        """
        queries = encode_ids(self._user_table, users, "user").reshape(-1)
        names = as_ids(users, "user", tuples=self._user_table.kind == OBJECT).reshape(-1)
        if self._user_table.kind == INTEGER and names.dtype == object:  # from a list
            names = np.array(names.tolist())
        chosen = known_ids(self._item_table, candidates, "item")
        with serving_on(batch_device(self.model_.settings, self._run().backend, len(queries))):
            found = recommend(
                self.model_,
                self._ranking,
                queries,
                n,
                exclude_seen=exclude_seen,
                candidates=chosen,
            )
        items = self._item_table.decode(found.items)
        scores = found.scores.clip(self.model_.low, self.model_.high) if clip else found.scores
        return Recommendations(names[found.queries], items, scores, ranks_of(found))

    def similar_items(self, items: Any, n: int = 10) -> Neighbours:
        """Find the n items whose factors have the highest cosine similarity.

        Parameters
        ----------
        items
            One or many ids. Unknown items, and those without a training rating, have no neighbours
            and are never neighbours.
        n
            Number of neighbours per item.
        """
        return self._similar("items", items, n)

    def similar_users(self, users: Any, n: int = 10) -> Neighbours:
        """Find the n users whose factors have the highest cosine similarity (``similar_items``)."""
        return self._similar("users", users, n)

    def _similar(self, side: SideName, ids: Any, n: int) -> Neighbours:
        table = self._user_table if side == "users" else self._item_table
        indices = encode_ids(table, ids, side[:-1]).reshape(-1)
        with self._on_device():
            found = getattr(self, f"_near_{side}").nearest(indices, n)
        return Neighbours(
            table.decode(indices[found.queries]),
            table.decode(found.items),
            found.scores,
            ranks_of(found),
        )

    def fold_in_user(self, items: Any, ratings: Any, users: Any = None) -> Folded:
        """Compute factors of new users from their ratings; the model does not change.

        The factors minimise the training's loss on these ratings: a ridge solve against the items'
        factors, with ``user_reg``; with ``biases``, after the user's own bias. Ratings of items
        that are unknown, or have no training rating, are left out.

        Parameters
        ----------
        items, ratings
            Item ids and ratings, equally many.
        users
            Name, of any kind, of the user who gave each rating; None: a single user.

        Returns
        -------
        Folded
            With ``factors``, ``predict(items)`` and ``recommend(n)``.
        """
        return Folded(self.model_, "users", (items, ratings), users)

    def fold_in_item(self, users: Any, ratings: Any, items: Any = None) -> Folded:
        """Compute factors of new items from their ratings, as ``fold_in_user`` does for users.

        ``recommend`` of the result gives users for the items.
        """
        return Folded(self.model_, "items", (users, ratings), items)

    def evaluate(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        clip: bool = False,
        top_n: int | None = None,
        relevant: float | None = None,
        exclude_seen: bool = True,
    ) -> dict[str, float | None]:
        """Compare predictions, and lists of recommendations, with ratings not trained on.

        A ``SeenRatingsWarning`` says if some were trained on.

        Parameters
        ----------
        ratings, y, user, item, rating
            As for ``fit``.
        clip
            Clip predictions to the range of the training ratings.
        top_n
            Also recommend so many items to each user, and look for those that the user has rated
            here.
        relevant
            Look only for items with this rating or a higher one.
        exclude_seen
            Leave items seen in training out of the lists, where the model has kept them.

        Returns
        -------
        dict
            ``rmse``, ``mae``, ``ratings``, the number of ratings, and ``seen``, how many of these
            are of a user and an item with a training rating (None if the model has not kept that).
            To compare with: ``rmse_of_mean``, of predicting the mean training rating, and
            ``rmse_of_biases``, of damped biases of users and items, if the model holds them (files
            before version 5 may not). With the pruning ``early-exit``, ``rmse_pruned``, of
            predictions that end as early as training's updates did, and ``visited``, the share of
            the factors that they take. With ``top_n`` also the fields of ``RankingMetrics``:
            precision, recall, NDCG and others.

        Warns
        -----
        BaselineWarning
            If the model is worse than the mean or the biases.

        Raises
        ------
        DataError
            If ratings or ids cannot be used, or if none is relevant.
        """
        found = read_interactions(ratings, y, user=user, item=item, rating=rating)
        lists = {}
        if top_n is not None:
            lists = self._evaluate_lists(found, top_n, relevant, exclude_seen)
        totals = error_totals(lambda *pairs: self.predict(*pairs, clip=clip), found)
        seen = count_seen(self.model_, found)
        left_out = exclude_seen and top_n is not None
        note = note_on_seen(seen, totals.count, lists_leave_out=left_out)
        if note is not None:
            warnings.warn(note, SeenRatingsWarning, stacklevel=2)
        baselines = self._baselines(found)
        warn_if_worse(totals.rmse, totals.count, baselines)
        return {
            "rmse": totals.rmse,
            "mae": totals.mae,
            "ratings": totals.count,
            **{name: rmse for name, rmse in baselines._asdict().items() if rmse is not None},
            "seen": seen,
            **self._evaluate_pruned(found),
            **lists,
        }

    def _evaluate_pruned(self, ratings: Interactions) -> dict[str, float]:
        if self.model_.thresholds is None:
            return {}
        with computing_on(choose_device("cpu")):
            pruned = PrunedPredictor(self.model_, execution_of(self.model_.settings, self._run()))
            totals = error_totals(
                lambda users, items: pruned.predict(
                    encode_ids(self._user_table, users, "user"),
                    encode_ids(self._item_table, items, "item"),
                ),
                ratings,
            )
        return {"rmse_pruned": totals.rmse, "visited": pruned.visited}

    def _baselines(self, ratings: Interactions) -> Baselines:
        mean = np.float32(self.model_.mean_rating)
        of_mean = error_totals(lambda users, _: np.full(len(users), mean), ratings).rmse
        if self.model_.biases_alone is None:
            return Baselines(of_mean, None)
        return Baselines(of_mean, error_totals(self._by_biases, ratings).rmse)

    def _by_biases(self, users: NDArray[Any], items: NDArray[Any]) -> NDArray[np.float32]:
        """Predict ratings by biases alone; by the mean if the model does not know them."""
        rule = self.model_.biases_alone or self.model_.cold_rule.without_factors(None)
        return rule.complete(
            np.zeros(len(users), dtype=np.float32),
            self.model_.users.rows_of(encode_ids(self._user_table, users, "user")),
            self.model_.items.rows_of(encode_ids(self._item_table, items, "item")),
        )

    def _evaluate_lists(
        self, ratings: Interactions, n: int, least: float | None, exclude_seen: bool
    ) -> dict[str, float]:
        relevant = ratings.values() >= (-np.inf if least is None else least)
        if not relevant.any():
            raise DataError(f"relevant: {least}: none of the ratings is so high")
        users, items = (column.read(slice(None)) for column in (ratings.users, ratings.items))
        with self._on_device():
            found = list_metrics(
                self.model_, self._ranking, users, items, relevant, n, exclude_seen=exclude_seen
            )
        return found._asdict()

    def score(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        clip: bool = False,
    ) -> float:
        """Return the negative RMSE of predicting ratings: higher is better.

        Unlike ``evaluate``, it says nothing of ratings that were trained on.
        """
        found = read_interactions(ratings, y, user=user, item=item, rating=rating)
        return -error_totals(lambda *pairs: self.predict(*pairs, clip=clip), found).rmse

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the model, with ids and settings, to a safetensors file, never pickle.

        A missing folder is made. An open binary file will also do, such as one of fsspec.

        Raises
        ------
        DataError
            If ids are Python objects that no file can hold; ``fit`` strings or integers.
        SaveError
            If the file cannot be written; an older file is then unchanged.
        PathError
            If the path is a URL.
        """
        save_model(self.model_, path)

    def export(
        self, folder: str | os.PathLike[str], dtype: Literal["float32", "float16"] = "float32"
    ) -> None:
        """Write dense factors and ids for a vector-search engine (``mf.export``)."""
        export_dense(self.model_, folder, dtype)

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


def _plain(record: EpochRecord) -> Record:
    return {
        "epoch": record.epoch,
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
        "validation_rmse": record.validation_rmse,
    }
