"""Help texts of a subcommand."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple


class Words(NamedTuple):
    """Help texts of a subcommand."""

    summary: str
    details: str
    examples: str

    def settings(self) -> dict[str, Any]:
        """Return the arguments of its parser."""
        return {
            "help": self.summary,
            "description": f"{self.summary[0].upper()}{self.summary[1:]}.\n\n{self.details}",
            "epilog": f"examples:\n{self.examples}",
            "formatter_class": argparse.RawDescriptionHelpFormatter,
            "allow_abbrev": False,
        }
