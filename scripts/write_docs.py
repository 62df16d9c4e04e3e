"""Writes the pages that are drawn from the code: `docs/networks.md` and `docs/recipes.md`.

    python scripts/write_docs.py

A test compares them with what this script would write, so they cannot fall behind.
"""

import itertools
from pathlib import Path

from keras import layers

from deblur_keras import critics, generators, recipes

DOCS = Path(__file__).parents[1] / "docs"
SIZE = 256
HD = (720, 1280)
NETWORKS = {
    "resnet_generator": (
        generators.resnet_generator,
        "DeblurGAN's generator (recipes deblurgan, sharingan, deblurgan-light). "
        "`blocks=6` is CycleGAN's.",
    ),
    'resnet_generator(norm="batch", upsampling="resize")': (
        lambda: generators.resnet_generator(norm="batch", upsampling="resize"),
        "The generator of deblurgan-bce.",
    ),
    'resnet_generator(blocks=6, dropout=0.0, skip="none")': (
        lambda: generators.resnet_generator(blocks=6, dropout=0.0, skip="none"),
        "The generators of cyclegan.",
    ),
    "dense_generator": (generators.dense_generator, "The light generator of dense-deblurgan."),
    "unet_generator": (
        generators.unet_generator,
        "pix2pix's, which two of the papers name as the next thing to try.",
    ),
    "compact_generator": (
        generators.compact_generator,
        "This library's own, of depthwise convolutions.",
    ),
    "quarter_generator": (
        generators.quarter_generator,
        "This library's own, which ships.",
    ),
    "patch_critic": (critics.patch_critic, "DeblurGAN's critic, a PatchGAN."),
    "cyclegan_discriminator": (critics.cyclegan_discriminator, "The discriminators of cyclegan."),
    "dense_head_discriminator": (
        critics.dense_head_discriminator,
        "The discriminator of deblurgan-bce.",
    ),
    'dense_head_discriminator(norm="none", head="linear")': (
        lambda: critics.dense_head_discriminator(norm="none", head="linear"),
        "The critic of deblurgan-light.",
    ),
}


def networks_page():
    """Draws a table of layers for each network, and one of all."""
    built = {name: build() for name, (build, _) in NETWORKS.items()}
    lines = [
        "# Networks",
        "",
        "Drawn from the code by `python scripts/write_docs.py`. Convolutions and dense layers, "
        f"with their outputs for an image of {SIZE}x{SIZE}; a norm's parameters are added to its "
        "convolution's, those of a layer that is called again count once, and equal layers in a "
        "row are one line with the figures of each. GMAC: billions of multiplications, each with "
        "its addition.",
        "",
        "| network | parameters | GMAC at 256x256 | GMAC at 1280x720 | sides in multiples of |",
        "|---|---|---|---|---|",
    ]
    for name, model in built.items():
        multiple = generators.size_multiple(model)
        fixed = model.input_shape[1] is not None
        hd = "-" if fixed else f"{_giga(model, *(-(-s // multiple) * multiple for s in HD)):.1f}"
        sides = f"{SIZE} alone" if fixed else multiple
        giga = _giga(model, SIZE, SIZE)
        lines.append(f"| `{name}` | {model.count_params():,} | {giga:.1f} | {hd} | {sides} |")
    for name, model in built.items():
        lines += ["", f"## `{name}`", "", NETWORKS[name][1], "", *_layers(model)]
    return "\n".join(lines) + "\n"


def _giga(model, height, width):
    return generators.multiply_adds(model, height, width) / 1e9


def _layers(model):
    """Draws the layers with kernels; equal ones in a row are one line."""
    rows = []
    for cost in generators.layer_costs(model, SIZE, SIZE):
        layer = cost.layer
        kernel = isinstance(layer, layers.Dense | layers.Conv2D | layers.Conv2DTranspose)
        if kernel or isinstance(layer, layers.SeparableConv2D | layers.DepthwiseConv2D):
            shape = "x".join(map(str, cost.output_shape))
            rows.append([_kind(layer), shape, cost.parameters, cost.multiply_adds, layer.name])
        elif rows:
            rows[-1][2] += cost.parameters
    lines = ["| layer | | output | parameters | MMAC |", "|---|---|---|---|---|"]
    for (kind, shape, parameters, multiply_adds), equal in itertools.groupby(
        rows, key=lambda row: tuple(row[:4])
    ):
        names = [row[4] for row in equal]
        name, times = names[0], ""
        if len(names) > 1:
            name, times = f"{names[0]} to {names[-1]}", f"{len(names)} times "
        lines.append(
            f"| {name} | {times}{kind} | {shape} | {parameters:,} | {multiply_adds / 1e6:,.1f} |"
        )
    total = sum(row[2] for row in rows), sum(row[3] for row in rows)
    return [*lines, f"| in all | | | {total[0]:,} | {total[1] / 1e6:,.1f} |"]


def _kind(layer):
    if isinstance(layer, layers.Dense):
        return f"dense, {layer.units}"
    rows, columns = layer.kernel_size
    name = {
        "Conv2D": "",
        "Conv2DTranspose": "transposed ",
        "SeparableConv2D": "separable ",
        "DepthwiseConv2D": "depthwise ",
    }[type(layer).__name__]
    strides = layer.strides if layer.strides[0] != layer.strides[1] else layer.strides[:1]
    return f"{name}{rows}x{columns}, stride {'x'.join(map(str, strides))}"


def recipes_page():
    """Draws every recipe with the source of each field."""
    lines = [
        "# Recipes",
        "",
        "Drawn from the code by `python scripts/write_docs.py`; `deblur-keras recipes show NAME` "
        "prints the same. *paper*: it says so. *code*: its authors' code does. *chosen here*: both "
        "leave it open, or disagree. Any field can be changed: `train NAME --set batch=4 --set "
        "generator.filters=32`, or `--config mine.toml`.",
        "",
        "| recipe | paper | generator | critic | objective | the paper reports |",
        "|---|---|---|---|---|---|",
    ]
    for name in recipes.NAMES:
        recipe = recipes.get(name)
        lines.append(
            f"| [{name}](#{name}) | {recipe.authors} | {recipe.generator.kind}, "
            f"{recipe.generator_parameters:,} | {recipe.critic.kind}, "
            f"{recipe.critic_parameters:,} | {recipe.objective()} | "
            f"{'; '.join(map(str, recipe.reported))} |"
        )
    for name in recipes.NAMES:
        lines += ["", *_recipe(recipes.get(name))]
    return "\n".join(lines) + "\n"


def _recipe(recipe):
    lines = [
        f"## {recipe.name}",
        "",
        f"{recipe.authors}: *{recipe.title}*. Trainer: `{recipe.trainer}`. Data of the paper: "
        f"{recipe.data}.",
        "",
        "| field | value | from | |",
        "|---|---|---|---|",
    ]
    for name, value, source in recipe.rows():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        lines.append(f"| {name} | {shown} | {source.kind} | {source.text} |")
    lines += ["", "The paper reports:", ""]
    lines += [f"- {entry}. {entry.note}" for entry in recipe.reported]
    lines += ["", "Contradictions and gaps:", "", *(f"- {note}" for note in recipe.notes)]
    return lines


PAGES = {"networks.md": networks_page, "recipes.md": recipes_page}


def main():
    """Writes all pages."""
    for name, draw in PAGES.items():
        (DOCS / name).write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
