"""The configuration of a training run, kept in its folder, and what may change when it goes on."""

import dataclasses
import json
from pathlib import Path

from deblur_keras import __version__, feeds, images, locks, recipes
from deblur_keras.trainers import checkpoints

FORMAT = 2  # of config.json; 1 had no such number

# Where data lie and are kept may change between two parts of a run; what was trained how may not.
_MAY_CHANGE = (
    *("epochs", "sample_every", "data", "photographs", "blurred", "validation", "vgg"),
    *("cache", "max_bad", "checkpoint_every", "checkpoint_minutes"),
    *("max_bad_steps", "critic_limit", "devices"),
)
# Fields of recipes that have an option of their own; the others are changed by --set.
_OPTIONS = (
    *("batch", "crop", "scale", "crops_per_image", "paths", "frames", "duty", "rotation", "grid"),
    *("highlights", "shot_noise", "read_noise", "jpeg", "epochs", "learning_rate", "precision"),
)


class RunError(ValueError):
    """A run that cannot be started or continued as asked."""


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """What a run is made of.

    Attributes:
        recipe: The system and how it is trained, a `recipes.Recipe`.
        sources: Where the data lie, a `feeds.Sources`.
        steps_per_epoch: Updates that count as an epoch; one pass over the data if not given.
        start: Name of weights that ship, or a ``.keras`` file, with whose weights the generator
            begins; random ones if not given.
        vgg: File of VGG weights for the perceptual loss; Keras's own if not given.
        sample_every: Generator updates between two sheets in ``samples/``.
        seed: Seed of weights, data and dropout.
        cache: Where decoded images are kept: True for memory, or a folder; see `datasets.paired`.
        max_bad: Images that may turn out unusable before training stops.
        max_bad_steps: Bad steps in a row that end the run; see `trainers.StopOnDivergence`.
        critic_limit: The largest size of the critic's loss in a step that is not bad.
        deterministic: Whether TensorFlow must use ways to compute that give the same weights each
            time, as on the CPU they do anyway. It holds for the rest of the process.
        checkpoint_every: Updates between two checkpoints within an epoch; None for no such limit.
        checkpoint_minutes: Minutes between two; None for no such limit.
        devices: Where to train, as `trainers.devices.choose` takes it. They share each batch.
    """

    recipe: recipes.Recipe
    sources: feeds.Sources = dataclasses.field(default_factory=feeds.Sources)
    steps_per_epoch: int | None = None
    start: str | None = None
    vgg: str | None = None
    sample_every: int = 500
    seed: int = 0
    cache: bool | str = False
    max_bad: int = 10
    max_bad_steps: int = 10
    critic_limit: float = 1e4
    deterministic: bool = False
    checkpoint_every: int | None = None
    checkpoint_minutes: float | None = 5.0
    devices: str | None = None

    def values(self):
        """Returns the configuration as plain values: what ``config.json`` keeps."""
        values = {name: getattr(self, name) for name in _PLAIN}
        recipe = {"name": self.recipe.name, **self.recipe.values()}
        return {"recipe": recipe, **dataclasses.asdict(self.sources), **values}


_PLAIN = (
    *("steps_per_epoch", "start", "vgg", "sample_every", "seed", "cache", "max_bad"),
    *("checkpoint_every", "checkpoint_minutes", "max_bad_steps", "critic_limit", "devices"),
    "deterministic",
)
_SOURCES = tuple(field.name for field in dataclasses.fields(feeds.Sources))


def write(config, directory):
    """Writes the configuration of a run, from which on the folder can be continued.

    Args:
        config: A `RunConfig`.
        directory: The run folder.

    Raises:
        OSError: If it cannot be written.
    """
    values = {"deblur_keras": __version__, "format": FORMAT, **config.values()}
    images.write_bytes(_file(directory), json.dumps(values, indent=2).encode() + b"\n")


def read(directory):
    """Reads the configuration of a run.

    Args:
        directory: The run folder.

    Returns:
        A `RunConfig`.

    Raises:
        RunError: If there is none, or one of another version of the library.
    """
    path = _file(directory)
    if not path.is_file():
        raise RunError(f"No run in {directory}: {path.name} is missing. Start it without --resume.")
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise RunError(f"{path} is not readable as JSON ({error}); restore it.") from error
    if not isinstance(values, dict):
        raise RunError(f"{path} does not hold the fields of a run; restore it.")
    version = values.pop("deblur_keras", "unknown")
    if values.pop("format", 1) > FORMAT:
        raise RunError(
            f"{path} was written by deblur_keras {version}, which is newer than {__version__}. "
            "Continue the run with that version."
        )
    if unknown := sorted(set(values) - {"recipe", *_SOURCES, *_PLAIN}):
        raise RunError(
            f"{path} was written by deblur_keras {version} and has fields that {__version__} does "
            f"not know: {', '.join(unknown)}. Continue the run with that version."
        )
    try:
        stored = dict(values["recipe"])
        recipe = recipes.get(stored.pop("name")).override(stored)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} was written by deblur_keras {version} and its recipe is not one that "
            f"{__version__} knows: {error} Continue the run with that version."
        ) from error
    sources = feeds.Sources(**{name: values[name] for name in _SOURCES if name in values})
    plain = {name: values[name] for name in _PLAIN if name in values}
    return RunConfig(recipe, sources, **plain)


def check_folder(config, directory, resume):
    """Checks that a run can be started in a folder, or continued there.

    Args:
        config: Its `RunConfig`.
        directory: The folder.
        resume: Whether it is to be continued.

    Raises:
        RunError: If it cannot be.
    """
    if not resume:
        if directory.exists() and any(map(_counts_as_file, directory.iterdir())):
            there = "Continue the run in it with --resume, or" if _file(directory).exists() else ""
            choose = f"{there} choose another folder.".strip()
            raise RunError(f"{directory} is not empty. {choose[0].upper()}{choose[1:]}")
        return
    before, after = (_flat_values(entry) for entry in (read(directory), config))
    changed = [
        f"{_option(name)} was {_shown(before.get(name))}, now {_shown(after.get(name))}"
        for name in {**before, **after}
        if name not in _MAY_CHANGE and before.get(name) != after.get(name)
    ]
    if changed:
        raise RunError(
            f"The run in {directory} cannot be continued with other settings: {'; '.join(changed)}."
            " Leave them out to go on with it as it is, or start another run in a folder of its "
            "own."
        )
    done = checkpoints.finished_epochs(directory / "state")
    if done >= config.recipe.epochs:
        raise RunError(checkpoints.finished(directory, done))
    for left in directory.rglob(".deblur-*"):
        left.unlink(missing_ok=True)


def _counts_as_file(path):
    """Says whether this is more than the lock, or what a killed run left half written."""
    return path.name != locks.NAME and not path.name.startswith(".deblur-")


def _option(name):
    """Names a field of a configuration as it is given on the command line."""
    if name in _OPTIONS or name in _PLAIN or name in _SOURCES:
        return f"--{name.replace('_', '-')}"
    return "RECIPE" if name == "name" else f"--set {name.removesuffix('.kind')}"


def _shown(value):
    if value is None:
        return "not given"
    return "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _flat_values(config):
    values = config.values()
    return recipes.flat({**values.pop("recipe"), **values})


def _file(directory):
    return Path(directory) / "config.json"
