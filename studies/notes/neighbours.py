"""Which damping of similarities is best? ``python -m studies.notes.neighbours --help``.

Of MovieLens 1M's thousand most-rated films and their ten most similar ones, by a model with the
defaults: the mean share of genres that both have among those that either has, and how many of the
similar ones have fewer than five ratings.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path
from typing import Final

import numpy as np

from mascot_jax import MatrixFactorization
from mascot_jax.data import read_ratings

DAMPINGS: Final = (0.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FILMS: Final = 1000
FEW: Final = 5


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the archive ml-1m.zip")
    options = parser.parse_args()
    genres = read_genres(options.data)
    model = MatrixFactorization().fit(read_ratings(str(options.data)))
    counts = dict(zip(model.item_ids_.tolist(), model.model_.items.rating_counts, strict=True))
    most_rated = sorted(counts, key=counts.__getitem__, reverse=True)[:FILMS]
    sys.stdout.write(f"{'damping':>8}{'genres in common':>18}{'fewer than 5 ratings':>22}\n")
    for damping in DAMPINGS:
        found = model.similar_items(most_rated, damping=damping)
        pairs = zip(found.ids.tolist(), found.neighbours.tolist(), strict=True)
        common = np.mean([in_common(genres[one], genres[other]) for one, other in pairs])
        few = np.mean([counts[one] < FEW for one in found.neighbours.tolist()])
        sys.stdout.write(f"{damping:8g}{common:18.3f}{few:22.3f}\n")


def read_genres(archive: Path) -> dict[int, set[str]]:
    """Return the genres of each film."""
    with zipfile.ZipFile(archive) as files:
        text = files.read("ml-1m/movies.dat").decode("latin-1")
    lines = (line.split("::") for line in text.splitlines())
    return {int(film): set(genres.split("|")) for film, _, genres in lines}


def in_common(one: set[str], other: set[str]) -> float:
    """Return the share of what both have among what either has."""
    return len(one & other) / len(one | other)


if __name__ == "__main__":
    main()
