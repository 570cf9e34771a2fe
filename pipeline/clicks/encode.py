"""Stage ``encode``: divide the rows, and turn ids into rows of tables by their counts."""

from __future__ import annotations

from mascot_jax.clicks.raw import open_raw
from mascot_jax.clicks.read import encode_raw
from mascot_jax.clicks.store import write_parts
from mascot_jax.settings.click_params import ClickParams
from pipeline.clicks import entry
from pipeline.common import paths


def encode(params: ClickParams) -> None:
    """Encode the parts to train on, to validate with and to test on."""
    parts = encode_raw(open_raw(entry.RAW), params.encode)
    write_parts(entry.ENCODED, parts)
    paths.write_json(entry.REPORT, parts.report)


if __name__ == "__main__":
    entry.run_click_stage(encode)
