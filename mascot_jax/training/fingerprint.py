"""What a training is: all that its result depends on, if it is deterministic.

Of the settings nothing else; of the code more: all of the library but ``command`` and ``ranking``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import jax
import mascot_ffi
import numpy as np
from numpy.typing import NDArray

import mascot_jax
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import Grouping
from mascot_jax.training.problem import Prepared
from mascot_jax.training.scoring import HeldOut

OF_NO_EFFECT: Final = frozenset({"recipe", "backend", "threads", "checkpoint_every"})
"""Settings that change no bit: a recipe's values are settings of their own."""


def fingerprint(
    prepared: Prepared,
    users: Grouping,
    items: Grouping,
    settings: TrainSettings,
    *,
    test: HeldOut | None = None,
    origin: str = "seed",
) -> dict[str, Any]:
    """Return what tells one training from another, as JSON can hold it.

    Parameters
    ----------
    prepared
        What ``preparation.prepare`` made.
    users, items
        Groups of the rows.
    settings
        How to train. ``deterministic`` counts as what the ratings are laid out for.
    test
        Ratings that are scored after each epoch, as their errors are in the records.
    origin
        What the initial factors are made from: the seed, or the digest of another model.

    Returns
    -------
    dict
        ``settings`` by name, and digests: of ``ratings``, ``mean or biases`` and ``groups``, of the
        ``validation`` and ``test`` ratings where there are any, of the ``code`` of this library and
        its versions.
    """
    ratings, rule = prepared.ratings, prepared.rule
    resolved = settings.resolved().model_copy(update={"deterministic": ratings.conflict_free})
    held_out = {"validation ratings": prepared.validation, "test ratings": test}
    return {
        "settings": resolved.model_dump(mode="json", exclude=set(OF_NO_EFFECT)),
        "ratings": digest_of(map(np.asarray, (ratings.users, ratings.items, ratings.ratings))),
        "mean or biases": digest_of((np.array([rule.mean_rating]), *(rule.biases or ()))),
        "groups": digest_of(np.asarray(x) for side in (users, items) for x in side),
        **{
            name: None if scored is None else digest_of(scored.arrays())
            for name, scored in held_out.items()
        },
        "origin of the factors": origin,
        "code": _code(),
    }


def digest_of(arrays: Iterable[NDArray[Any]]) -> str:
    """Return the SHA-256 (hex) of arrays, their types and shapes included."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
    return digest.hexdigest()


def _code() -> str:
    """Return a digest of what trains: this library's Python and native sources, and JAX."""
    digest = hashlib.sha256(f"{mascot_jax.__version__} {jax.__version__}".encode())
    digest.update(str(mascot_ffi.build_info()["source_hash"]).encode())
    folder = Path(mascot_jax.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        name = path.relative_to(folder)
        if name.parts[0] not in ("command", "ranking"):
            digest.update(f"\n{name.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
