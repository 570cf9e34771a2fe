"""What README.md and docs/ show runs, and prints what they say."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.conftest import NEED_THE_CHECKOUT, ONCE_IS_ENOUGH
from tests.support.documents import blocks, check_page, prepare

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]


def read(page):
    return page.read_text(encoding="utf-8")


def runs(page):
    return any(blocks(page))


def needs_movielens(page):
    return any("ml-1m.zip" in block.code for block in blocks(page))


def as_cases(pages):
    for page in pages:
        marks = [pytest.mark.realdata] if needs_movielens(page) else []
        yield pytest.param(page, id=page.name, marks=marks)


def labels(picture):
    """What a picture shows, in words and numbers; where letters stand depends on the fonts."""
    return re.findall(r'aria-label="([^"]*)"', read(picture))


@pytest.mark.parametrize("page", list(as_cases(filter(runs, PAGES))))
def test_a_page_does_what_it_says(page, request, tmp_path, monkeypatch):
    if needs_movielens(page):
        archive = request.getfixturevalue("real_data") / "ml-1m.zip"
        (tmp_path / archive.name).symlink_to(archive)
    monkeypatch.chdir(tmp_path)
    check_page(page, prepare(tmp_path))
    for picture in tmp_path.glob("*.svg"):
        assert labels(picture) == labels(page.parent / picture.name), picture.name


def test_a_page_that_says_something_else_is_found_out(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1 + 1)\n```\n\n```text\n3\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md, line 2: prints\n2"):
        check_page(page, {})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_imports_rooms_and_nothing_deeper(page):
    code = "\n".join(block.code for block in blocks(page))
    for module in re.findall(r"^(?:from|import) (mascot_jax[\w.]*)", code, re.MULTILINE):
        assert module.count(".") <= 1, module


def test_the_reference_has_what_the_rooms_offer():
    documented = set(re.findall(r"mascot_jax\.(\w+)\.(\w+)", read(ROOT / "docs/api.md")))
    rooms = {room: import_module(f"mascot_jax.{room}") for room, _ in documented}
    offered = {(room, name) for room, module in rooms.items() for name in module.__all__}
    for room, name in offered:
        assert hasattr(rooms[room], name), (room, name)
    assert documented <= offered
    missing = {(room, name) for room, name in offered - documented if room != "settings"}
    assert missing == {("mf", "MatrixFactorization")}  # there as the package's own


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)#\s]+)", read(page)):
        assert (page.parent / target).exists(), target


def test_what_is_not_run_against_a_wheel_is_there():
    for name in NEED_THE_CHECKOUT + ONCE_IS_ENOUGH:
        assert (ROOT / "tests" / name).exists(), name


def test_every_page_is_in_the_index():
    index = read(ROOT / "docs/index.md")
    listed = set(re.findall(r"^\w+$", index, re.MULTILINE))
    assert {page.stem for page in PAGES[1:]} - {"index"} <= listed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_that_are_named_exist(page):
    params = YAML(typ="safe").load(ROOT / "params.yaml")
    for path in re.findall(r"-S '?([a-z_.]+)=", read(page)):
        block = params
        for part in path.split("."):
            assert part in block, path
            block = block[part]
