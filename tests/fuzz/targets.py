"""Everything that reads a file which somebody else may have written."""

from tests.fuzz import archives, click_models, clicks, parquet, tensors, text

_MODULES = (text, parquet, archives, tensors, clicks, click_models)

TARGETS = tuple(target for module in _MODULES for target in module.TARGETS)
MODULE_OF = {target.name: module.__name__ for module in _MODULES for target in module.TARGETS}
"""Where a worker finds a target: without what only others need, it starts faster."""
