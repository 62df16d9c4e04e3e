"""The rules of ARCHITECTURE.md that can be checked."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deblur_keras

PACKAGE = Path(deblur_keras.__file__).parent
FLOORS = {
    **dict.fromkeys(["layers", "losses", "metrics", "images", "registration", "sheets"], 1),
    **dict.fromkeys(["averaging", "frames"], 1),
    **dict.fromkeys(["memory", "scratch", "tiles", "planning", "locks", "films"], 1),
    **dict.fromkeys(["blur", "exposures", "trajectories", "shakes", "camera"], 1),
    **dict.fromkeys(
        ["video", "overlap", "portable", "kernels", "wire", "ensembles", "uncertainty"], 1
    ),
    **dict.fromkeys(["generators", "critics", "perceptual", "datasets", "photographs"], 2),
    **dict.fromkeys(["models", "windows"], 2),
    **dict.fromkeys(["trainers", "restorer", "tiled", "engines"], 3),
    **dict.fromkeys(["evaluation", "export", "recipes", "feeds", "runs"], 4),
    **dict.fromkeys(["curves", "run_config", "run_notes"], 4),
    **dict.fromkeys(["cli", "demo"], 5),
}
# On one floor: pixels are converted in images, blur is in parts, a command is its
# function's face, a run is a recipe and its feed, both
# in its configuration, a restorer restores in tiles and by engines, a
# model is described by what its layers say, an uncertainty map is an image, a run is drawn
# with the evaluation's tools.
SIBLINGS = {
    *(("metrics", "images"), ("blur", "trajectories"), ("cli", "demo")),
    *(("averaging", "blur"), ("averaging", "images"), ("frames", "images")),
    *(("video", "images"), ("video", "frames")),
    *(("blur", "camera"), ("blur", "shakes"), ("shakes", "trajectories")),
    *(("blur", "exposures"), ("shakes", "exposures"), ("exposures", "trajectories")),
    *(("runs", "recipes"), ("runs", "feeds"), ("restorer", "tiled")),
    *(("runs", "curves"), ("runs", "run_notes"), ("run_notes", "curves"), ("films", "images")),
    *(("curves", "evaluation"), ("runs", "run_config")),
    *(("run_config", "recipes"), ("run_config", "feeds")),
    *(("restorer", "engines"), ("models", "generators"), ("uncertainty", "images")),
    *(
        ("planning", "memory"),
        ("planning", "tiles"),
        ("kernels", "portable"),
        ("kernels", "wire"),
        ("portable", "wire"),
    ),
}
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deblur_keras"):
            rest = node.module.split(".")[1:]
            yield from rest[:1] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("deblur_keras."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_from_floors_below_alone(path):
    part = part_of(path)
    if part == "weights":
        return
    for other in set(imported_parts(path)) & set(FLOORS):
        allowed = other == part or FLOORS[other] < FLOORS[part] or (part, other) in SIBLINGS
        assert allowed, f"{part} (floor {FLOORS[part]}) imports {other} (floor {FLOORS[other]})"


def test_every_part_has_a_floor():
    assert {part_of(path) for path in FILES} - {"weights"} == set(FLOORS)


@pytest.mark.parametrize(
    "statement",
    [
        "import deblur_keras",
        "from deblur_keras import blur, images, sheets, video, datasets; datasets.pairs",
        "from deblur_keras.cli import main, blur",
    ],
)
def test_importing_does_not_load_tensorflow(statement):
    check = f"{statement}; import sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check]).returncode == 0


@pytest.mark.parametrize("name", deblur_keras.__all__)
def test_every_public_name_resolves(name):
    assert getattr(deblur_keras, name) is not None


def test_the_top_level_scripts_are_not_installed():
    # `evaluate` is another well-known package; only console scripts may carry these names.
    found = [path.name for path in PACKAGE.parent.glob("*.py")]
    assert sorted(found) == ["deblur.py", "evaluate.py", "train.py"]
    from importlib.metadata import files

    installed = {str(file) for file in files("deblur_keras") or []}
    assert not installed & set(found)
