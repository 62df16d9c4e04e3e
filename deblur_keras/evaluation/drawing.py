"""What all plots share: a canvas without a window, plain axes, and how it becomes a PNG file."""

from pathlib import Path

from deblur_keras import images


def plot(width, height, text=12, dpi=100):
    """Makes a drawing and its axes: a light grid, no frame above and on the right.

    Args:
        width: Width in inches.
        height: Height in inches.
        text: Size of the numbers at the axes, in points; labels are set by the caller.
        dpi: Pixels an inch.

    Returns:
        ``(matplotlib.figure.Figure, matplotlib.axes.Axes)``; `save` writes it.

    Example:
        >>> drawing, axes = plot(4, 3)
        >>> drawing.get_size_inches().tolist(), axes.spines["top"].get_visible()
        ([4.0, 3.0], False)
    """
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    axes = drawing.add_subplot()
    axes.tick_params(labelsize=text)
    axes.grid(color="0.9")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawing, axes


def save(drawing, path):
    """Writes a drawing as a PNG file.

    Args:
        drawing: A ``matplotlib.figure.Figure``.
        path: File to write; whole or not at all.

    Returns:
        The path written, a `pathlib.Path`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    with images.atomic_path(path) as temporary:
        FigureCanvasAgg(drawing).print_png(temporary)
    return Path(path)
