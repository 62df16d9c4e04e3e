"""The parts of a recipe: what can be chosen for each, and the options that each choice has."""

import dataclasses
import importlib
import inspect
from collections.abc import Mapping

from deblur_keras.recipes.checks import RecipeError, check_known, checked_option

# What a part can be, and what builds it. By name, so that listing recipes loads no TensorFlow.
_BUILDERS = {
    "generator": {
        "resnet": "deblur_keras.generators.resnet_generator",
        "dense": "deblur_keras.generators.dense_generator",
        "unet": "deblur_keras.generators.unet_generator",
        "compact": "deblur_keras.generators.compact_generator",
        "quarter": "deblur_keras.generators.quarter_generator",
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
OF_ONE_SIZE = ("dense-head",)  # a dense layer fits images of one size alone
# Arguments that are not a matter of the recipe, or that it fills in by itself.
_NOT_OPTIONS = {"name", "size", "weights", "sharp", "restored", "from_logits"}


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
        left = [name for name in options if name in self.options and name not in valid]
        if kind != self.kind and left:
            raise RecipeError(
                f"The {kind} {self.role} has no {', '.join(left)}: options of the {self.kind} one; "
                "leave them out."
            )
        for name, value in options.items():
            check_known(name, valid, f"option of the {kind} {self.role}")
            options[name] = checked_option(f"{self.role}.{name}", value, valid[name])
        return Part(self.role, kind, {**valid, **base.options, **options})

    def __str__(self):
        """Shows the part as a call."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.kind}({shown})"


def _signature(builder):
    """Returns the options of a builder with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(builder).parameters.items()
        if name not in _NOT_OPTIONS
    }
