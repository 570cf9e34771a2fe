"""Atomic writes: the old file or the new one, and nothing beside it."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mascot_jax.base.files import atomic_write, check_writable, local_path
from mascot_jax.errors import MascotError, PathError, SaveError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def files_of_at_most(size):
    """A disk that is full, in effect: EFBIG instead of ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_half(path, error):
    with atomic_write(str(path)) as temporary:
        temporary.write_bytes(b"half")
        raise error


@pytest.mark.parametrize("before", [None, b"old"])
def test_new_content_appears_when_the_block_ends(tmp_path, before):
    path = tmp_path / "a.bin"
    if before is not None:
        path.write_bytes(before)
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
        assert (path.read_bytes() if path.exists() else None) == before
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(
    ("number", "cause", "remedy"),
    [
        (errno.ENOSPC, "No space left on device", "free some space there"),
        (errno.EDQUOT, "Disk quota exceeded", "free some of your quota"),
        (errno.EROFS, "Read-only file system", "choose another place"),
        (errno.EIO, "Input/output error", "see whether its disk works"),
    ],
)
def test_a_failing_disk_leaves_the_old_file(tmp_path, monkeypatch, number, cause, remedy):
    def refuse(handle):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(SaveError) as caught, atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
    assert str(caught.value).startswith(f"{path}: cannot be written: {cause}: {remedy}")
    assert caught.value.errno == number
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, MascotError)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def write_tensors(path):
    save_file({"x": np.zeros(100_000)}, path)


def write_plainly(path):
    path.write_bytes(bytes(100_000))


@pytest.mark.parametrize("write", [write_tensors, write_plainly])
def test_a_file_that_gets_too_large_leaves_the_old_one(tmp_path, write):
    """The system's own refusal, as of a full disk; each library words it differently."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    refused = pytest.raises(SaveError, match="File too large: allow larger")
    with files_of_at_most(50_000), refused, atomic_write(path) as temporary:
        write(temporary)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_what_the_writer_fails_to_read_is_another_error(tmp_path):
    with pytest.raises(PermissionError, match="source"), atomic_write(tmp_path / "a.bin"):
        raise PermissionError(errno.EACCES, "not yours", "source")


def test_a_folder_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(SaveError, match="another place"), atomic_write(tmp_path / "a" / "a.bin"):
        pass


@pytest.mark.parametrize("prepare", [check_writable, None])
def test_missing_folders_are_made(tmp_path, prepare):
    path = tmp_path / "new" / "newer" / "a.bin"
    if prepare:
        prepare(path)
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("place", ["s3://bucket/a.bin", "gs://b/a", "file:///a", Path("s3://b/a")])
def test_a_url_is_refused_and_makes_no_folder(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    for use in (local_path, check_writable, lambda path: atomic_write(path).__enter__()):
        with pytest.raises(PathError, match=r"a URL, where a path .* is needed: .* fsspec"):
            use(place)
    assert names(tmp_path) == []


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with atomic_write("~/a.bin") as temporary:
        temporary.write_bytes(b"new")
    assert names(tmp_path) == ["a.bin"]
    with pytest.raises(PathError, match="no such home folder: write the whole path"):
        local_path("~nobody-here/a")


def test_writers_at_a_time_do_not_disturb_each_other(tmp_path):
    path = tmp_path / "a.bin"
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first"  # which ended last
    assert names(tmp_path) == ["a.bin"]


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    program = (
        "import os, signal, sys\n"
        "from mascot_jax.base.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    temporary.with_name('.tmpX').write_bytes(b'of a library')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


def test_a_link_is_replaced_and_its_target_kept(tmp_path):
    """DVC's workspace may hold links into its cache, which nobody may write to."""
    target, link = tmp_path / "cached", tmp_path / "a.bin"
    target.write_bytes(b"cached")
    link.symlink_to(target)
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"cached"
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"


def test_file_is_as_readable_as_any_other(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "a.safetensors"
    plain.touch()
    with atomic_write(path) as temporary:
        save_file({"x": np.arange(3)}, temporary)
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    assert load_file(path)["x"].tolist() == [0, 1, 2]


def write(path):
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"new")


@pytest.mark.parametrize("act", [check_writable, write])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder", "Is a directory: name a file in it"),
        ("", "Is a directory: name a file in it"),
        ("n" * 256, "File name too long: choose a shorter name"),
        ("pipe", "it is no ordinary file: choose another name"),
    ],
)
def test_what_cannot_be_a_file_is_refused(tmp_path, act, name, said):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SaveError, match=f"cannot be written: {said}"):
        act(tmp_path / name)
    assert names(tmp_path) == ["folder", "pipe"]


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_nothing_is_no_file(path):
    with pytest.raises(SaveError, match="Is a directory"):
        check_writable(path)


def test_a_check_leaves_nothing(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    check_writable(tmp_path / "a.bin")
    check_writable(str(tmp_path / "b.bin"))
    assert names(tmp_path) == ["a.bin"]
    assert (tmp_path / "a.bin").read_bytes() == b"old"
