import ast
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import jax
import mascot_ffi
import pytest
from mascot_ffi.source_hash import source_hash

from mascot_jax.engine import native
from mascot_jax.errors import BuildError

CHECKOUT = Path(__file__).parents[2]
ROOMS_WITH_EXTRAS = {"clicks", "command", "data"}
MODULES = sorted(
    ".".join(path.relative_to(CHECKOUT / "mascot_jax").with_suffix("").parts)
    for path in (CHECKOUT / "mascot_jax").rglob("[!_]*.py")
    if path.relative_to(CHECKOUT / "mascot_jax").parts[0] not in ROOMS_WITH_EXTRAS
)
MODULES.append("clicks.data")  # of which click models know
IMPORT_ALL = "\n".join(f"import mascot_jax.{name}" for name in MODULES) + "\n"
CORE_PACKAGES = {
    "jax",
    "mascot_ffi",
    "narwhals",
    "numpy",
    "optax",
    "pydantic",
    "pydantic_core",
    "safetensors",
    "tqdm",
}
EXTRA_PACKAGES = {"polars", "pooch", "pyarrow", "shtab"}


def run(code):
    """Run Python code beside the checkout's packages, a warning being an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )


def output(code):
    done = run(code)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    ("compiled", "running"),
    [((0, 3), (0, 3)), ((0, 3), (0, 4)), ((0, 9), (0, 10)), ((0, 9), (1, 0))],
)
def test_an_older_or_equal_build_runs(compiled, running):
    native.check_ffi_version(compiled, running)


@pytest.mark.parametrize(
    ("compiled", "running"), [((0, 4), (0, 3)), ((0, 10), (0, 9)), ((1, 0), (0, 9))]
)
def test_a_newer_build_is_refused(compiled, running):
    with pytest.raises(BuildError) as caught:
        native.check_ffi_version(compiled, running)
    text = str(caught.value)
    assert "built for XLA FFI {}.{}".format(*compiled) in text
    assert "runs {}.{}".format(*running) in text
    assert f"jaxlib {version('jaxlib')}" in text
    assert "`pip install .`" in text


def test_the_running_version_is_in_jaxlibs_header(tmp_path):
    running = native.runtime_ffi_version(Path(jax.ffi.include_dir()))
    known = {"0.10.2": (0, 3), "0.11.2": (0, 4), "0.12.0": (0, 5)}
    assert running == known.get(version("jaxlib"), running)
    assert running >= mascot_ffi.FFI_API_VERSION
    header = tmp_path / "xla/ffi/api/c_api.h"
    header.parent.mkdir(parents=True)
    header.write_text("#define XLA_FFI_API_MINOR 12\n#define XLA_FFI_API_MAJOR 3\n")
    assert native.runtime_ffi_version(tmp_path) == (3, 12)


@pytest.mark.parametrize("content", [None, "", "#define XLA_FFI_API_MAJOR 1"])
def test_headers_that_do_not_tell_their_version_are_refused(tmp_path, content):
    header = tmp_path / "xla" / "ffi" / "api" / "c_api.h"
    header.parent.mkdir(parents=True)
    if content is not None:
        header.write_text(content)
    with pytest.raises(BuildError, match="does not tell the XLA FFI version of jaxlib"):
        native.runtime_ffi_version(tmp_path)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("sys.modules['mascot_ffi'] = None", "None in sys.modules"),
        ("sys.path.insert(0, {folder!r})", "undefined symbol: nb_module_exec"),
    ],
)
def test_a_native_module_that_does_not_load_is_a_build_error(tmp_path, code, reason):
    broken = tmp_path / "mascot_ffi.py"
    broken.write_text("raise ImportError('undefined symbol: nb_module_exec')", encoding="utf-8")
    done = run(f"import sys\n{code.format(folder=str(tmp_path))}\nimport mascot_jax.engine.kernels")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mascot_jax.errors.BuildError: the native module mascot_ffi cannot be ")
    assert reason in last
    assert "run `pip install .`" in last


def test_the_installed_module_is_built_from_this_checkout():
    """Red means that the native sources were edited after the last ``pip install .``."""
    native.check_sources(CHECKOUT)
    assert mascot_ffi.build_info()["source_hash"] == source_hash(CHECKOUT / "ffi")


@pytest.fixture
def copy(tmp_path):
    """A checkout with a copy of the native sources."""
    shutil.copytree(CHECKOUT / "ffi", tmp_path / "ffi", ignore=lambda *_: ["__pycache__"])
    return tmp_path


def test_altered_sources_are_refused(copy):
    with (copy / "ffi/core/storages/float16.h").open("a", encoding="utf-8") as file:
        file.write("\n")
    with pytest.raises(BuildError, match=r"built from other sources .* run `pip install \.` there"):
        native.check_sources(copy)


def test_a_folder_without_native_sources_passes(tmp_path):
    native.check_sources(tmp_path)
    (tmp_path / "ffi").mkdir()
    native.check_sources(tmp_path)


def touch(ffi):
    for path in ffi.rglob("*"):
        os.utime(path, (0, 0))


def cache(ffi):
    (ffi / "mascot_ffi/__pycache__").mkdir()
    (ffi / "mascot_ffi/__pycache__/source_hash.cpython-311.pyc").write_bytes(b"x")


def describe(ffi):
    (ffi / "NOTES.md").write_text("no source", encoding="utf-8")


@pytest.mark.parametrize("change", [touch, cache, describe])
def test_what_the_compiler_does_not_read_leaves_the_hash(copy, change):
    before = source_hash(copy / "ffi")
    change(copy / "ffi")
    assert source_hash(copy / "ffi") == before == source_hash(CHECKOUT / "ffi")


def edit(ffi):
    path = ffi / "core/storages/float16.h"
    path.write_bytes(path.read_bytes().replace(b"0x7f800000u", b"0x7f800001u", 1))


def rename(ffi):
    (ffi / "core/storages/float16.h").rename(ffi / "core/half2.h")


def move(ffi):
    (ffi / "core/storages/float16.h").rename(ffi / "bind/half.h")


def remove(ffi):
    (ffi / "core/storages/float16.h").unlink()


def add(ffi):
    (ffi / "core/empty.cuh").touch()


def change_flags(ffi):
    with (ffi / "CMakeLists.txt").open("a", encoding="utf-8") as file:
        file.write("add_compile_options(-O1)\n")


@pytest.mark.parametrize("change", [edit, rename, move, remove, add, change_flags])
def test_names_and_contents_make_the_hash(copy, change):
    before = source_hash(copy / "ffi")
    change(copy / "ffi")
    assert source_hash(copy / "ffi") != before


def test_the_core_needs_no_extra_package():
    loaded = output(f"import sys\n{IMPORT_ALL}print(*sys.modules)")
    packages = {name.partition(".")[0] for name in loaded}
    assert packages >= {"jax", "mascot_ffi"}
    extra = {
        "altair",
        "dvc",
        "dvclive",
        "polars",
        "pooch",
        "pyarrow",
        "pytest",
        "ruamel",
        "vl_convert",
    }
    assert packages & extra == set()
    assert "mascot_jax.data" not in loaded


def imported(path):
    """Top-level packages that a file imports, anywhere in it, besides the standard library's."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module]
        else:
            continue
        yield from ({name.partition(".")[0] for name in names} - sys.stdlib_module_names)


WHERE_ASKED_FOR = {
    "mf.estimator": {"sklearn"},  # by scikit-learn itself, which asks for an estimator's tags
    "model_selection.study": {"optuna", "sqlalchemy"},  # the extra ``tune``, when a study begins
}


@pytest.mark.parametrize("name", MODULES)
def test_a_core_module_imports_only_what_is_required(name):
    found = set(imported(CHECKOUT / f"mascot_jax/{name.replace('.', '/')}.py"))
    assert found <= CORE_PACKAGES | {"mascot_jax"} | WHERE_ASKED_FOR.get(name, set())


def test_the_library_imports_no_pipeline():
    for path in (CHECKOUT / "mascot_jax").rglob("*.py"):
        name = path.relative_to(CHECKOUT / "mascot_jax").with_suffix("").as_posix()
        asked_for = WHERE_ASKED_FOR.get(name.replace("/", "."), set())
        assert set(imported(path)) <= CORE_PACKAGES | EXTRA_PACKAGES | {"mascot_jax"} | asked_for


@pytest.mark.parametrize(
    ("layer", "allowed"), [("core", r"core/"), ("cuda", r"core/|cuda/|hardware_on_host\.h$")]
)
def test_a_native_layer_includes_nothing_above_it(layer, allowed):
    sources = [path for path in (CHECKOUT / "ffi" / layer).rglob("*") if path.is_file()]
    assert len(sources) > 10
    for path in sources:
        text = path.read_text(encoding="utf-8")
        for own, system in re.findall(r'#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', text):
            assert re.match(allowed, own) or not own, path
            assert not re.match(r"xla|nanobind|Python|bind", system), path


def test_jaxs_settings_stay_as_they_are():
    code = f"""
import jax
import numpy as np
before = dict(jax.config.values)
{IMPORT_ALL}
plan = mascot_jax.settings.TrainSettings(factors=4, epochs=1).plan()
execution = mascot_jax.engine.kernels.Execution()
group = mascot_jax.tables.groups.regroup(np.ones(3, dtype=np.int64), 1)
rows = np.arange(6, dtype=np.uint32).reshape(2, 3) % 3
ratings = np.ones(3, dtype=np.float32)
problem = mascot_jax.training.problem.make_problem((*rows, ratings), group, group)
prepared = mascot_jax.training.problem.prepare(problem, plan, execution)
mascot_jax.training.loop.train_state(prepared, execution)
print(*(name for name, value in jax.config.values.items() if value != before[name]))
"""
    assert output(code) == []
