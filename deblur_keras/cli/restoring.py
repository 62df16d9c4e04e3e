"""Options that decide in which parts, and in how much memory, photographs are restored."""

import click


class _Tile(click.ParamType):
    """Takes `auto`, `none` or a number of pixels, as `Restorer` takes "auto", None or it."""

    name = "auto|none|pixels"

    def convert(self, value, parameter, context):
        if value in (None, "auto") or isinstance(value, int):
            return value
        if value == "none":
            return None
        try:
            return click.IntRange(min=1).convert(value, parameter, context)
        except click.BadParameter:
            self.fail(
                f"{value!r} is none of auto, none and a whole number of pixels from 1, such as "
                "1024.",
                parameter,
                context,
            )


class _Memory(click.ParamType):
    """Takes an amount of memory and returns its bytes."""

    name = "amount"

    def convert(self, value, parameter, context):
        from deblur_keras import memory

        try:
            return memory.parse_bytes(value)
        except ValueError as error:
            self.fail(f"{error}.", parameter, context)


_OPTIONS = (
    click.option(
        "--tile",
        type=_Tile(),
        default="auto",
        show_default=True,
        help="Restore large photographs in tiles: auto whole where that fits the memory, else in "
        "tiles that do; a number in tiles of so many pixels a side; none never. The result is that "
        "of the whole photograph.",
    ),
    click.option(
        "--overlap",
        type=click.IntRange(min=0),
        help="Most pixels around a tile that the network sees beside it. Fewer are quicker, and "
        "the tiles may differ at their borders.  [default: all that the tile depends on]",
    ),
    click.option(
        "--memory",
        type=_Memory(),
        help="How much memory may be held at most, such as 2GB; tiles become smaller to fit.  "
        "[default: half of what is free]",
    ),
)


def restoring_options(command):
    """Adds --tile, --overlap and --memory to a command.

    Args:
        command: Function, to be decorated by ``click.command``; it takes them as keywords that
            `Restorer` takes by the same names.

    Returns:
        The same function.
    """
    for option in reversed(_OPTIONS):  # click lists the last applied first
        command = option(command)
    return command
