"""Stage ``data``: the rows of the profile's data set, fetched or generated."""

from __future__ import annotations

from mascot_jax.clicks.load import load_clicks
from studies.dqrm.settings import raw_path, read_study


def main() -> None:
    """Write the rows."""
    study = read_study()
    load_clicks(study.chosen.data, raw_path(study.profile))


if __name__ == "__main__":
    main()
