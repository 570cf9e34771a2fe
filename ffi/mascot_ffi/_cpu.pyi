from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

class BuildInfo(TypedDict):
    compiler: str
    source_hash: str
    ffi_api_version: tuple[int, int]
    instruction_sets: list[str]

def registrations() -> dict[str, object]: ...
def build_info() -> BuildInfo: ...
def write_mixed_axes(moments: NDArray[np.float64], basis: NDArray[np.float32]) -> None: ...
def draw_list(
    user_ranges: int,
    item_ranges: int,
    rotations: int,
    users_stay: bool,
    seed: int,
    epoch: int,
    out: NDArray[np.uint32],
) -> None: ...

class Predictor:
    def __init__(
        self,
        user_starts: NDArray[np.uint32],
        user_groups: NDArray[np.uint8],
        user_tables: list[NDArray[np.uint8]],
        user_codes: list[int],
        item_starts: NDArray[np.uint32],
        item_groups: NDArray[np.uint8],
        item_tables: list[NDArray[np.uint8]],
        item_codes: list[int],
        factors: int,
        scale_block: int,
        instruction_set: str,
    ) -> None: ...
    def predict(
        self,
        users: NDArray[np.uint32],
        items: NDArray[np.uint32],
        out: NDArray[np.float32],
        block_size: int,
        threads: int,
    ) -> None: ...
