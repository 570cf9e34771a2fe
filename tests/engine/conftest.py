"""What the engine's tests share."""

import pytest


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The CUDA kernels, compiled for the host."""
    # What this needs is in the checkout only, and some tests run without one.
    from tests.support.cuda_on_host import compile_kernels

    return compile_kernels(tmp_path_factory.mktemp("native"))
