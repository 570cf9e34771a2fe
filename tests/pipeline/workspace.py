"""A small DVC repository with this checkout's stages, and what tests ask of it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from ruamel.yaml import YAML

CHECKOUT = Path(__file__).parents[2]
RESULTS = {"dvc.lock", "metrics.json", "timings.json"}
"""Tracked results of the default parameters, which the small repository makes for itself."""


class Workspace:
    """A DVC repository in a folder of its own."""

    def __init__(self, root, home):
        self.root = root
        self.home = home

    def run(self, *command):
        """Run a command in it with an environment that no user's or outer DVC's settings reach."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("DVC", "GIT_", "XDG_"))
        }
        people = {f"GIT_{who}_NAME": "Test" for who in ("AUTHOR", "COMMITTER")}
        people |= {f"GIT_{who}_EMAIL": "test@example.org" for who in ("AUTHOR", "COMMITTER")}
        own = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(self.home),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.home / "dvc"),
            "DVC_GLOBAL_CONFIG_DIR": str(self.home),
            "DVC_SYSTEM_CONFIG_DIR": str(self.home),
        }
        # Into files: DVC's queue workers outlive their command and would keep its pipes open.
        with TemporaryFile("w+") as output, TemporaryFile("w+") as errors:
            done = subprocess.run(
                [str(part) for part in command],
                cwd=self.root,
                env=inherited | people | own,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                check=False,
            )
            for file in (output, errors):
                file.seek(0)
            done.stdout, done.stderr = output.read(), errors.read()
        return done

    def git(self, *arguments):
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stderr

    def dvc(self, *arguments):
        """Run DVC; what it printed."""
        done = self.try_dvc(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def try_dvc(self, *arguments):
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def stage(self, name, *arguments):
        """Run a stage without DVC, a warning being an error."""
        return self.run(sys.executable, "-W", "error", "-m", f"pipeline.{name}", *arguments)

    def path(self, name):
        return self.root / name

    def json(self, name):
        return json.loads(self.path(name).read_text(encoding="utf-8"))

    def set(self, **values):
        """Edit params.yaml: ``train__factors=8`` sets ``train.factors``."""
        yaml, path = YAML(), self.path("params.yaml")
        params = yaml.load(path)
        for name, value in values.items():
            *blocks, last = name.split("__")
            target = params
            for block in blocks:
                target = target[block]
            target[last] = value
        yaml.dump(params, path)

    def commit(self):
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "test")

    def copy(self, to):
        """An independent copy, DVC's cache included."""
        temporary = shutil.ignore_patterns("tmp")
        shutil.copytree(self.root, to, ignore=lambda folder, names: (
            temporary(folder, names) if Path(folder).name == ".dvc" else set()
        ))  # fmt: skip
        return Workspace(to, self.home)


def clone_checkout(root, home):
    """Copy this checkout's sources, tracked or not yet, into a repository with a small data set."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in set(filter(None, listed.split("\0"))) - RESULTS:
        source, target = CHECKOUT / name, root / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    small = Workspace(root, home)
    small.set(
        folds=[0, 1],
        data__name="synthetic", data__shape="ml-1m", data__source=None, data__digest=None,
        data__columns={"user": "user", "item": "item", "rating": "rating"},
        data__users=120, data__items=80, data__ratings=4000, data__noise=0.6, data__seed=0,
        split__count=5, split__seed=0, regroup__user_groups=6, regroup__item_groups=4,
        train__recipe="paper", train__schedule=None, train__biases=False,
        train__validation=0.0, train__patience=None,
        train__method="mascot", train__factors=16, train__epochs=12, train__learning_rate=0.05,
        train__decay=0.1, train__user_reg=0.01, train__item_reg=0.015, train__storage=None,
        train__threshold=1.2, train__period=None, train__sample_ratio=1.0, train__warmup=None,
        train__deterministic=None, train__writes="add", train__seed=0,
        run__backend="cpu", run__threads=None, evaluate__clip=False,
    )  # fmt: skip
    small.git("init", "--quiet")
    small.commit()
    return small


def stages_run(output):
    """The stages that DVC ran, in order; which is DVC's choice where none waits for another."""
    return re.findall(r"^Running stage '(.+)'", output, re.MULTILINE)


def assert_refused(done, *parts):
    """Bad input: exit status 2 and one line that says all of ``parts``."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 2, (done.returncode, done.stderr)
    _assert_one_line(done.stderr.splitlines(), parts)


def assert_stopped(done, stage, *parts):
    """Bad input to a stage under DVC: the stage's one line among DVC's."""
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode != 0
    assert f"failed to reproduce '{stage}'" in done.stderr
    assert "exited with 2" in done.stderr
    _assert_one_line([s for s in done.stderr.splitlines() if s.startswith("error: ")], parts)


def _assert_one_line(lines, parts):
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0], (part, lines[0])
