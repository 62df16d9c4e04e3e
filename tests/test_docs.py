"""The pages drawn from the code are up to date, and their tables add up."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def writer():
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "scripts" / "write_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["networks.md", "recipes.md"])
def test_pages_are_what_the_code_says(name, writer):
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert writer.PAGES[name]() == written, "run `python scripts/write_docs.py`"
