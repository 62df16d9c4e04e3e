"""What the values of a recipe's fields must be, and how that is said."""

import difflib
import math

from deblur_keras.trajectories import PATHS


class RecipeError(ValueError):
    """Says which field of a recipe is wrong, and what it could be."""


def check_known(name, known, what):
    """Checks a name against the known ones.

    Args:
        name: What was given.
        known: The valid names.
        what: What they name, for the message.

    Raises:
        RecipeError: If it is none of them, naming the closest and all.
    """
    if isinstance(name, str) and name in known:
        return
    close = difflib.get_close_matches(str(name), list(known), n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = f"Valid: {', '.join(known)}." if known else "It has none."
    raise RecipeError(f"Unknown {what}: {name!r}.{hint} {listed}")


def checked(name, value):
    """Checks and converts the value of a field.

    Args:
        name: The field, one of `FIELDS`.
        value: What was given; whole numbers pass for fractions, lists for tuples.

    Returns:
        The value as the recipe holds it.

    Raises:
        RecipeError: If the value is out of range or of another type.

    Example:
        >>> checked("learning_rate", 1), checked("synthetic_to_real", [2, 1]), checked("jpeg", 80)
        (1.0, (2, 1), 80)
    """
    convert, test, expected = FIELDS[name]
    if not test(value):
        raise RecipeError(f"{name} must be {expected}; received {shortened(value)}.")
    return convert(value)


def checked_option(name, value, default):
    """Checks the value of a part's option against its default, and converts it.

    Args:
        name: The option, for the message.
        value: What was given.
        default: What the builder has as a default, which tells the type.

    Returns:
        The value: a float for a whole number where the default is one, a tuple for a list.

    Raises:
        RecipeError: If it is of another type, or no finite number.

    Example:
        >>> checked_option("generator.widths", [8, 16], default=(24, 48))
        (8, 16)
    """
    if isinstance(default, tuple) and isinstance(value, list | tuple) and value:
        return tuple(checked_option(name, element, default[0]) for element in value)
    if isinstance(default, float) and _is_number(value):
        return float(value)
    if type(value) is not type(default) or isinstance(value, float | tuple):
        raise RecipeError(
            f"{name} must be {_TYPES[type(default)]}, like {default!r}; received "
            f"{shortened(value)}."
        )
    return value


def shortened(value, length=60):
    """Shows a value in a message, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= length else f"{shown[:length]}..."


_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    tuple: "a list",
}


def _is_number(value):
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond all floats
        return False


def _number(least, most=math.inf, above=False, below=False):
    def test(value):
        return (
            _is_number(value)
            and (least < value if above else least <= value)
            and (value < most if below else value <= most)
        )

    expected = f"a finite number {'above' if above else 'of at least'} {least}"
    if most < math.inf:
        expected += f" and {'below' if below else 'at most'} {most}"
    return float, test, expected


def _whole(least, most=math.inf):
    def test(value):
        return isinstance(value, int) and _is_number(value) and least <= value <= most

    expected = f"a whole number of at least {least}"
    return int, test, expected if most == math.inf else f"{expected} and at most {most}"


def _is_ratio(value):
    test = _number(0, above=True)[1]
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(test, value))


def _span(off, least, most, whole=False):
    """A number, or two between which one is drawn each time; also the number that is off."""
    convert, test, expected = _whole(least, most) if whole else _number(least, most)

    def is_span(value):
        if isinstance(value, list | tuple):
            return len(value) == 2 and all(map(test, value)) and value[0] <= value[1]
        return test(value) or (type(value) is int and value == off)

    def as_span(value):
        return tuple(map(convert, value)) if isinstance(value, list | tuple) else convert(value)

    none = f"{off} for none, " if off < least else ""
    return as_span, is_span, f"{none}{expected}, or [low, high] of such, the lower one first"


def _or(word, field):
    """What a field takes, or a word."""
    convert, test, expected = field
    return (
        lambda value: value if value == word else convert(value),
        lambda value: value == word or test(value),
        f"'{word}' or {expected}",
    )


# What photographs that are blurred at random go through.
BLUR = (
    *("max_length", "intensity", "late", "frames", "duty", "paths"),
    *("objects", "defocus", "rotation", "grid"),
    *("highlights", "shot_noise", "read_noise", "jpeg"),
)
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
# How a field is converted, what it must be, and how that is said. SSIM needs crops of 11 pixels,
# and the networks' reflections and strides a little more.
FIELDS = {
    "adversarial_weight": _number(0),
    "content_weight": _number(0),
    "total_variation": _number(0),
    "critic_steps": _whole(1),
    "cycle_weight": _number(0),
    "identity_weight": _number(0),
    "pool_size": _whole(0),
    "init": _or("own", (*_number(0, above=True)[:2], "a standard deviation above 0")),
    "learning_rate": _number(0, above=True),
    "beta_1": _number(0, most=1, below=True),
    "beta_2": _number(0, most=1, below=True),
    "epsilon": _number(0, above=True),
    "epochs": _whole(1),
    "warmup_epochs": _whole(0),
    "precision": (
        str,
        lambda value: value in PRECISIONS,
        f"one of {', '.join(PRECISIONS)}",
    ),
    "accumulate": _whole(1),
    "ema": _number(0, most=1, below=True),
    "clip_norm": _number(0),
    "constant_share": _number(0, most=1),
    "batch": _whole(1),
    "crop": _whole(16),
    "scale": _number(0, most=4, above=True),
    "crops_per_image": _whole(1),
    "synthetic_to_real": (tuple, _is_ratio, "two finite numbers above 0, such as [2, 1]"),
    "max_length": _span(60, least=0.1, most=1000),
    "intensity": _or("script", _span(0, least=0, most=1)),
    "late": _span(0, least=0, most=0.5),
    "frames": _span(1, least=1, most=1000, whole=True),
    "duty": _span(1, least=0.001, most=1),
    "paths": (str, lambda value: value in PATHS, f"one of {', '.join(PATHS)}"),
    "objects": _number(0, most=1),
    "defocus": _number(0, most=1),
    "rotation": _number(0, most=45),
    "grid": _whole(1, most=9),
    "highlights": _span(1, least=1, most=1000),
    "shot_noise": _span(0, least=0, most=1),
    "read_noise": _span(0, least=0, most=1),
    "jpeg": _span(0, least=1, most=100, whole=True),
}
