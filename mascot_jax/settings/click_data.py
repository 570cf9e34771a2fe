"""Settings of click data: where it comes from, how it is divided and encoded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mascot_jax.settings.data import DigestText
from mascot_jax.settings.validation import Finite, Seed, Settings, together

CLICK_SET_NAMES = ("planted", "criteo", "avazu", "ml-1m", "libfm", "file")


class ClickColumns(Settings):
    """Columns to read: names in the header line, or positions from 0; ``a..b`` is a range."""

    label: str = "label"
    """Column of the labels: 0 or 1, or values that `positive` divides."""
    positive: Finite | None = None
    """A label is 1 from this value on, such as 4 for stars; null: labels are 0 or 1."""
    dense: list[str] = Field(default=[])
    """Columns of numbers; empty ones are missing."""
    categories: list[str] | None = None
    """Columns of ids; null: all that are neither the label nor numbers."""
    separator: str | None = None
    """What stands between the columns of a text file; null finds it out."""


class ClickDataSettings(Settings):
    """The click data and where it comes from (``data``)."""

    name: Literal[CLICK_SET_NAMES] = "planted"  # type: ignore[valid-type]
    """The data set; ``file`` reads your own table."""
    source: str | None = None
    """A path or URL to read; needed by all but ``planted`` and ``ml-1m``."""
    digest: DigestText | None = None
    """Digest that the file must have; null takes the published one, if there is one."""
    columns: ClickColumns = ClickColumns()
    """Columns of the data set ``file``."""
    rows: Annotated[int, Field(ge=100, lt=2**40)] = 100_000
    """Planted only: number of rows."""
    scale: Annotated[int, Field(ge=1, le=100_000)] = 320
    """Planted only: tables of more than 2,000 rows are that many times smaller than Criteo's."""
    seed: Seed = 0
    """Planted only: the same seed gives the same rows."""


class EncodeSettings(Settings):
    """How click data is divided and encoded (``encode``)."""

    validation: Annotated[Finite, Field(ge=0, lt=1)] = 0.1
    """Share of the rows that is scored after each epoch."""
    test: Annotated[Finite, Field(ge=0, lt=1)] = 0.1
    """Share of the rows that only the evaluation sees."""
    order: Literal["file", "random"] | None = None
    """Which rows: ``file``: the last ones, the test rows behind the validation rows, for files in
    the order of time; ``random``; null: the data set's."""
    min_count: Annotated[int, Field(ge=1, lt=2**31)] = 10
    """Ids that occur less often in the training rows share one row of their field's table."""
    most_rows: Annotated[int, Field(ge=2, le=2**32)] | None = None
    """Most rows of a table: rarer ids share one; null: no limit."""
    numbers: Literal["log", "standard", "none"] | None = None
    """What is made of a number x: log(1 + x), with 0 for what is negative or missing; its distance
    to the training rows' mean in standard deviations; nothing. Null: the data set's."""
    count_fields: list[str] | None = None
    """Fields whose ids' counts in the training rows become numbers, too; null: the data set's."""
    seed: Seed = 0
    """Fixes the random order."""

    @model_validator(mode="after")
    def _rows_are_left(self) -> EncodeSettings:
        if self.validation + self.test >= 1:
            raise together(
                f"encode.validation and encode.test: {self.validation} and {self.test}: must sum "
                "to less than 1, as the rest is trained on"
            )
        return self
