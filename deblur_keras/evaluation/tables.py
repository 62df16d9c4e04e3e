"""The tables of scores that a terminal shows."""


def score_table(first, others, **options):
    """Makes an empty table: names on the left, figures on the right, and no edges.

    Without edges GoPro's names fit into a terminal of 80 columns.

    Args:
        first: Title of the column of names.
        others: Titles of the columns of figures.
        **options: Of the first column, as ``rich.table.Table.add_column`` takes them.

    Returns:
        A ``rich.table.Table``.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, **options)
    for title in others:
        table.add_column(title, justify="right", no_wrap=True)
    return table
