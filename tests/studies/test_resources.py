import shutil

import pytest

from studies.notes import sass
from studies.notes.resources import inspect_source

HOT = [
    *(
        f"update_kernel<4, StorageList<{storages}>, {rounding}, false>"
        for storages in ("Float32", "Float16", "Float32, Float16")
        for rounding in ("Nearest", "Stochastic")
    ),
    "update_to_stop_kernel<StorageList<Float32, Float16>, Stochastic, false>",
]
"""For k = 128, in an epoch that does not measure; and one whose updates end early, for any k."""
HOT_AT_INTERACTIONS = [
    kernel.replace("update", "interact") for kernel in HOT if kernel.startswith("update_kernel")
]
UPDATE = "const __grid_constant__ Pass, const Training, const Held"
INTERACT = UPDATE.replace("Pass,", "Pass, const __grid_constant__ Interactions,")


def compiled(header, kernels, parameters, folder):
    source = folder / "hot.cu"
    source.write_text(
        f'#include "cuda/{header}.cuh"\nnamespace mascot::cuda {{\n'
        + "".join(f"template __global__ void {kernel}({parameters});\n" for kernel in kernels)
        + "}\n"
    )
    return inspect_source("nvcc", 90, source, folder)


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no CUDA compiler")
def test_epochs_in_float32_and_float16_keep_everything_in_registers(tmp_path):
    kernels = compiled("kernels", HOT, UPDATE, tmp_path)
    assert len(kernels) == len(HOT)
    assert [k.name for k in kernels if k.stack or k.spilled] == []


UPDATE_ROWS = (
    "update_rows_kernel<1>(const __grid_constant__ Embedding, const SortedLookups, "
    "const float*, const float*, const uint32_t*)"
)
"""For rows of up to 128 components."""


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no CUDA compiler")
def test_rows_of_clicks_stay_in_registers_of_which_there_are_enough(tmp_path):
    source = tmp_path / "clicks.cu"
    source.write_text(
        '#include "cuda/embedding.cuh"\nnamespace mascot::cuda {\n'
        f"template __global__ void {UPDATE_ROWS};\n}}\n"
    )
    kernels = inspect_source("nvcc", 90, source, tmp_path)
    names = sorted(kernel.name for kernel in kernels)
    assert names == ["lookup_kernel", "update_rows_kernel<1>"]
    assert [k.name for k in kernels if k.stack or k.spilled] == []
    # Half of the warps that a multiprocessor can hold.
    assert max(k.registers for k in kernels) <= 64


@pytest.mark.hardening
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no CUDA compiler")
def test_epochs_over_interactions_keep_rows_in_registers(tmp_path):
    kernels = compiled("interactions", HOT_AT_INTERACTIONS, INTERACT, tmp_path)
    found = [k for k in kernels if k.name.startswith("interact_kernel")]
    assert len(found) == len(HOT_AT_INTERACTIONS)
    assert [k.name for k in found if k.spills] == []
    assert max(k.spilled for k in found) <= 16  # of what is planned, not of rows


NESTED = """
		Function : kernel
        /*0000*/                   S2R R0, SR_TID.X ;          /* 0x1 */
        /*0010*/                   STL [R1], R0 ;              /* 0x1 */
        /*0020*/                   SHFL.BFLY PT, R2, R0, 0x4, 0x1f ;
        /*0030*/                   BRA.DIV UR4, 0x00c0 ;
        /*0040*/                   LDL R3, [R1] ;
        /*0050*/                   REDG.E.ADD.F32 [R4.64], R3 ;
        /*0060*/              @!P0 BRA 0x20 ;
        /*0070*/                   LDG.E R5, [R6.64] ;
        /*0080*/               @P1 BRA 0x70 ;
        /*0090*/               @P2 BRA 0x10 ;
        /*00a0*/                   EXIT ;
        /*00b0*/                   BRA 0xb0;
        /*00c0*/                   WARPSYNC.COLLECTIVE R9, 0xd0 ;
        /*00d0*/                   BRA 0x40 ;
"""


def test_a_loop_over_ratings_is_the_innermost_that_shuffles_and_writes():
    code = sass.read_functions(NESTED)["kernel"]
    (loop,) = sass.rating_loops(code)
    assert loop == {0x20, 0x30, 0x40, 0x50, 0x60}
    assert sass.on_stack(code, loop) == 1
    assert sass.on_stack(code, code) == 2
