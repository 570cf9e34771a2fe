"""A progress bar of the epochs of a training."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from mascot_jax.settings import TrainSettings
from mascot_jax.training.records import EpochRecord


class WritingBar:
    """Bar of how much of the ratings has been prepared on disk; a context manager.

    Parameters
    ----------
    show
        As of ``EpochBar``. Nothing is shown before the first call.
    """

    def __init__(self, *, show: bool | None) -> None:
        self._disable = None if show is None else not show
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.close()

    def note(self, written: int, expected: int) -> None:
        """Show so many bytes of those that will be written."""
        if self._bar is None:
            from tqdm.auto import tqdm

            shown = {"unit": "B", "unit_scale": True, "disable": self._disable}
            self._bar = tqdm(total=expected, desc="preparing", leave=False, **shown)
        self._bar.update(written - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()


class EpochBar:
    """Bar on stderr, or in a notebook: epochs done, validation RMSE or NDCG, speed, time left.

    A context manager, to be told of each epoch.

    Parameters
    ----------
    ratings
        Number of ratings, held-out ones included.
    settings
        Settings of the training.
    show
        Whether to show it; None: if stderr is a terminal.
    """

    def __init__(self, ratings: int, settings: TrainSettings, *, show: bool | None) -> None:
        self._trained = round(ratings * (1 - settings.validation))
        self._epochs = settings.epochs
        self._disable = None if show is None else not show
        self._begun = False
        self._writing = WritingBar(show=show)

    def __enter__(self) -> Self:
        from tqdm.auto import tqdm  # slow to import; a notebook's bar, where there is one

        self._bar = tqdm(total=self._epochs, desc="training", unit="epoch", disable=self._disable)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._writing.close()
        self._bar.close()

    def note_written(self, written: int, expected: int) -> None:
        """Show how much of the ratings has been prepared on disk, in bytes."""
        self._writing.note(written, expected)

    def speed(self, record: EpochRecord) -> float:
        """Return the updates a second of an epoch."""
        return self._trained / record.seconds

    def add(self, record: EpochRecord) -> None:
        """Show a finished epoch."""
        self._writing.close()
        if not self._begun:  # the bar starts after epochs that a checkpoint holds
            self._bar.initial = self._bar.n = self._bar.last_print_n = record.epoch
            self._begun = True
        rmse, ndcg = record.validation_rmse, record.validation_ndcg
        self._bar.set_postfix_str(
            f"{'' if rmse is None else f'RMSE {rmse:.4f}, '}"
            f"{'' if ndcg is None else f'NDCG {ndcg:.4f}, '}"
            f"{self.speed(record) / 1e6:.2f} M updates/s",
            refresh=False,
        )
        self._bar.update()
