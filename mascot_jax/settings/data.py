"""Settings of the ratings and of their division into folds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mascot_jax.settings.validation import Finite, Seed, Settings

DATA_SET_NAMES = (
    "synthetic",
    "ml-100k",
    "ml-1m",
    "ml-10m",
    "ml-20m",
    "ml-25m",
    "ml-32m",
    "ml-latest-small",
    "ml-latest",
    "netflix",
    "yahoo-music",
    "file",
)
DigestText = Annotated[str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64})$")]
SHAPE_NAMES = ("ml-1m", "ml-10m", "ml-25m", "netflix", "yahoo")


class Columns(Settings):
    """Columns to read: their names in the header line, or their positions from 0."""

    user: str = "user"
    item: str = "item"
    rating: str = "rating"
    separator: str | None = None
    """What stands between the columns of a text file; null finds it out."""


class TimedColumns(Columns):
    """Columns to read, the time of each rating among them."""

    time: str = "time"


class DataSettings(Settings):
    """The ratings and where they come from (``data``)."""

    name: Literal[DATA_SET_NAMES] = "synthetic"  # type: ignore[valid-type]
    """The data set; ``file`` reads your own."""
    source: str | None = None
    """A path or URL that overrides where the data set is read from."""
    digest: DigestText | None = None
    """Digest that the archive or file must have; null takes the published one, if there is one."""
    columns: Columns = Columns()
    """Columns of the data set ``file``."""
    shape: Literal[SHAPE_NAMES] = "ml-1m"  # type: ignore[valid-type]
    """Synthetic only: the real data set whose size and rating step are used."""
    users: Annotated[int, Field(ge=2, lt=2**32)] | None = None
    """Synthetic only: number of users; null takes the shape's."""
    items: Annotated[int, Field(ge=2, lt=2**32)] | None = None
    """Synthetic only: number of items; null takes the shape's."""
    ratings: Annotated[int, Field(ge=4)] | None = None
    """Synthetic only: number of ratings; null takes the shape's."""
    noise: Annotated[Finite, Field(ge=0.0, le=10.0)] = 0.8
    """Synthetic only: standard deviation of the noise added before rounding, in stars."""
    seed: Seed = 0
    """Synthetic only: the same seed gives the same ratings."""


class SplitSettings(Settings):
    """How ratings are divided into folds (``split``)."""

    count: Annotated[int, Field(ge=1, le=254)] = 5
    """Number of folds; 1 only with a data set that has its own test file."""
    seed: Seed = 0
    """Fixes the order of the ratings and so the folds."""
