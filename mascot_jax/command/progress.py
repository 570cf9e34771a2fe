"""Progress of long work: a bar for people, one JSON object per step for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from mascot_jax.base.metrics import Baselines
from mascot_jax.command.output import discard_output, print_json, warn
from mascot_jax.settings import TrainSettings
from mascot_jax.training.epoch_bar import EpochBar
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import EpochRecord


@contextmanager
def steps(
    total: int | None, unit: str, *, as_json: bool
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Show so many steps; yield what takes the figures of each that is done.

    A bar on stderr, if that is a terminal; or JSON on stdout, whose ``event`` is the unit.
    """
    with tqdm(total=total, unit=unit, disable=True if as_json else None) as bar:

        def done(figures: Mapping[str, Any]) -> None:
            bar.update()
            if as_json:
                print_json({"event": unit, **figures})

        yield done


class Events:
    """JSON objects on stdout, until whoever reads them has gone: the model matters more."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted

    def print(self, event: Mapping[str, Any]) -> None:
        """Print an object, if JSON is wanted."""
        if not self._wanted:
            return
        try:
            print_json(event)
        except OSError as error:
            self._wanted = False
            discard_output()
            warn(f"training goes on, but prints no more: {error}")


class ClickDisplay:
    """Display of the epochs of a click model's training; a context manager.

    Parameters
    ----------
    epochs
        Epochs of the training.
    as_json
        As of `Display`.
    """

    def __init__(self, epochs: int, *, as_json: bool) -> None:
        self._epochs = epochs
        self._events = Events(wanted=as_json)
        self._bar = tqdm(total=epochs, unit="epoch", disable=True if as_json else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def add(self, record: Mapping[str, Any]) -> None:
        """Show a finished epoch: a record of ``ClickModel.history_``."""
        shown = {name: record[f"validation_{name}"] for name in ("auc", "log_loss")}
        self._bar.set_postfix({k: f"{v:.4f}" for k, v in shown.items() if v is not None})
        self._bar.update(record["epoch"] - self._bar.n)  # a resumed training begins later
        self._events.print({"event": "epoch", "epochs": self._epochs, **record})


class Display:
    """Display of the epochs of a training run; a context manager.

    Parameters
    ----------
    ratings
        Number of ratings, held-out ones included.
    settings
        Settings of the training run.
    as_json
        Print JSON on stdout; otherwise show a bar on stderr if it is a terminal.
    quiet
        Show nothing: another process does.
    """

    def __init__(
        self, ratings: int, settings: TrainSettings, *, as_json: bool, quiet: bool = False
    ) -> None:
        self._trained = round(ratings * (1 - settings.validation))
        self._epochs = settings.epochs
        self._events = Events(wanted=as_json and not quiet)
        self._records: dict[int, EpochRecord] = {}
        self._bar = EpochBar(ratings, settings, show=False if as_json or quiet else None)
        self.baselines: Baselines | None = None
        """Errors without a model on the held-out ratings; None if none are held out."""
        self.popular: float | None = None
        """Of interactions: NDCG of the most popular items on those held out, if any are."""
        self.held_out = 0
        """Number of held-out ratings."""

    def begin(self, prepared: Prepared) -> None:
        """Take note of what is trained on."""
        self.baselines, self.popular = prepared.baselines, prepared.ndcg_of_popularity
        if prepared.validation is not None:
            self.held_out = len(prepared.validation)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.__exit__(kind, error, trace)

    def note_written(self, written: int, expected: int) -> None:
        """Show how much of the ratings has been prepared on disk."""
        self._bar.note_written(written, expected)

    def add(self, record: EpochRecord) -> None:
        """Show a finished epoch."""
        self._records[record.epoch] = record
        self._bar.add(record)
        self._events.print(
            {
                "event": "epoch",
                "epoch": record.epoch,
                "epochs": self._epochs,
                "learning_rate": record.learning_rate,
                "seconds": record.seconds,
                "updates_per_second": self._bar.speed(record),
                "validation_rmse": record.validation_rmse,
                **_ndcg(record),
            }
        )

    def summary(self, epochs_trained: int) -> dict[str, Any]:
        """Return RMSE after `epochs_trained` epochs, and seconds and speed of this run."""
        seconds = sum(record.seconds for record in self._records.values())
        last = self._records.get(epochs_trained - 1)
        return {
            "validation_rmse": None if last is None else last.validation_rmse,
            **(self.baselines or Baselines(None, None))._asdict(),
            **({} if last is None else _ndcg(last)),
            **({} if self.popular is None else {"ndcg_of_popularity": self.popular}),
            "seconds": seconds,
            "updates_per_second": self._trained * len(self._records) / seconds if seconds else None,
        }


def _ndcg(record: EpochRecord) -> dict[str, float]:
    """Return the NDCG of an epoch of interactions by its name; nothing of ratings."""
    return {} if record.validation_ndcg is None else {"validation_ndcg": record.validation_ndcg}
