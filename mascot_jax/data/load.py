"""Load all ratings of the data set that the settings name."""

from __future__ import annotations

from mascot_jax.data.fetch import fetch
from mascot_jax.data.formats.columns import RATINGS
from mascot_jax.data.raw import RawRatings
from mascot_jax.data.sets import DATA_SETS
from mascot_jax.settings import DataSettings


def load_ratings(settings: DataSettings) -> RawRatings:
    """Generate, or fetch and read, the ratings of a data set.

    Parameters
    ----------
    settings : DataSettings
        The ``data`` block.

    Returns
    -------
    RawRatings
        Ratings and facts: ``name``, ``source`` (as set, or the official URL), ``low`` and ``high``
        (the data set's range; for ``file``, the lowest and highest rating found) and ``terms``.
        `mascot_jax.data.synthetic.generator.generate` lists the facts of ``synthetic``.

    Raises
    ------
    DataError
        The data cannot be obtained or used.
    """
    if settings.name == "synthetic":
        # Imported here, as no other data set needs the generator.
        from mascot_jax.data.synthetic.generator import generate

        return generate(settings)
    dataset = DATA_SETS[settings.name]
    path = fetch(dataset, settings.source, settings.digest)
    frame = dataset.reader(path, settings.columns, RATINGS)
    low, high = dataset.bounds or (frame["rating"].min(), frame["rating"].max())
    facts = {
        "name": dataset.name,
        "source": settings.source or dataset.url,
        "low": low,
        "high": high,
        "terms": dataset.terms,
    }
    return RawRatings(frame, facts)
