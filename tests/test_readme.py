"""What README shows must work: its commands parse, its Python runs."""

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from deblur_keras import Restorer, blur, generators, images, models
from deblur_keras.cli import main
from deblur_keras.export import export_saved_model

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def commands():
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.startswith("deblur-keras ")]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with everything that README's examples name."""
    monkeypatch.chdir(tmp_path)
    photograph = skimage.data.astronaut()[:96, 160:288]
    images.write("photo.jpg", photograph)
    images.write("holiday/one.jpg", photograph)
    images.write("blurred/two.png", photograph[::-1])
    kernels = blur.random_psfs(2, seed=0)
    for index, kernel in enumerate(kernels):
        images.write(f"pairs/sharp/{index}.png", photograph)
        images.write(f"pairs/blur/{index}.png", blur.motion_blur(photograph, kernel))
    Path("pairs/blur.csv").touch()
    Path("shaken").mkdir()
    Path("clip.mp4").touch()
    Path("mine.toml").write_text("batch = 2")
    Path("GOPRO_Large").mkdir()
    for name in ("yolov8n.onnx", "coco.names"):
        Path(name).touch()
    return tmp_path


@pytest.mark.parametrize("line", commands())
def test_commands_parse(line, workplace):
    _, name, *arguments = shlex.split(line, comments=True)
    command = main.get_command(None, name)
    # Parses and checks every option and path, without running the command.
    with command.make_context(name, arguments):
        pass


def test_every_command_is_shown():
    shown = {shlex.split(line)[1] for line in commands()}
    assert shown == set(main.list_commands(None)) - {"demo"}


def test_python_runs(workplace, monkeypatch):
    small = generators.compact_generator((4, 8), (1, 1), kernel=3)
    monkeypatch.setattr(models, "WEIGHTS", workplace / "weights")
    (workplace / "weights").mkdir()
    small.save(workplace / "weights" / "default.keras")
    export_saved_model(small, "served/1")
    names = {}
    for block in blocks("python"):
        exec(compile(block, str(README), "exec"), names)
    # The SavedModel and the Restorer are the same arithmetic, up to rounding.
    expected = Restorer(small)(names["photo"])
    served = np.asarray(names["restored"])[0]
    assert np.abs(served.astype(int) - expected).max() <= 1
    assert Path("sharp.png").exists()


def test_links_lead_somewhere():
    prose = re.sub(r"```.*?```", "", README.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#]+)\)", prose):
        assert (README.parent / target).exists(), target


def test_make_targets_exist():
    makefile = (README.parent / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", README.read_text()):
        if target in ("demo", "test", "install", "benchmarks"):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_scripts_at_the_top_are_the_commands():
    for name in ("train", "deblur", "evaluate"):
        path = README.parent / f"{name}.py"
        assert len(path.read_text().splitlines()) <= 10
        assert os.access(path, os.R_OK)
