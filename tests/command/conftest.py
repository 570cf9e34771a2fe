"""The command in this process, and a folder of files to run it on."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mascot_jax.command.main import main
from tests.support.click_files import criteo_lines

USERS, ITEMS = 60, 40
SMALL = ("--factors", "8", "--epochs", "3")
"""Settings of trainings whose quality is of no interest: quick, and one compilation."""


@pytest.fixture
def mascot(capsys):
    """Run the command in this process: its exit code, and what it printed where."""

    def run(*argv):
        capsys.readouterr()
        try:
            code = main([str(arg) for arg in argv])
        except SystemExit as ended:  # argparse's way
            code = ended.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def mascot_json(mascot):
    """Run the command with --json, which must succeed; return the objects, one per line."""

    def run(*argv):
        code, out, err = mascot(*argv, "--json")
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    return run


def planted(count=1500, seed=0):
    """Ratings from 1 to 5 that factors can learn: user ids from 1, item ids from 101."""
    rng = np.random.default_rng(seed)
    pairs = rng.choice(USERS * ITEMS, count, replace=False)
    user, item = np.divmod(pairs, ITEMS)
    taste = rng.normal(size=(USERS, 2)) @ rng.normal(size=(2, ITEMS))
    level = rng.normal(size=USERS)[user] + rng.normal(size=ITEMS)[item]
    rating = np.clip(np.round(3 + level + taste[user, item]), 1, 5)
    return pl.DataFrame({"user": user + 1, "item": item + 101, "rating": rating})


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder with every file that the examples of --help name, and a model of them."""
    folder = tmp_path_factory.mktemp("made")
    ratings = planted()
    train, test = ratings.head(1300), ratings.tail(200)
    train.write_csv(folder / "ratings.csv")
    timed = train.with_columns(timestamp=pl.int_range(pl.len()) + 978300000)
    timed.write_csv(folder / "timed.csv")
    test.write_csv(folder / "test.csv")
    test.select("user", "item").write_csv(folder / "pairs.csv")
    orders = train.rename({"user": "customer", "item": "article", "rating": "stars"})
    orders.write_parquet(folder / "orders.parquet")
    (folder / "users.txt").write_text("4\n5\n")
    (folder / "new.txt").write_text("101\n102\n103\n")
    model = folder / "model.safetensors"
    assert main(["train", str(folder / "ratings.csv"), "-o", str(model), *SMALL]) == 0
    return folder


def planted_clicks(count=700, seed=0):
    """Clicks that a model can learn: a number, and two fields of a few ids."""
    rng = np.random.default_rng(seed)
    age, site, ad = (
        rng.integers(18, 80, count),
        rng.integers(0, 5, count),
        rng.integers(0, 4, count),
    )
    logit = rng.normal(size=(5, 4))[site, ad] * 2 + (age - 49) / 30
    return pl.DataFrame(
        {
            "label": (rng.random(count) < 1 / (1 + np.exp(-logit))).astype(np.uint8),
            "age": age,
            "site": [f"site {number}" for number in site],
            "ad": ad,
        }
    )


@pytest.fixture(scope="session")
def made_clicks(tmp_path_factory) -> Path:
    """A folder with every file that the examples of ``mascot clicks`` name, and a model."""
    folder = tmp_path_factory.mktemp("clicks")
    clicks = planted_clicks()
    clicks.write_csv(folder / "clicks.csv")
    clicks.drop("label").head(20).write_csv(folder / "new_clicks.csv")
    for name in ("train.txt", "rows.tsv"):
        (folder / name).write_bytes(criteo_lines(200))
    model = folder / "clicks.safetensors"
    small = ["--dense", "age", "--epochs", "1", "--bottom", "16", "--top", "16"]
    assert main(["clicks", "train", str(folder / "clicks.csv"), "-o", str(model), *small]) == 0
    return folder


@pytest.fixture
def model(made) -> Path:
    return made / "model.safetensors"
