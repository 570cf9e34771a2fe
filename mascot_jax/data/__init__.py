"""Getting ratings: registry, fetching, readers, generator, split.

Needs the extra ``data`` (polars, pooch); nothing outside this package imports it at module level.
"""
