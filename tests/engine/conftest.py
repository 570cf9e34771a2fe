"""What the engine's tests share."""

import jax
import pytest

from mascot_jax.engine.devices import choose_device
from mascot_jax.errors import BackendError


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The CUDA kernels, compiled for the host."""
    # What this needs is in the checkout only, and some tests run without one.
    from tests.support.cuda_on_host import compile_kernels

    return compile_kernels(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def gpu():
    try:
        return choose_device("cuda")
    except BackendError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def on_gpu(gpu):
    """What a test makes lies on the GPU, but for what it makes under ``on_cpu``."""
    with jax.default_device(gpu):
        yield
