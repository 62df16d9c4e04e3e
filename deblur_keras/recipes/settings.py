"""Where overrides come from: a TOML file, and ``FIELD=VALUE`` texts."""

import tomllib
from pathlib import Path

from deblur_keras.recipes.checks import RecipeError


def read_toml(path):
    """Reads the overrides of a recipe from a TOML file.

    Args:
        path: The file.

    Returns:
        A dict for `Recipe.override`.

    Raises:
        RecipeError: If it is no TOML.
        OSError: If it cannot be read.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(
            f"{path} is not readable as TOML ({error}). Expected lines such as `batch = 4`, and "
            "tables such as `[generator]`; `deblur-keras recipes show NAME --toml` prints all."
        ) from error


def read_settings(settings):
    """Reads overrides from texts such as ``"batch=4"`` and ``"generator.filters=32"``.

    Args:
        settings: The texts. A value is read as TOML; a bare word is a text.

    Returns:
        A dict for `Recipe.override`.

    Raises:
        RecipeError: If a text has no ``=``.

    Example:
        >>> read_settings(["batch=4", "generator=dense", "generator.filters=16"])
        {'batch': 4, 'generator': {'kind': 'dense', 'filters': 16}}
    """
    result = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise RecipeError(
                f"Expected FIELD=VALUE, such as batch=4 or generator.filters=32; got {setting!r}."
            )
        part, _, option = name.strip().partition(".")
        value = _value(text.strip())
        if not option and isinstance(result.get(part), dict) and isinstance(value, str):
            option = "kind"  # `generator=dense` beside options of the generator
        if not option:
            result[part] = value
            continue
        before = result.get(part, {})
        result[part] = before if isinstance(before, dict) else {"kind": before}
        result[part][option] = value
    return result


def _value(text):
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
