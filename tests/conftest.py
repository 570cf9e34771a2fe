import os
import signal
from pathlib import Path

import hypothesis
import jax
import pytest

import mascot_jax

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What a shell starts in the background ignores Ctrl-C, and Python then has no KeyboardInterrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
IN_CHECKOUT = (TESTS.parent / "mascot_jax").is_dir()
NEED_THE_CHECKOUT = [
    # the pipeline, its parameters, the studies, or the benchmarks
    "benchmarks",
    "pipeline",
    "studies",
    "engine/test_devices.py",
    "settings",
    # the sources of the kernels, of the library or of the pages
    "command/test_docs.py",
    "test_build.py",
    "engine/test_cuda_arithmetic_on_host.py",
    "engine/test_cuda_early_exit_on_host.py",
    "engine/test_cuda_embedding_on_host.py",
    "engine/test_cuda_interactions_on_host.py",
    "engine/test_cuda_on_host.py",
    "engine/test_cuda_sharing_on_host.py",
    "test_docs.py",
    "test_gpu_machine.py",
    "test_rooms.py",
    "engine/test_native.py",
    "engine/test_parallel.py",
]
ONCE_IS_ENOUGH = [
    # compare what kernels compute, number by number
    "engine/test_cuda_handlers.py",
    "engine/test_deterministic.py",
    "engine/test_gpu.py",
    "engine/test_gpu_compiler.py",
    "engine/test_gpu_embedding.py",
    "engine/test_kernels.py",
    "engine/test_quantised.py",
    "engine/test_rounding.py",
    # damage many files
    "fuzz",
]
"""Tests that take long and look at the same code in the checkout: a wheel is built of it."""
# From a folder of tests only, against an installed wheel (``.ci/wheel``).
collect_ignore = [] if IN_CHECKOUT else NEED_THE_CHECKOUT + ONCE_IS_ENOUGH

# A busy machine is no failure.
hypothesis.settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("untimed")


def pytest_report_header():
    where = Path(mascot_jax.__file__).parent
    if not IN_CHECKOUT and "site-packages" not in where.parts:
        raise pytest.UsageError(f"mascot_jax is imported from {where}, not from an installed wheel")
    return f"mascot_jax: {where}"


WITH_DEAR_FIXTURES = {
    "pipeline": "pipeline",
    "test_cuda_interactions_on_host.py": "kernels of interactions on host",
    "test_cuda_on_host.py": "kernels on host",
    "test_cuda_arithmetic_on_host.py": "kernels on host",
    "test_cuda_early_exit_on_host.py": "kernels on host",
    "test_cuda_embedding_on_host.py": "embedding kernels on host",
    "test_cuda_sharing_on_host.py": "kernels on host",
    "test_checkpoint_parts.py": "checkpoint parts",
    "test_ml_1m.py": "ml-1m",
    "test_study.py": "study",
}
"""Folders and files -> what their tests share that takes long to make: one worker's, of several."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in (item.path.parent.name, item.path.name):
            if name in WITH_DEAR_FIXTURES:
                item.add_marker(pytest.mark.xdist_group(WITH_DEAR_FIXTURES[name]))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of rating archives."""
    folder = os.environ.get("MASCOT_DATA_DIR")
    if not folder:
        pytest.skip("MASCOT_DATA_DIR is not set: no rating archives to read")
    return Path(folder)
