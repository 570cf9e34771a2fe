"""The fingerprint of a training: everything that a deterministic training's result depends on.

Of the settings it holds nothing else; of the code more: all of the library except a few packages.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jax
import mascot_ffi
import numpy as np
from numpy.typing import NDArray

from mascot_jax.training.problem import Prepared

_LIBRARY: Final = Path(__file__).parents[1]
_OF_NO_EFFECT: Final = ("clicks", "command", "dlrm", "model_selection")
"""Packages of the library that change no bit of a training."""


def fingerprint(prepared: Prepared, *, origin: str = "seed") -> dict[str, Any]:
    """Return what identifies a training, as values that JSON can hold.

    Parameters
    ----------
    prepared
        Result of ``problem.prepare``.
    origin
        Source of the initial factors: ``seed``, or the digest of another state.

    Returns
    -------
    dict
        ``settings`` by name, ``origin of the factors``, and digests: of ``ratings``, ``mean or
        biases`` and ``groups``, of ``validation ratings`` and ``test ratings`` (None if there are
        none), and of the ``code`` of this library and its versions.
    """
    rule, sides = prepared.rule, (prepared.users, prepared.items)
    held_out = {
        "validation ratings": prepared.validation or prepared.validation_lists,
        "test ratings": prepared.test or prepared.test_lists,
    }
    return {
        # The values of the recipe are settings of their own.
        "settings": prepared.plan.model_dump(mode="json", exclude={"recipe"}),
        "ratings": digest_of(prepared.ratings.host()),
        "mean or biases": digest_of(
            (
                np.array(
                    [rule.mean_rating, *rule.units, rule.bias_share, rule.lift, prepared.confidence]
                ),
                *(rule.biases or ()),
            )
        ),
        "groups": digest_of(np.asarray(x) for side in sides for x in side),
        **{
            name: None if scored is None else digest_of(scored.arrays())
            for name, scored in held_out.items()
        },
        "origin of the factors": origin,
        "code": code_digest(_OF_NO_EFFECT),
    }


def digest_of(arrays: Iterable[NDArray[Any]]) -> str:
    """Return the SHA-256 (hex) of arrays, including their dtypes and shapes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def code_digest(without: Collection[str]) -> str:
    """Return a digest of the code: native sources, versions, and the library's Python but some.

    ``without`` names packages of the library.
    """
    digest = hashlib.sha256(f"{version('mascot-jax')} {jax.__version__}".encode())
    digest.update(str(mascot_ffi.build_info()["source_hash"]).encode())
    for path in sorted(_LIBRARY.rglob("*.py")):
        name = path.relative_to(_LIBRARY)
        if name.parts[0] not in without:
            digest.update(f"\n{name.as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()
