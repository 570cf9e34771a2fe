"""Stage ``download``: write all rows of the data set to one Parquet file."""

from __future__ import annotations

from mascot_jax.clicks.load import load_clicks
from mascot_jax.settings.click_params import ClickParams
from pipeline.clicks import entry


def download(params: ClickParams) -> None:
    """Fetch, or generate, and read the rows."""
    load_clicks(params.data, entry.RAW)


if __name__ == "__main__":
    entry.run_click_stage(download)
