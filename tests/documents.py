"""Runs what a Markdown page shows, and compares what it prints with what the page says.

A page is one program: its blocks of Python share their names, and its files a folder. Blocks of
shell run if each of their commands is ``mascot``. A block of ``text`` right behind one that runs is
what that prints; ``...`` in it stands for anything. Before a block of Python, a comment
``<!-- new process -->`` gives it a process of its own, ``<!-- not run: why -->`` leaves it out.

``python -m tests.documents PAGE FOLDER`` runs a page in a folder and prints what its blocks print.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
    new_process: bool


def blocks(page):
    """The blocks of a page that run."""
    text = page.read_text(encoding="utf-8")
    for found in BLOCK.finditer(text):
        note, language, code = found["note"] or "", found["language"], found["code"]
        if note.startswith("not run") or (language == "sh" and not all(map(runs, commands(code)))):
            continue
        line = text.count("\n", 0, found.start("code")) + 1
        yield Block(line, language, code, found["output"], note == "new process")


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


if __name__ == "__main__":
    page, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    os.chdir(folder)
    for block, printed in run_page(page, {}):
        print(f"--- line {block.line}\n{printed}", end="")
