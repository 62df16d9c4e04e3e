"""The ``README.md`` of a run folder: what was run, how to go on with it, how to use it."""

import math
import shlex
from pathlib import Path

from deblur_keras import __version__, curves, images

_FILES = (
    ("generator.keras", "the best generator so far, by {by}"),
    ("generator-last.keras", "the latest generator: after an epoch, or where the run was stopped"),
    ("blur_generator.keras", "the generator that blurs, of the same epoch as `generator.keras`"),
    ("blur_generator-last.keras", "the latest generator that blurs"),
    ("history.csv", "losses, PSNR and learning rate of each epoch, the first being 0"),
    ("curves.png", "the same, drawn"),
    ("samples/", "the same few crops, restored as the training went on"),
    ("samples.gif", "the same as a film"),
    ("tensorboard/", "the same for TensorBoard"),
    ("config.json", "all settings, which `--resume` reads"),
    ("state/", "checkpoints: all networks, their optimizers, random states, the place in the run"),
)


def write(config, directory, counts, saved=None, ended=""):
    """Writes the notes of a run as they are now.

    Args:
        config: A `run_config.RunConfig`.
        directory: The run folder, which is read for how far the run is.
        counts: Dictionary from kinds of images to how many there are.
        saved: Finished epochs, and how far the run is in words, as its last checkpoint has it, if
            it has stopped; see `TrainingState.saved`.
        ended: What ended it, if that was an error.

    Returns:
        The path, a `pathlib.Path`.

    Raises:
        OSError: If a file cannot be read or written.
    """
    directory = Path(directory)
    text = _text(config, directory, counts, saved, ended)
    return images.write_bytes(directory / "README.md", text.encode())


def _text(config, directory, counts, saved, ended):
    recipe, sources = config.recipe, config.sources
    path = directory.resolve()
    history = directory / "history.csv"
    columns = {"epoch": []} | (curves.read(history) if history.is_file() else {})
    done, place = saved or (max((int(epoch) + 1 for epoch in columns["epoch"]), default=0), "")
    generators = [name for name, _ in _FILES if (path / name).suffix == ".keras"]
    generators = [name for name in generators if (path / name).exists()]
    said = f"{done} of {recipe.epochs} epochs are done."
    if place and done < recipe.epochs:
        said = f"Stopped. The last checkpoint has: {place}, of {recipe.epochs} epochs."
    if "generator.keras" in generators:
        said += _best(columns)
    lines = [f"# {recipe.name}: {recipe.title}", "", said, ""]
    if ended:
        lines += ["It ended with an error:", "", f"> {ended}", ""]
    lines += ["## What was run", "", *_table(config, counts), ""]
    commands = [f"deblur-keras train --resume -o {_quoted(path)}"]
    if done >= recipe.epochs:
        commands[0] += f" --epochs {2 * recipe.epochs}  # it has finished; this makes it longer"
    else:
        commands[0] += "  # goes on exactly where the last checkpoint is"
    if generators:  # one that was stopped within its first epoch has only the last
        generator = _quoted(path / generators[0])
        commands.append(f"deblur-keras deblur photo.jpg --model {generator}")
        if pairs := sources.validation or sources.data:
            commands.append(f"deblur-keras evaluate {generator} --data {_quoted(pairs)}")
    if (path / "tensorboard").is_dir():
        commands.append(f"tensorboard --logdir {_quoted(path / 'tensorboard')}")
    lines += ["## How to go on, and how to use it", "", "```bash", *commands, "```", ""]
    by = "its gain over its blurred crops"
    if "val_psnr" in columns:
        by = "its PSNR on the validation pairs"
    elif recipe.trainer == "CycleGAN":
        by = "age: the latest"
    shown = [(name, what) for name, what in _FILES if (directory / name).exists()]
    lines += ["## What is what", ""]
    lines += [f"- `{name}`: {what.format(by=by)}" for name, what in shown]
    return "\n".join([*lines, ""])


def _best(columns):
    """Says in a sentence which epoch was the best, if that is known."""
    found = curves.best(columns)
    if not found:
        return ""
    epoch, psnr, blurred = found
    own = f"the blurred input's own is {blurred:.2f} dB" if math.isfinite(blurred) else ""
    if "val_psnr" in columns:
        where = f"on the validation pairs, in epoch {epoch}"
        return f" The best PSNR so far is **{psnr:.2f} dB** {where}{'; ' * bool(own)}{own}."
    if not own:
        return f" The best PSNR so far is **{psnr:.2f} dB**, in epoch {epoch}."
    gain = f"**{psnr - blurred:+.2f} dB** over the blurred input"
    both = f"{psnr:.2f} dB against {blurred:.2f} dB"
    return f" Epoch {epoch} did best on its crops so far: {gain}, {both}."


def _table(config, counts):
    """Lists what was run, a line each."""
    recipe, sources = config.recipe, config.sources
    rows = [("recipe", f"{recipe.name} ({recipe.authors})")]
    for name in ("data", "photographs", "blurred", "validation"):
        if value := getattr(sources, name):
            rows.append((name, f"`{value}`"))
    known = {"pairs": "pairs", "sharp": "sharp photographs", "blurred": "blurred photographs"}
    told = [f"{counts[name]} {what}" for name, what in known.items() if counts.get(name)]
    each = f" of {config.steps_per_epoch} updates" if config.steps_per_epoch else ""
    rows += [
        ("images", ", ".join(told) or "none"),
        ("generator", recipe.generator.kind + (f", from {config.start}" if config.start else "")),
        ("loss", recipe.objective()),
        ("crops", f"{recipe.crop}x{recipe.crop} px, {recipe.batch} an update"),
        ("epochs", f"{recipe.epochs}{each}, learning rate {recipe.learning_rate:g} at first"),
        ("seed", str(config.seed)),
        ("version", f"deblur_keras {__version__}"),
    ]
    own = [
        f"{name}={value}" for name, value, source in recipe.rows() if source.kind == "set by you"
    ]
    if own:
        rows.insert(1, ("changed", ", ".join(f"`{entry}`" for entry in own)))
    return [f"- {name}: {value}" for name, value in rows]


def _quoted(path):
    return shlex.quote(str(path))
