"""Loads files that are no modules of the library: its scripts, benchmarks and examples."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def load(path):
    """Runs a file such as `scripts/write_docs.py`, and returns it as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
