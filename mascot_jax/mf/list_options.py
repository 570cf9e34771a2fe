"""What decides lists of recommendations besides the predictions."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from mascot_jax.settings.validation import Finite, Settings, validate


class ListOptions(Settings):
    """Options of ``recommend``."""

    min_ratings: Annotated[int, Field(ge=0)] = 1
    """Leave out items with fewer training ratings."""
    popularity: Finite = 0.0
    """An item with twice as many training ratings is ranked as if its prediction were so much
    higher."""
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Prefer items unlike those before in the list: 0 not at all, 1 to everything else."""

    @property
    def needs_counts(self) -> bool:
        """Whether numbers of training ratings matter."""
        return self.min_ratings > 1 or self.popularity != 0


PLAIN: Final = ListOptions()


def list_options(min_ratings: int, popularity: float, diversity: float) -> ListOptions:
    """Return checked options.

    Raises
    ------
    SettingsError
        If one is invalid.
    """
    values = {"min_ratings": min_ratings, "popularity": popularity, "diversity": diversity}
    return validate(ListOptions, values)
