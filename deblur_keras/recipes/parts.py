"""The parts of a recipe: what can be chosen for each, and the options that each choice has."""

import dataclasses
import difflib
import importlib
import inspect
from collections.abc import Mapping
from types import MappingProxyType

# What a part can be, and what builds it. By name, so that listing recipes loads no TensorFlow.
_BUILDERS = {
    "generator": {
        "resnet": "deblur_keras.generators.resnet_generator",
        "dense": "deblur_keras.generators.dense_generator",
        "unet": "deblur_keras.generators.unet_generator",
        "compact": "deblur_keras.generators.compact_generator",
    },
    "critic": {
        "patch": "deblur_keras.critics.patch_critic",
        "cyclegan": "deblur_keras.critics.cyclegan_discriminator",
        "dense-head": "deblur_keras.critics.dense_head_discriminator",
    },
    "adversarial": {
        "wgan-gp": "deblur_keras.trainers.WassersteinGP",
        "least-squares": "deblur_keras.trainers.LeastSquares",
        "minimax": "deblur_keras.trainers.Minimax",
    },
    "content": {
        "perceptual": "deblur_keras.perceptual.PerceptualLoss",
        "mse": "deblur_keras.losses.mean_squared_error",
        "mae": "deblur_keras.losses.mean_absolute_error",
        "charbonnier": "deblur_keras.losses.charbonnier",
        "negative_psnr": "deblur_keras.losses.negative_psnr",
    },
}
# Arguments that are not a matter of the recipe, or that it fills in by itself.
_NOT_OPTIONS = {"name", "size", "weights", "sharp", "restored", "from_logits"}


class RecipeError(ValueError):
    """Says which field of a recipe is wrong, and what it could be."""


@dataclasses.dataclass(frozen=True)
class Part:
    """Holds which of several a part of a recipe is, with its options.

    Attributes:
        role: ``"generator"``, ``"critic"``, ``"adversarial"`` or ``"content"``.
        kind: Name of the choice, such as ``"resnet"``.
        options: Arguments of what builds it, by name.
    """

    role: str
    kind: str
    options: Mapping

    def builder(self):
        """Returns the function or class that builds this part."""
        module, _, name = _BUILDERS[self.role][self.kind].rpartition(".")
        return getattr(importlib.import_module(module), name)

    def override(self, change):
        """Makes a part with some options changed, or another kind with its own defaults.

        Args:
            change: A dict of options, of which ``"kind"`` may be one, or the name of a kind.

        Returns:
            A `Part`.

        Raises:
            RecipeError: If a kind or an option is unknown, or a value of another type.
        """
        if isinstance(change, str):
            change = {"kind": change}
        if not isinstance(change, Mapping):
            raise RecipeError(
                f"{self.role} must be the name of a kind or a table of options; received {change!r}"
            )
        options = dict(change)
        kind = options.pop("kind", self.kind)
        check_known(kind, _BUILDERS[self.role], f"kind of {self.role}")
        base = Part(self.role, kind, self.options if kind == self.kind else {})
        valid = _signature(base.builder())
        for name, value in options.items():
            check_known(name, valid, f"option of the {kind} {self.role}")
            options[name] = _like(value, valid[name], f"{self.role}.{name}")
        return Part(self.role, kind, MappingProxyType({**valid, **base.options, **options}))

    def __str__(self):
        """Shows the part as a call."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.kind}({shown})"


def check_known(name, known, what):
    """Checks a name against the known ones.

    Args:
        name: What was given.
        known: The valid names.
        what: What they name, for the message.

    Raises:
        RecipeError: If it is none of them, naming the closest and all.
    """
    if name in known:
        return
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f"Valid: {', '.join(known)}." if known else "It has none."
    raise RecipeError(f"Unknown {what}: {name!r}.{hint} {listed}")


def _signature(builder):
    """Returns the options of a builder with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(builder).parameters.items()
        if name not in _NOT_OPTIONS
    }


def _like(value, default, name):
    """Checks a value against the type of the default; whole numbers pass for fractions."""
    if isinstance(default, tuple) and isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise RecipeError(
            f"{name} must be {_TYPES.get(type(default), type(default).__name__)}, like "
            f"{default!r}; received {value!r}."
        )
    return value


_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
}
