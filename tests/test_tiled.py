"""Images in parts against the same images whole."""

import errno
import os
import re

import numpy as np
import pytest

keras = pytest.importorskip("keras")
skimage_data = pytest.importorskip("skimage.data")

from networks import GENERATORS  # noqa: E402

from deblur_keras import images, planning  # noqa: E402
from deblur_keras.generators import compact_generator, dense_generator  # noqa: E402
from deblur_keras.generators.stages import StagedGenerator  # noqa: E402
from deblur_keras.restorer import ModelError, Restorer  # noqa: E402
from deblur_keras.tiled import TiledGenerator  # noqa: E402

GENERATORS = {
    **GENERATORS,
    "compact-deep": lambda: compact_generator((4, 4, 4, 4), (1, 1, 1, 1), kernel=3),
}


def randomized(model, scale=0.2, seed=0):
    """Weights at which a network changes its image visibly."""
    random = np.random.default_rng(seed)
    weights = model.get_weights()
    model.set_weights([random.normal(0, scale, w.shape) if w.ndim > 1 else w for w in weights])
    return model


def photo(height, width, dtype="uint8", seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, np.iinfo(dtype).max + 1, (height, width, 3), dtype)


def photograph(height, width):
    return np.ascontiguousarray(skimage_data.astronaut()[:height, :width])


def sky(height, width):
    """A smooth gradient with a sensor's noise."""
    down, across = np.mgrid[:height, :width]
    shade = 120 + 80 * down / height + 15 * across / width
    noise = np.random.default_rng(0).normal(0, 1, (height, width, 3))
    return np.clip(np.rint(shade[..., None] + [0, 10, 40] + noise), 0, 255).astype(np.uint8)


def difference(one, other):
    return np.abs(one.astype(int) - other.astype(int))


QUICK = ("resnet", "unet", "dense-plain", "compact-deep")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in GENERATORS],
)
def test_tiles_give_what_the_whole_image_gives(name):
    model = randomized(GENERATORS[name]())
    whole, tiled = Restorer(model, tile=None), Restorer(model, tile=24)
    for size in ((97, 63), (61, 20)):
        image = photo(*size)
        found = difference(tiled(image), whole(image))
        # Norms enlarge what rounding differs by; without them the bound holds by far.
        assert found.max() <= 1
        assert found.mean() < 0.02
    image = photo(61, 44, "uint16")
    found = difference(tiled(image), whole(image))
    assert found.max() <= 257  # one level of 8 bits
    assert found.mean() < 16


@pytest.mark.parametrize("name", ["resnet", "compact-deep"])
@pytest.mark.parametrize("on_disk", [pytest.param(False, marks=pytest.mark.slow), True])
def test_what_is_kept_may_lie_on_disk(name, on_disk):
    model = randomized(GENERATORS[name]())
    image = photo(96, 128)
    tiled = TiledGenerator(model, tile=32)
    spans = tiled.plan(96, 128, 0).spans
    assert len(spans) > 1
    for workers in (1, 2):
        restored, finite = tiled.restore(image, planning.Plan(spans, on_disk, workers))
        assert finite
        assert difference(restored, Restorer(model, tile=None)(image)).max() <= 1


def test_a_network_without_norms_is_cut_around_its_coarse_grids():
    staged = StagedGenerator(GENERATORS["compact-deep"]())
    assert len(staged.stages) == 3
    assert staged.stages[1].halo > 2 * staged.stages[0].halo
    assert not staged.normalized
    assert len(StagedGenerator(GENERATORS["compact"]()).stages) == 1


def naive(model, image, tile):
    """Restores each tile by itself, as users of other projects do."""
    restored, whole = np.empty_like(image), Restorer(model, tile=None)
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            part = (slice(top, top + tile), slice(left, left + tile))
            restored[part] = whole(image[part])
    return restored


@pytest.fixture(scope="module")
def normalized():
    """A network with instance norms that changes an image as much as a trained one does."""
    model = randomized(dense_generator(filters=8, growth=8, depth=3), seed=1)
    head = model.get_layer("head_conv")
    head.set_weights([0.01 * weight for weight in head.get_weights()])
    return model


@pytest.mark.parametrize("scene", [pytest.param(photograph, marks=pytest.mark.slow), sky])
def test_tiles_by_themselves_differ_and_ours_do_not(normalized, scene):
    image, tile = scene(256, 320), 64
    whole = Restorer(normalized, tile=None)(image)
    apart = naive(normalized, image, tile)
    ours = Restorer(normalized, tile=tile)(image)
    assert difference(apart, whole).mean() > 0.5
    assert difference(ours, whole).mean() < 0.01
    assert difference(ours, whole).max() <= 1
    # No line: neighbours across a border differ as they do in the whole image's result.
    assert seam(ours, tile) == pytest.approx(seam(whole, tile), abs=0.01)
    if scene is sky:
        assert seam(ours, tile) < 1.02
        assert seam(apart, tile) > 1.1


def seam(image, tile):
    """How many times larger steps across the tiles' borders are than elsewhere."""
    steps = difference(image[:, 1:], image[:, :-1]).mean(axis=(0, 2))
    borders = np.arange(tile, image.shape[1], tile) - 1
    return steps[borders].mean() / np.delete(steps, borders).mean()


@pytest.mark.parametrize("name", ["resnet", "dense"])
def test_norms_do_not_magnify_what_rounding_leaves_on_a_flat_image(name):
    restore = Restorer(randomized(GENERATORS[name]()), tile=128)
    for colour in ((0, 0, 0), (37, 120, 201)):
        image = np.empty((300, 400, 3), np.uint8)
        image[:] = colour
        restored = restore(image)
        assert (restored == restored[0, 0]).all()


@pytest.mark.parametrize("name", ["compact-deep", pytest.param("resnet", marks=pytest.mark.slow)])
def test_the_smallest_images(name):
    model = GENERATORS[name]()
    automatic, whole, tiled = (Restorer(model, tile=tile) for tile in ("auto", None, 8))
    for size in ((1, 1), (1, 90), (90, 1), (2, 3)):
        image = photo(*size)
        assert automatic(image).shape == tiled(image).shape == image.shape
        np.testing.assert_array_equal(automatic(image), whole(image))


def test_a_long_strip_in_little_memory():
    model = randomized(compact_generator(widths=(4,), blocks=(1,), kernel=3))
    image = np.tile(photo(200, 300), (1, 100, 1))
    tiled = Restorer(model)
    tiled._parts._planner._fits_whole = lambda needed, room: False
    restored = tiled(image)
    assert restored.shape == (200, 30000, 3)
    # Periodic in, periodic out.
    np.testing.assert_allclose(restored[:, 3000:3300], restored[:, 15000:15300], atol=1)
    np.testing.assert_allclose(restored[:, :300], Restorer(model)(image[:, :600])[:, :300], atol=1)


@pytest.mark.parametrize("name", ["unet-batch", "compact-deep"])
def test_less_overlap_still_gives_an_image(name):
    image = photo(23, 18)
    restored = Restorer(GENERATORS[name](), tile=5, overlap=0)(image)
    assert restored.shape == image.shape


def test_less_overlap_is_nearer_to_the_whole_the_more_there_is():
    model = randomized(GENERATORS["compact-deep"]())
    image = photo(160, 160)
    whole = Restorer(model, tile=None)(image)
    means = [
        difference(Restorer(model, tile=32, overlap=overlap)(image), whole).mean()
        for overlap in (0, 16, None)
    ]
    assert means[0] > means[1] >= means[2]
    assert means[2] < 0.01


def test_progress_counts_the_tiles():
    model = GENERATORS["resnet-plain"]()
    seen = []
    Restorer(model, tile=32)(photo(64, 96), progress=lambda *counts: seen.append(counts))
    assert seen == [(done, 6) for done in range(1, 7)]
    Restorer(model)(photo(64, 96), progress=seen.clear)


def test_dropout_that_is_kept_is_repeatable_in_tiles():
    model = randomized(GENERATORS["resnet"]())
    image = photo(64, 64)
    one, other = (Restorer(model, restore_with_dropout=True, seed=3, tile=32) for _ in range(2))
    np.testing.assert_array_equal(one(image), other(image))
    np.testing.assert_array_equal(one(image), one(image))


@pytest.mark.parametrize("tile", [0, -3, 1.5, "16", True])
def test_what_is_no_tile(tile):
    with pytest.raises(ValueError, match="tile must be 'auto', a whole number"):
        Restorer(GENERATORS["compact"](), tile=tile)


@pytest.mark.parametrize("overlap", [-1, 1.5, "auto", False])
def test_what_is_no_overlap(overlap):
    with pytest.raises(ValueError, match="overlap must be a whole number"):
        Restorer(GENERATORS["compact"](), overlap=overlap)


def test_what_is_no_amount_of_memory():
    with pytest.raises(ValueError, match="an amount of memory"):
        Restorer(GENERATORS["compact"](), memory="much")


@pytest.mark.parametrize("name", ["compact-deep", "resnet"])
def test_a_budget_that_is_too_small_says_what_is_needed(name, monkeypatch):
    monkeypatch.setattr(planning.memory, "resident_bytes", lambda: 0)
    monkeypatch.setattr(planning, "_ALLOCATOR", 1e4)  # small networks, as if they were large
    model = GENERATORS[name]()
    tiled = TiledGenerator(model, memory_budget="0.11GB")
    with pytest.raises(MemoryError, match=r"budget of 0\.11 GB leaves .*; give at least") as raised:
        tiled.plan(960, 960, 0)
    more = float(re.search(r"at least ([\d.]+) GB more", str(raised.value))[1])
    assert TiledGenerator(model, memory_budget=0.11e9 + more * 1e9).plan(960, 960, 0).windows > 1


def test_a_budget_is_kept_to_and_smaller_ones_take_smaller_tiles(monkeypatch):
    monkeypatch.setattr(planning.memory, "resident_bytes", lambda: 5 * 10**8)
    model = dense_generator()
    staged = StagedGenerator(model)
    lengths = []
    for budget in (4e9, 2e9, 1e9):
        plan = TiledGenerator(model, memory_budget=budget).plan(3000, 4000, 36_000_000)
        for stage, (rows, columns) in zip(staged.stages, plan.spans, strict=True):
            window = rows[0].length * columns[0].length * stage.bytes_per_pixel
            assert window * plan.workers < budget - 5e8
        assert plan.on_disk
        lengths.append(plan.windows)
    assert lengths == sorted(lengths)
    assert TiledGenerator(model, memory_budget=1e12).plan(3000, 4000, 36_000_000) is None


def test_a_full_disk_leads_to_tmpdir(monkeypatch):
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("reserves no room on this system")

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    tiled = TiledGenerator(GENERATORS["resnet"](), tile=32)
    plan = planning.Plan(tiled.plan(64, 64, 0).spans, on_disk=True)
    with pytest.raises(MemoryError, match=r"64x64 pixels with model .*set TMPDIR"):
        tiled.restore(photo(64, 64), plan)


def test_a_network_that_looks_at_the_whole_image(monkeypatch):
    image = keras.Input((None, None, 3))
    mean = keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(image)
    model = keras.Model(image, image - mean, name="centred")
    with pytest.raises(ModelError, match=r"'centred' cannot be run on parts.*'mean'.*leave tile"):
        Restorer(model, tile=16)
    assert Restorer(model)(photo(20, 20)).shape == (20, 20, 3)
    monkeypatch.setattr(planning.memory, "available_bytes", lambda: 10**6)
    with pytest.raises(MemoryError, match=r"cannot be run on parts.*'mean'.*tile=None"):
        Restorer(model)(photo(20, 20))
    assert Restorer(model, tile=None)(photo(20, 20)).shape == (20, 20, 3)


def test_output_that_is_not_finite_is_an_error_in_tiles_too():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", bias_initializer="ones")(image)
    model = keras.Model(image, keras.layers.Rescaling(float("inf"))(x))
    with pytest.raises(ArithmeticError, match="not finite"):
        Restorer(model, tile=16)(photo(40, 40))


def test_finer_grids_than_the_images_can_be_tiled():
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2DTranspose(4, 4, strides=2, padding="same", activation="relu")(image)
    x = keras.layers.Conv2D(4, 5, padding="same", activation="relu")(x)
    model = randomized(keras.Model(image, keras.layers.Conv2D(3, 4, 2, padding="same")(x)))
    pixels = photo(70, 45)
    found = difference(Restorer(model, tile=16)(pixels), Restorer(model, tile=None)(pixels))
    assert found.max() <= 1


@pytest.mark.slow
def test_mixed_precision_is_tiled_too():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = randomized(GENERATORS["compact-deep"]())
    finally:
        keras.config.set_dtype_policy("float32")
    image = images.to_uint8(np.zeros((70, 70, 3), np.float32))
    found = difference(Restorer(model, tile=32)(image), Restorer(model, tile=None)(image))
    assert found.max() <= 2
