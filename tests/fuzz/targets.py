"""Everything that reads a file which somebody else may have written."""

from tests.fuzz import archives, parquet, tensors, text

TARGETS = (*text.TARGETS, *parquet.TARGETS, *archives.TARGETS, *tensors.TARGETS)
