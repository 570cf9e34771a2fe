import os
from pathlib import Path

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# A busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of rating archives."""
    folder = os.environ.get("MASCOT_DATA_DIR")
    if not folder:
        pytest.skip("MASCOT_DATA_DIR is not set: no rating archives to read")
    return Path(folder)
