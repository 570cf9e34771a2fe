"""A downloaded archive of the sources, which has no ``.git``."""

import shutil
import sys


def test_make_repro_runs_without_git(workspace):
    shutil.rmtree(workspace.path(".git"))
    # What make finds in the environment that it makes, but of this one.
    program = workspace.path(".venv") / "bin" / "dvc"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dvc "$@"\n')
    program.chmod(0o755)
    assert "is not a git repository" in workspace.try_dvc("status").stderr
    done = workspace.run("make", "--assume-old=.venv/.pipeline", "repro")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "rmse" in done.stdout
    assert workspace.stage("train", 0).returncode == 0  # DVCLive asks for the commit
