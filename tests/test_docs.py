"""The pages drawn from the code are up to date, and their tables add up."""

import pytest
from loading import ROOT, load


@pytest.fixture(scope="module")
def writer():
    return load("scripts/write_docs.py")


@pytest.mark.parametrize("name", ["networks.md", "recipes.md"])
def test_pages_are_what_the_code_says(name, writer):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert writer.PAGES[name]() == written, "run `python scripts/write_docs.py`"
