"""Settings of an estimator, as scikit-learn's tools read and change them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

from mascot_jax.errors import SettingsError


@dataclass(eq=False)
class Parameters:
    """Base of a dataclass whose fields, but for those that are learned, are settings."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the settings that the constructor takes."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.init}

    def set_params(self, **params: Any) -> Self:
        """Change settings, from the next ``fit`` on.

        Raises
        ------
        SettingsError
            If there is no such setting.
        """
        there = self.get_params()
        for name, value in params.items():
            if name not in there:
                raise SettingsError(f"{name}: {value!r}: unknown parameter: {', '.join(there)}")
            setattr(self, name, value)
        return self
