"""The papers' systems as recipes: ``recipes.get("cyclegan").build()``.

A `Recipe` is data: networks, losses, optimizers, schedule, crops and mix, each field with the place
in the paper that states it, or the reason for what was chosen where the paper is silent. `NAMES`
lists them; ``deblur-keras recipes`` prints them.
"""

import copy

from deblur_keras.recipes.checks import BLUR, RecipeError, check_known
from deblur_keras.recipes.papers import RECIPES
from deblur_keras.recipes.parts import Part
from deblur_keras.recipes.recipe import Recipe, Reported, Source, flat
from deblur_keras.recipes.settings import read_settings, read_toml

NAMES = tuple(RECIPES)

__all__ = [
    "BLUR",
    "NAMES",
    "Part",
    "Recipe",
    "RecipeError",
    "Reported",
    "Source",
    "flat",
    "get",
    "read_settings",
    "read_toml",
]


def get(name):
    """Finds a recipe by name.

    Args:
        name: One of `NAMES`; underscores stand for hyphens too.

    Returns:
        A `Recipe`.

    Raises:
        RecipeError: If there is none of that name.

    Example:
        >>> get("dense-deblurgan").generator.kind
        'dense'
    """
    hyphenated = str(name).replace("_", "-")
    check_known(hyphenated, NAMES, "recipe")
    return copy.deepcopy(RECIPES[hyphenated])  # whatever is done to it, the next is as here
