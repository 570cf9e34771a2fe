"""What a training is: all that its result depends on, if it is deterministic.

Of the settings nothing else; of the code more: all of the library but ``command`` and ``ranking``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jax
import mascot_ffi
import numpy as np
from numpy.typing import NDArray

from mascot_jax.training.problem import Prepared

_LIBRARY: Final = Path(__file__).parents[1]
_OF_NO_EFFECT: Final = ("command", "ranking")
"""Rooms of the library that change no bit of a training."""


def fingerprint(prepared: Prepared, *, origin: str = "seed") -> dict[str, Any]:
    """Return what tells one training from another, as JSON can hold it.

    Parameters
    ----------
    prepared
        What ``problem.prepare`` made.
    origin
        What the initial factors are made from: the seed, or the digest of another model.

    Returns
    -------
    dict
        ``settings`` by name, and digests: of ``ratings``, ``mean or biases`` and ``groups``, of the
        ``validation`` and ``test`` ratings where there are any, of the ``code`` of this library and
        its versions.
    """
    rule, sides = prepared.rule, (prepared.users, prepared.items)
    held_out = {"validation ratings": prepared.validation, "test ratings": prepared.test}
    return {
        # A recipe's values are settings of their own.
        "settings": prepared.plan.model_dump(mode="json", exclude={"recipe"}),
        "ratings": digest_of(prepared.ratings.host()),
        "mean or biases": digest_of((np.array([rule.mean_rating]), *(rule.biases or ()))),
        "groups": digest_of(np.asarray(x) for side in sides for x in side),
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
    digest = hashlib.sha256(f"{version('mascot-jax')} {jax.__version__}".encode())
    digest.update(str(mascot_ffi.build_info()["source_hash"]).encode())
    for path in sorted(_LIBRARY.rglob("*.py")):
        name = path.relative_to(_LIBRARY)
        if name.parts[0] not in _OF_NO_EFFECT:
            digest.update(f"\n{name.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
