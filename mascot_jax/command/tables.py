"""Read and write files with one row per rating, pair or recommendation, using polars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from numpy.typing import NDArray

from mascot_jax.base.files import atomic_write, check_writable
from mascot_jax.errors import DataError, MissingExtraError, SettingsError
from mascot_jax.settings import Columns

if TYPE_CHECKING:
    import polars as pl

WRITTEN: Final = (".csv", ".tsv", ".parquet")
_SEPARATORS: Final = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_HEADERLESS: Final = (".dat", ".data")
"""Suffixes of MovieLens' files without a header line."""


def read_ratings(path: str, user: str | None, item: str | None, rating: str | None) -> pl.DataFrame:
    """Read a file of ratings, or the archive or folder of a data set known by name.

    Parameters
    ----------
    path
        File that ``mascot_jax.data.formats.by_suffix`` reads, or a data set such as ``ml-1m.zip``.
    user, item, rating
        Columns. None takes the columns of these names; in ``.dat`` and ``.data``, which have no
        header, the first three.

    Returns
    -------
    polars.DataFrame
        ``user`` and ``item`` (Int64 or String), ``rating`` (Float32), in file order.

    Raises
    ------
    DataError
        The file does not exist or cannot be used; the message has a malformed row's number.
    MissingExtraError
        polars is not installed.
    """
    _need_polars()
    from mascot_jax.data.formats.by_suffix import read_by_suffix
    from mascot_jax.data.sets import DATA_SETS

    source = _existing(path)
    known = DATA_SETS.get(source.stem) if source.is_dir() or source.suffix == ".zip" else None
    names = ("0", "1", "2") if _suffix(source) in _HEADERLESS else ("user", "item", "rating")
    chosen = (name or default for name, default in zip((user, item, rating), names, strict=True))
    columns = Columns(**dict(zip(Columns.model_fields, chosen, strict=True)))
    frame = (known.reader if known else read_by_suffix)(source, columns)
    return frame.select("user", "item", "rating")


def read_pairs(path: str, user: str | None, item: str | None) -> dict[str, NDArray[Any]]:
    """Read two columns of ids, as integers or strings.

    Returns
    -------
    dict
        ``user`` and ``item``, arrays ``(n,)``.

    Raises
    ------
    DataError
        The file does not exist, cannot be read, or lacks a column or an id; the message has the
        row of a missing id.
    MissingExtraError
        polars is not installed.
    """
    _need_polars()
    import polars as pl
    from polars.exceptions import PolarsError

    source = _existing(path)
    names = {"user": user or "user", "item": item or "item"}
    try:
        frame = _read_columns(source, names)
    except (PolarsError, OSError) as error:
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise DataError(f"{path}: cannot be read: {reason}") from error
    for key, name in names.items():
        missing = frame.select((pl.col(key).is_null()).arg_true()).to_series()
        if missing.len():
            raise DataError(f"{path}: row {missing[0] + 1} has no {name!r}: give it one")
    return {key: frame[key].to_numpy() for key in names}


def _read_columns(source: Path, names: Mapping[str, str]) -> pl.DataFrame:
    import polars as pl

    suffix = _suffix(source)
    if suffix not in (*_SEPARATORS, ".parquet"):
        raise DataError(f"{source}: must end in {', '.join(_SEPARATORS)} or .parquet")
    if suffix == ".parquet":
        from mascot_jax.data.formats.parquet import read_columns

        return read_columns(
            source, str(source), names, lambda schema: _check(source, names, schema)
        )
    positions = all(name.isdecimal() for name in names.values())
    frame = pl.read_csv(
        source, separator=_SEPARATORS[suffix], has_header=not positions, infer_schema=False
    )
    if positions:
        frame = frame.rename({old: str(at) for at, old in enumerate(frame.columns)})
    _check(source, names, frame.schema)
    return frame.select(pl.col(name).alias(key) for key, name in names.items())


def _check(source: Path, names: Mapping[str, str], schema: pl.Schema) -> None:
    """Refuse a file that lacks a column, or whose column cannot hold ids."""
    for key, name in names.items():
        if name not in schema:
            raise DataError(
                f"{source}: there is no column {name!r}, only {', '.join(map(repr, schema))}: "
                f"name it with --{key}"
            )
        if schema[name].is_nested():
            raise DataError(f"{source}: column {name!r} is {schema[name]}: must be ids")


def read_lines(path: str) -> list[str]:
    """Read a text file with one id per line; blank lines are skipped.

    Raises
    ------
    DataError
        The file does not exist, is empty or is not UTF-8.
    """
    try:
        lines = _existing(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text: {error}") from error
    ids = [line for line in lines if line.strip()]
    if not ids:
        raise DataError(f"{path}: holds no ids: write one a line")
    return ids


def check_output(path: str | None, suffixes: tuple[str, ...] = ()) -> None:
    """Check, before the work starts, that its output can be written.

    Raises
    ------
    SaveError
        The file cannot be written.
    SettingsError
        The suffix is not one of `suffixes`.
    MissingExtraError
        A table is to be written, and polars is not installed.
    """
    if path is None:
        return
    if suffixes and Path(path).suffix not in suffixes:
        raise SettingsError(f"--output: {path!r}: must end in {', '.join(suffixes)}")
    check_writable(path)
    if suffixes:
        _need_polars()


def write_table(path: str, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays ``(n,)`` as the columns of a CSV, TSV or Parquet file."""
    import polars as pl

    frame = pl.DataFrame({name: _series(values) for name, values in columns.items()})
    with atomic_write(path) as temporary:
        if Path(path).suffix == ".parquet":
            frame.write_parquet(temporary)
        else:
            frame.write_csv(temporary, separator=_SEPARATORS[Path(path).suffix])


def _series(values: NDArray[Any]) -> list[Any] | NDArray[Any]:
    """Return values for a polars column; objects as a list, so that polars infers their type."""
    return values.tolist() if values.dtype == object else values


def _existing(path: str) -> Path:
    if not Path(path).exists():
        raise DataError(f"{path}: there is no such file")
    return Path(path)


def _suffix(path: Path) -> str:
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


def _need_polars() -> None:
    try:
        import polars  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "reading and writing tables needs polars: run `pip install 'mascot-jax[data]'`, in a "
            "checkout `pip install '.[data]'`"
        ) from error
