import click
import numpy as np
import pytest
from click.testing import CliRunner

keras = pytest.importorskip("keras")

from deblur_keras import images  # noqa: E402
from deblur_keras.cli import main  # noqa: E402
from deblur_keras.cli.restoring import restoring_options  # noqa: E402
from deblur_keras.restorer import Restorer  # noqa: E402


@click.command()
@restoring_options
def command(**options):
    click.echo(options)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"tile": "auto", "overlap": None, "memory": None}),
        (["--tile", "none"], {"tile": None, "overlap": None, "memory": None}),
        (
            ["--tile", "1024", "--overlap", "0", "--memory", "1.5 GiB"],
            {"tile": 1024, "overlap": 0, "memory": 3 * 2**29},
        ),
    ],
)
def test_options_become_the_restorers_arguments(arguments, expected):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert result.output.strip() == str(expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tile", "big"], "'big' is none of auto, none and a whole number of pixels from 1"),
        (["--tile", "0"], "'0' is none of auto"),
        (["--overlap", "-1"], "-1 is not in the range x>=0"),
        (["--memory", "plenty"], "expected an amount of memory above 0"),
    ],
)
def test_wrong_ones_say_what_was_expected(arguments, message):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_deblur_hands_them_on(tmp_path, monkeypatch):
    blurred = keras.Input((None, None, 3))
    path = tmp_path / "negative.keras"
    keras.Model(blurred, keras.layers.Rescaling(-1.0)(blurred)).save(path)
    source = images.write(tmp_path / "a.png", np.zeros((40, 50, 3), np.uint8))
    given = {}
    initialize = Restorer.__init__

    def note(self, *arguments, **options):
        given.update(options)
        initialize(self, *arguments, **options)

    monkeypatch.setattr(Restorer, "__init__", note)
    arguments = ["deblur", str(source), "--model", str(path), "--tile", "16", "--memory", "3GB"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert (given["tile"], given["overlap"], given["memory"]) == (16, None, 3 * 10**9)
    assert (images.read(tmp_path / "a-restored.png") == 255).all()


def test_a_budget_that_is_too_small_is_the_files_failure(tmp_path):
    source = images.write(tmp_path / "a.png", np.zeros((400, 500, 3), np.uint8))
    result = CliRunner().invoke(main, ["deblur", str(source), "--memory", "1MB"])
    assert result.exit_code == 1
    assert "the memory budget of 0.00 GB leaves 0.00 GB" in " ".join(result.output.split())
    assert "give at least" in result.output
