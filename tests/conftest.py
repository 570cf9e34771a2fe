import os
from pathlib import Path

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A busy machine is no failure.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


WITH_DEAR_FIXTURES = ("pipeline", "test_cuda_on_host.py", "test_ml_1m.py")
"""Folders and files whose tests share what takes long to make: one worker's, if there are more."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in (item.path.parent.name, item.path.name):
            if name in WITH_DEAR_FIXTURES:
                item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of rating archives."""
    folder = os.environ.get("MASCOT_DATA_DIR")
    if not folder:
        pytest.skip("MASCOT_DATA_DIR is not set: no rating archives to read")
    return Path(folder)
