"""Readers of click data, one module a format; each yields frames as `RawClicks.frames` does."""
