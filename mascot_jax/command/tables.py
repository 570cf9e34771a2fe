"""Read and write files with one row per rating, pair or recommendation, using polars."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from numpy.typing import NDArray

from mascot_jax.base.files import atomic_write, check_writable
from mascot_jax.data.formats.columns import PAIRS, RATINGS, TIMED
from mascot_jax.data.place import STANDARD_INPUT, as_file
from mascot_jax.errors import DataError, MissingColumnError, MissingExtraError, SettingsError
from mascot_jax.settings import Columns, TimedColumns, TrainSettings

if TYPE_CHECKING:
    import polars as pl

    from mascot_jax.data.pieces import RatingsInPieces

WRITTEN: Final = (".csv", ".tsv", ".parquet")
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}


def read_ratings(args: argparse.Namespace, place: str, *, timed: bool = False) -> pl.DataFrame:
    """Read ratings from any file, or from the archive or folder of a data set known by name.

    Parameters
    ----------
    args
        The options ``user``, ``item``, ``rating``, ``separator`` and, if ``timed``, ``time``; None
        leaves one to the file.
    place
        What ``mascot_jax.data.read_ratings`` reads.
    timed
        Whether times are wanted.

    Returns
    -------
    polars.DataFrame
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order; with ``time``
        also that, as it is in the file.

    Raises
    ------
    DataError
        The file does not exist or cannot be used; the message has a malformed row's number.
    MissingExtraError
        polars is not installed.
    """
    return _read(args, place, TIMED if timed else RATINGS)


def read_pairs_or_ratings(args: argparse.Namespace, place: str) -> pl.DataFrame:
    """Read what `read_ratings` does; a file of two columns, of users and items, will do."""
    return _read(args, place, RATINGS, pairs_will_do=True)


def read_values(args: argparse.Namespace, place: str, settings: TrainSettings) -> pl.DataFrame:
    """Read what a training with these settings needs, as ``read_ratings`` does.

    A file of interactions may have two columns; all values are then 1, and so they are where
    ``confidence`` ignores them.
    """
    if not settings.of_interactions:
        return _read_ratings_of(args, place)
    ignored = settings.confidence == "equal" and getattr(args, "rating", None) is None
    frame = _read(args, place, PAIRS if ignored else RATINGS, pairs_will_do=True)
    if "rating" in frame.columns:
        return frame
    import polars as pl

    return frame.with_columns(pl.lit(1, dtype=pl.Float32).alias("rating"))


@contextmanager
def open_ratings(args: argparse.Namespace, place: str) -> Iterator[RatingsInPieces]:
    """Yield the ratings of ``read_ratings``, to be read piece by piece inside of the block."""
    need_polars()
    from mascot_jax.data.read import open_table

    with _pairs_pointed_out(), open_table(place, _columns(args, Columns)) as ratings:
        yield ratings


def _read_ratings_of(args: argparse.Namespace, place: str) -> pl.DataFrame:
    with _pairs_pointed_out():
        return read_ratings(args, place)


@contextmanager
def _pairs_pointed_out() -> Iterator[None]:
    """Add to an error of a file of pairs that these will do for interactions."""
    try:
        yield
    except MissingColumnError as error:
        if error.key == "rating" and error.columns == len(PAIRS):
            error.args = (
                f"{error}. Or train with --objective interactions, for which users and items will "
                "do",
            )
        raise


def read_pairs(args: argparse.Namespace, place: str) -> dict[str, NDArray[Any]]:
    """Read pairs of users and items, as ``read_ratings`` reads ratings.

    Returns
    -------
    dict
        ``user`` and ``item``, arrays ``(n,)`` of integers or strings.
    """
    frame = _read(args, place, PAIRS)
    return {key: frame[key].to_numpy() for key in ("user", "item")}


def _read(
    args: argparse.Namespace, place: str, keys: tuple[str, ...], *, pairs_will_do: bool = False
) -> pl.DataFrame:
    need_polars()
    from mascot_jax.data.read import read_table

    columns = _columns(args, TimedColumns if "time" in keys else Columns)
    return read_table(place, columns, keys, pairs_will_do=pairs_will_do)


def _columns(args: argparse.Namespace, kind: type[Columns]) -> Columns:
    given = {name: getattr(args, name, None) for name in kind.model_fields}
    return kind(**{name: value for name, value in given.items() if value is not None})


def read_lines(path: str) -> list[str]:
    """Read a text file, or standard input (``-``), with one id per line; skip blank lines.

    Raises
    ------
    DataError
        The file does not exist, is empty or is not UTF-8.
    """
    try:
        if path != STANDARD_INPUT and not Path(path).exists():
            raise DataError(f"{path}: there is no such file")
        with as_file(Path(path)) as file:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}: convert it with iconv") from error
    ids = [line for line in lines if line.strip()]
    if not ids:
        raise DataError(f"{path}: holds no ids: write one a line")
    return ids


def check_output(
    path: str | None,
    suffixes: tuple[str, ...] = (),
    option: str = "--output",
    *,
    read: Iterable[str | None] = (),
) -> None:
    """Check, before the work starts, that its output can be written and replaces no input.

    ``read`` are the places that are read; None is no place.

    Raises
    ------
    SaveError
        The file cannot be written.
    SettingsError
        The suffix is not one of `suffixes`, or the file is one that is read.
    MissingExtraError
        A table is to be written, and polars is not installed.
    """
    if path is None:
        return
    if suffixes and Path(path).suffix.lower() not in suffixes:
        raise SettingsError(f"{option}: {path!r}: must end in {', '.join(suffixes)}")
    check_writable(path)
    if suffixes:
        need_polars()
    for place in read:
        _check_keeps(path, place, option)


def _check_keeps(path: str, place: str | None, option: str) -> None:
    need_polars()
    from mascot_jax.data.formats.own import may_read

    if place is not None and may_read(place, Path(path)):
        raise SettingsError(f"{option}: {path!r}: is read from {place!r}: name another file")


def write_table(path: str, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays ``(n,)`` as the columns of a CSV, TSV or Parquet file."""
    import polars as pl

    frame = pl.DataFrame({name: _series(values) for name, values in columns.items()})
    with atomic_write(path) as temporary:
        suffix = Path(path).suffix.lower()
        if suffix == ".parquet":
            frame.write_parquet(temporary)
        else:
            frame.write_csv(temporary, separator=_SEPARATORS[suffix])


def _series(values: NDArray[Any]) -> list[Any] | NDArray[Any]:
    """Return values for a polars column; objects as a list, so that polars infers their type.

    polars has no type of UUIDs: they become text.
    """
    if values.dtype != object:
        return values
    return [str(value) if isinstance(value, UUID) else value for value in values.tolist()]


def need_polars() -> None:
    """Raise a MissingExtraError if polars is not installed."""
    try:
        import polars  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "reading and writing tables needs polars: run `pip install 'mascot-jax[data]'`, in a "
            "checkout `pip install '.[data]'`"
        ) from error
