"""What the engine's tests share."""

import pytest

from tests.support.cuda_on_host import compile_kernels


@pytest.fixture(scope="session")
def library(tmp_path_factory):
    """The CUDA kernels, compiled for the host."""
    return compile_kernels(tmp_path_factory.mktemp("native"))
