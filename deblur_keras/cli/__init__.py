"""The command line, `deblur-keras COMMAND`: one click command a file.

A command's module is imported when the command is called, and imports what is heavy inside its
function, so that help and wrong usage answer at once.
"""

import importlib
import os

import click

import deblur_keras

# Before anything imports TensorFlow: its start-up notes are of no use to a user, its errors are.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_COMMANDS = {
    "deblur": "Restore blurred photographs and videos: files, folders, patterns.",
    "train": "Train a paper's system on pairs, on sharp photographs, or without partners.",
    "recipes": "List the papers' systems that train knows, with their sources.",
    "evaluate": "Score a model on pairs of blurred and sharp photographs.",
    "compare": "Score two models on the same pairs: who wins, and is it chance?",
    "blur": "Make blurred/sharp pairs from sharp photographs.",
    "average": "Make blurred/sharp pairs from the frames of a fast camera.",
    "data": "Check training data, and show it as the network sees it.",
    "demo": "Restore sample photographs and show what it did.",
    "export": "Write a model in a form that serves without deblur_keras.",
}


class _Commands(click.Group):
    """A group that knows its commands by name and imports only the one that is called."""

    def list_commands(self, context):
        return list(_COMMANDS)

    def get_command(self, context, name):
        if name not in _COMMANDS:
            return None
        return getattr(importlib.import_module(f"{__name__}.{name}"), name)

    def format_commands(self, context, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(deblur_keras.__version__, prog_name="deblur-keras")
def main():
    """Removes motion blur from photographs.

    \b
    Examples:
        deblur-keras deblur photo.jpg
        deblur-keras deblur holiday/ -o restored/
        deblur-keras train --data pairs/ -o runs/first
        deblur-keras evaluate runs/first/generator.keras --data pairs/

    `deblur-keras COMMAND --help` explains one command.
    """  # noqa: D301 - click wants the real \b
