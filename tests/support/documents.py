"""Runs what a Markdown page shows, and compares what it prints with what the page says.

A page is one program: its blocks of Python share their names, and its files a folder. Blocks of
shell run if each of their commands is ``mascot``. A block of ``text`` right behind one that runs is
what that prints; ``...`` in it stands for anything. Before a block of Python, a comment
``<!-- new process -->`` gives it a process of its own, ``<!-- not run: why -->`` leaves it out.

``python -m tests.support.documents PAGE [ml-1m.zip]`` writes into a page what its blocks print now,
and beside it what they draw.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

import mascot_jax
from mascot_jax.command.main import main

BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^>]*) -->\n)?^```(?P<language>python|sh)\n(?P<code>.*?)^```$"
    r"(?:\n+```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)


class Block(NamedTuple):
    line: int
    language: str
    code: str
    output: str | None
    place: slice
    """Of the output in the page."""
    new_process: bool


def blocks(page):
    """The blocks of a page that run."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        note, language, code = found["note"] or "", found["language"], found["code"]
        if note.startswith("not run") or (language == "sh" and not all(map(runs, commands(code)))):
            continue
        line = text.count("\n", 0, found.start("code")) + 1
        place = slice(*found.span("output"))
        yield Block(line, language, code, found["output"], place, note == "new process")


def prepare(folder):
    """Write the files that examples name; return the names that they use for what is in them."""
    ratings = planted()
    train, test = ratings.head(1300), ratings.tail(200)
    train.write_csv(folder / "ratings.csv")
    test.write_csv(folder / "test.csv")
    users, items, stars = (ratings[name].to_numpy() for name in ratings.columns)
    return {"ratings": ratings, "users": users, "items": items, "stars": stars}


def planted():
    """Ratings from 1 to 5 that factors can learn: user ids from 1, item ids from 101."""
    rng = np.random.default_rng(0)
    user, item = np.divmod(rng.choice(60 * 40, 1500, replace=False), 40)
    taste = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 40))
    stars = np.clip(np.round(3 + taste[user, item]), 1, 5)
    return pl.DataFrame({"user": user + 1, "item": item + 101, "rating": stars})


def commands(code):
    """The commands of a block of shell, in words."""
    lines = code.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def runs(words):
    return words[0] == "mascot"


def run_page(page, names):
    """Run a page's blocks in the working folder; yield each with what it printed."""
    for block in blocks(page):
        if block.new_process:
            yield block, in_new_process(block.code)
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            if block.language == "sh":
                for words in commands(block.code):
                    assert main(words[1:]) == 0, shlex.join(words)
            else:
                # Lines of a page keep their numbers in tracebacks.
                code = "\n" * (block.line - 1) + block.code
                exec(compile(code, str(page), "exec"), names)
        yield block, printed.getvalue()


def in_new_process(code):
    where = str(Path(mascot_jax.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": where}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def check_page(page, names):
    """Run a page; raise where a block prints other than the page says."""
    checker = doctest.OutputChecker()
    for block, printed in run_page(page, names):
        if block.output is not None:
            same = checker.check_output(block.output, printed, doctest.ELLIPSIS)
            assert same, f"{page.name}, line {block.line}: prints\n{printed}"


def rewrite(page, archives):
    """Put into a page what its blocks print now, where it says what they print."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        names = prepare(Path(folder))
        for archive in archives:
            Path(archive.name).symlink_to(archive)
        for block, printed in reversed(list(run_page(page, names))):
            if block.output is not None:
                text = text[: block.place.start] + printed + text[block.place.stop :]
        for picture in Path(folder).glob("*.svg"):
            shutil.copy(picture, page.parent)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    first, *others = (Path(path).resolve() for path in sys.argv[1:])
    rewrite(first, others)
