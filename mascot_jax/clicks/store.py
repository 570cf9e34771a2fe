"""Write encoded click data to files, and read it: the maps of ids, and one file a part.

Reading a part needs NumPy and safetensors only; the maps need polars.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.json_text import as_count
from mascot_jax.base.tensor_file import Format, Tensors, read_tensors, stated_digest, write_tensors
from mascot_jax.clicks.data import ClickData
from mascot_jax.errors import DataError

if TYPE_CHECKING:
    from mascot_jax.clicks.encoder import Encoder, Parts

PathLike = str | os.PathLike[str]

ENCODER: Final = "encoder.safetensors"
_ENCODER: Final = Format("encoder of clicks", "mascot_click_encoder", 1, DataError)
_PART: Final = Format("encoded clicks", "mascot_clicks", 1, DataError)


def write_parts(folder: PathLike, parts: Parts) -> None:
    """Write an encoder and the parts that it encoded to a folder; equal data gives equal bytes.

    Raises
    ------
    SaveError
        A file cannot be written.
    """
    folder = Path(folder)
    tensors, facts = encoder_to_tensors(parts.encoder)
    digest = write_tensors(folder / ENCODER, _ENCODER, tensors, facts)
    for name, data in parts.data.items():
        columns: Tensors = {
            "labels": data.labels,
            "dense": data.dense,
            "categories": data.categories,
        }
        if name in parts.probabilities:
            columns["probability"] = parts.probabilities[name]
        write_tensors(_part(folder, name), _PART, columns, {"encoder": digest})


def read_part(folder: PathLike, name: str) -> ClickData:
    """Read ``train``, ``validation`` or ``test`` of a folder that `write_parts` wrote.

    Raises
    ------
    DataError
        A file is damaged, or of another encoding than the encoder in the folder.
    """
    return read_parts(folder, name)[0]


def read_parts(folder: PathLike, *names: str) -> list[ClickData]:
    """Read several parts, as `read_part` does; the file of the encoder is read once.

    The parts share their counts.
    """
    return [data for data, _ in _read_parts(Path(folder), names)]


def read_with_probabilities(
    folder: PathLike, name: str
) -> tuple[ClickData, NDArray[np.float32] | None]:
    """Read a part, and the planted probability of each label; None if it is not known."""
    return _read_parts(Path(folder), [name])[0]


def _read_parts(
    folder: Path, names: Sequence[str]
) -> list[tuple[ClickData, NDArray[np.float32] | None]]:
    encoder = folder / ENCODER
    found = []
    try:
        counts = _counts(*read_tensors(encoder, _ENCODER))
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{encoder}: damaged: {error}: encode the data again") from error
    digest = stated_digest(encoder, _ENCODER)
    for path in (_part(folder, name) for name in names):
        columns, facts = read_tensors(path, _PART)
        if facts.get("encoder") != digest:
            raise DataError(
                f"{path}: was encoded by another encoder than {encoder}: encode the data again"
            )
        try:
            data = ClickData(
                columns["labels"],
                columns["dense"],
                columns["categories"],
                tuple(map(len, counts)),
                counts,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path}: damaged: {error}: encode the data again") from error
        found.append((data, columns.get("probability")))
    return found


def read_encoder(folder: PathLike) -> Encoder:
    """Read the encoder of a folder that `write_parts` wrote.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = Path(folder) / ENCODER
    tensors, facts = read_tensors(path, _ENCODER)
    try:
        return encoder_from_tensors(tensors, facts)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: damaged: {error}: encode the data again") from error


def encoder_to_tensors(encoder: Encoder) -> tuple[Tensors, dict[str, Any]]:
    """Convert an encoder to arrays and facts, as a tensor file holds them."""
    tensors: Tensors = {"numbers.mean": encoder.numbers.mean, "numbers.std": encoder.numbers.std}
    for place, (ids, counts) in enumerate(zip(encoder.ids, encoder.counts, strict=True)):
        text = "".join(ids.to_list()).encode()
        tensors[f"{place}.bytes"] = np.frombuffer(text, np.uint8)
        tensors[f"{place}.ends"] = ids.str.len_bytes().cum_sum().cast(int).to_numpy()
        tensors[f"{place}.counts"] = counts
    facts = {
        "dense": list(encoder.schema.dense),
        "categories": list(encoder.schema.categories),
        "transform": encoder.numbers.transform,
        "count_fields": list(encoder.numbers.count_fields),
        "facts": encoder.facts,
    }
    return tensors, facts


def encoder_from_tensors(tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> Encoder:
    """Restore an encoder.

    Raises
    ------
    ValueError, KeyError, TypeError
        The arrays or the facts are not those of an encoder.
    """
    import polars as pl

    from mascot_jax.clicks.encoder import Encoder, Numbers
    from mascot_jax.clicks.raw import Schema

    schema = Schema(tuple(map(str, facts["dense"])), tuple(map(str, facts["categories"])))
    fields = len(schema.categories)
    counts = _counts(tensors, facts)
    ids = tuple(
        pl.Series("id", _texts(tensors[f"{place}.bytes"], tensors[f"{place}.ends"]), pl.String)
        for place in range(fields)
    )
    places = tuple(as_count(place, 0, fields - 1) for place in facts["count_fields"])
    mean, std = tensors["numbers.mean"], tensors["numbers.std"]
    width = len(schema.dense) + len(places)
    if any(a.dtype != np.float64 or a.shape != (width,) for a in (mean, std)):
        raise ValueError("the numbers' means and deviations are of another length")
    if not np.isfinite(mean).all() or not np.isfinite(std).all() or not (std > 0).all():
        raise ValueError("a mean or deviation is not finite")
    transform = facts["transform"]
    if transform not in ("log", "standard", "none"):
        raise ValueError(f"{transform!r:.20} is no transform")
    for found, held in zip(ids, counts, strict=True):
        if len(held) != found.len() + 1 or found.n_unique() != found.len():
            raise ValueError("ids are not those of the counts, or repeat")
    about = dict(facts["facts"])
    if not all(isinstance(name, str) for name in about.get("header", [])):
        raise ValueError("the header line is no text")
    return Encoder(schema, ids, counts, Numbers(transform, mean, std, places), about)


def _part(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _counts(tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> tuple[NDArray[np.int64], ...]:
    counts = tuple(tensors[f"{place}.counts"] for place in range(len(facts["categories"])))
    if any(c.dtype != np.int64 or c.ndim != 1 or not c.size for c in counts):
        raise ValueError("counts are no integers")
    return counts


def _texts(content: NDArray[Any], ends: NDArray[Any]) -> list[str]:
    borders = np.append(0, ends)
    if (
        content.dtype != np.uint8
        or content.ndim != 1
        or ends.dtype != np.int64
        or ends.ndim != 1
        or (borders[1:] < borders[:-1]).any()
        or borders[-1] != content.size
    ):
        raise ValueError("the ids are damaged")
    text = content.tobytes()
    edges = borders.tolist()
    return [text[a:b].decode() for a, b in itertools.pairwise(edges)]
