"""``deblur-keras recipes``: the papers' systems, in a table or one in full."""

import click


@click.group(invoke_without_command=True)
@click.pass_context
def recipes(context):
    """List the papers' systems, each of which `train NAME` trains.

    `recipes show NAME` prints one in full: every field, its value, and where the paper states it or
    why it was chosen.

    \b
    Examples:
      deblur-keras recipes
      deblur-keras recipes show deblurgan
      deblur-keras recipes show deblurgan --toml > mine.toml
      deblur-keras train deblurgan --config mine.toml --data pairs/ -o runs/mine
    """  # noqa: D301 - \b is click's mark for text that is not to be wrapped
    if context.invoked_subcommand is None:
        _print(_table())


@recipes.command()
@click.argument("name")
@click.option(
    "--toml", is_flag=True, help="Print the fields alone, as `train --config` takes them."
)
def show(name, toml):
    """Print the recipe NAME in full, with the source of each field."""
    from deblur_keras import recipes as known

    try:
        recipe = known.get(name)
    except known.RecipeError as error:
        raise click.UsageError(str(error)) from error
    if toml:
        click.echo(
            f"# {recipe.name}: {recipe.authors}, {recipe.title}\n{recipe.to_toml()}", nl=False
        )
        return
    click.echo(f"{recipe.name}: {recipe.authors}, {recipe.title}\n")
    click.echo(f"Trainer: {recipe.trainer}\nData of the paper: {recipe.data}\n")
    _print(_fields(recipe))
    for heading, entries in (
        ("The paper reports", [f"{entry}. {entry.note}" for entry in recipe.reported]),
        ("Contradictions and gaps", recipe.notes),
    ):
        click.echo(f"\n{heading}:")
        _print(_list(entries))


def _print(table):
    from rich.console import Console

    from deblur_keras.cli import console

    screen = console.console(stderr=False)
    if not screen.is_terminal:
        screen = Console(width=_WIDTH_IN_FILES, highlight=False)  # files have no edge to heed
    screen.print(table)


_WIDTH_IN_FILES = 120


def _table():
    from deblur_keras import recipes as known

    table = _bare("recipe", "paper", "generator", "critic", "objective", "the paper reports")
    for name in known.NAMES:
        recipe = known.get(name)
        table.add_row(
            name,
            recipe.authors,
            f"{recipe.generator.kind}, {_millions(recipe.generator_parameters)}",
            f"{recipe.critic.kind}, {_millions(recipe.critic_parameters)}",
            recipe.objective(),
            "\n".join(map(str, recipe.reported)),
        )
    return table


def _fields(recipe):
    table = _bare("field", "value", "from", "")
    for name, value, source in recipe.rows():
        part, _, option = name.partition(".")
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        table.add_row(f"  {option}" if option else part, shown, source.kind, source.text)
    return table


def _list(entries):
    table = _bare("", "", header=False)
    for entry in entries:
        table.add_row("-", entry)
    return table


def _bare(*columns, header=True):
    from rich.table import Column, Table

    # The first holds names, which are to be copied.
    names = Column(columns[0], no_wrap=True)
    columns = [names, *(Column(name, overflow="fold") for name in columns[1:])]
    return Table(*columns, box=None, pad_edge=False, show_header=header, header_style="bold")


def _millions(count):
    return f"{count / 1e6:.2f} M"
