"""The streams: alignment, randomness, sizes, and what blur they show."""

import logging

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deblur_keras import blur, datasets, images
from deblur_keras.datasets import DatasetError, shots


def coordinates(height, width, number=0):
    """An image whose pixel at (y, x) is (y, x, number)."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([rows, columns, np.full_like(rows, number)], axis=-1).astype(np.uint8)


def photograph(seed, height, width):
    """A smooth picture with all levels."""
    grey = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))


def write_pairs(folder, count=4, height=60, width=80):
    """Pairs whose sharp side holds its coordinates, and whose blurred side mirrors the levels."""
    for number in range(count):
        sharp = coordinates(height, width, number)
        images.write(folder / "sharp" / f"{number}.png", sharp)
        images.write(folder / "blur" / f"{number}.png", 255 - sharp)
    return folder


def levels(dataset):
    """All batches of one epoch, as lists of uint8 arrays (blurred, sharp)."""
    return [tuple(images.to_uint8(side.numpy()) for side in batch) for batch in dataset]


def sharp_crops(dataset):
    return np.concatenate([sharp for _, sharp in levels(dataset)])


def test_both_sides_show_the_same_crop(tmp_path):
    dataset = datasets.paired(write_pairs(tmp_path), crop=16, batch=3, scale=1.0, repeat=True)
    for blurred, sharp in dataset.take(10):
        assert blurred.dtype == sharp.dtype == tf.float32
        np.testing.assert_allclose(blurred, -sharp, atol=1e-6)
        for crop in images.to_uint8(sharp.numpy()):
            top, left, number = crop.reshape(-1, 3).min(axis=0)
            flipped = crop[0, 0, 1] > crop[0, 1, 1]
            expected = coordinates(60, 80, number)[top : top + 16, left : left + 16]
            np.testing.assert_array_equal(crop, expected[:, ::-1] if flipped else expected)


def test_corners_are_uniform_over_all_positions_and_half_are_flipped(tmp_path):
    dataset = datasets.paired(
        write_pairs(tmp_path, 1, 10, 12), crop=8, batch=50, scale=1.0, repeat=True, cache=True
    )
    crops = sharp_crops(dataset.take(36))  # 1800 crops, 15 positions
    corners = np.bincount(crops[:, 0, 0, 0] * 5 + crops[:, 0, :, 1].min(axis=1), minlength=15)
    assert corners.shape == (15,)  # the last row and column of positions included
    assert ((corners - 120) ** 2 / 120).sum() < 36.1  # chi-square, 14 degrees, one in a thousand
    flipped = (crops[:, 0, 0, 1] > crops[:, 0, 1, 1]).mean()
    assert abs(flipped - 0.5) < 0.05


def test_no_flip(tmp_path):
    crops = sharp_crops(
        datasets.paired(write_pairs(tmp_path), crop=16, scale=1.0, flip=False, repeat=True).take(40)
    )
    assert (crops[:, 0, 0, 1] < crops[:, 0, 1, 1]).all()


def test_the_seed_decides_and_epochs_differ(tmp_path):
    pairs = datasets.pairs(write_pairs(tmp_path))

    def epochs(seed, **options):
        dataset = datasets.paired(pairs, crop=16, scale=1.0, seed=seed, **options)
        return np.stack([sharp_crops(dataset) for _ in range(3)])

    first = epochs(7)
    np.testing.assert_array_equal(first, epochs(7))
    assert not np.array_equal(first, epochs(8))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(np.sort(first[0], axis=0), np.sort(first[1], axis=0))
    repeated = datasets.paired(pairs, crop=16, scale=1.0, seed=7, repeat=True).take(12)
    np.testing.assert_array_equal(sharp_crops(repeated), first.reshape(12, 16, 16, 3))
    np.testing.assert_array_equal(epochs(7, first_epoch=1)[:2], first[1:])
    fixed = epochs(7, fixed=True)
    np.testing.assert_array_equal(fixed, np.broadcast_to(first[0], fixed.shape))
    np.testing.assert_array_equal(epochs(7, cache=True), first)


def test_each_epoch_shows_each_pair_once_in_the_order_asked(tmp_path):
    folder = write_pairs(tmp_path, 6)

    def order(dataset):
        return sharp_crops(dataset)[:, 0, 0, 2].tolist()

    shuffled = datasets.paired(folder, crop=16, scale=1.0)
    first, second = order(shuffled), order(shuffled)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(6))
    assert order(datasets.paired(folder, crop=16, scale=1.0, shuffle=False)) == list(range(6))


@pytest.mark.parametrize("count, batch, sizes", [(4, 2, [2, 2]), (5, 2, [2, 2, 1]), (1, 3, [1])])
def test_batches_and_length(tmp_path, count, batch, sizes):
    dataset = datasets.paired(write_pairs(tmp_path, count), crop=16, batch=batch, scale=1.0)
    assert len(dataset) == len(sizes)
    static = batch if count % batch == 0 else None
    for spec in dataset.element_spec:
        assert spec.shape.as_list() == [static, 16, 16, 3]
        assert spec.dtype == tf.float32
    assert [len(sharp) for _, sharp in dataset] == sizes


def test_repeating_is_endless_with_full_batches(tmp_path):
    dataset = datasets.paired(write_pairs(tmp_path, 3), crop=16, batch=2, scale=1.0, repeat=True)
    assert dataset.cardinality() == tf.data.INFINITE_CARDINALITY
    assert dataset.element_spec[0].shape.as_list() == [2, 16, 16, 3]
    assert [len(sharp) for _, sharp in dataset.take(5)] == [2] * 5


def test_values_are_those_of_the_files(tmp_path):
    path = tmp_path / "sharp" / "1.jpg"
    images.write(path, photograph(1, 48, 48))
    images.write(tmp_path / "blur" / "1.jpg", photograph(2, 48, 48))
    ((blurred, sharp),) = datasets.paired(tmp_path, crop=48, scale=1.0, flip=False)
    np.testing.assert_array_equal(sharp[0], images.to_float(images.read(path)))
    assert -1 <= blurred.numpy().min() < blurred.numpy().max() <= 1


def test_halving_is_the_mean_of_four_pixels(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    images.write(tmp_path / "sharp" / "1.png", picture)
    images.write(tmp_path / "blur" / "1.png", 255 - picture)
    whole = datasets.paired(tmp_path, crop=None, scale=0.5, flip=False)
    ((_, sharp),) = levels(whole)
    pooled = picture.reshape(32, 2, 24, 2, 3).mean(axis=(1, 3))[:, 4:20]  # 24 cut to 16
    assert sharp.shape == (1, 32, 16, 3)
    np.testing.assert_allclose(sharp[0], pooled, atol=0.5)


def test_other_scales_average_over_areas(tmp_path):
    picture = photograph(3, 60, 80)
    images.write(tmp_path / "sharp" / "1.png", picture)
    images.write(tmp_path / "blur" / "1.png", 255 - picture)
    ((_, sharp),) = levels(datasets.paired(tmp_path, crop=None, scale=0.8, flip=False))
    expected = cv2.resize(picture.astype(np.float32), (64, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(sharp[0], expected, atol=0.51)


def test_several_scales_are_drawn_from(tmp_path):
    dataset = datasets.paired(
        write_pairs(tmp_path, 1), crop=16, scale=(0.5, 1.0), flip=False, repeat=True, cache=True
    )
    steps = sharp_crops(dataset.take(40))[:, 0, [0, 15], 1].astype(int)
    assert set(steps[:, 1] - steps[:, 0]) == {15, 30}  # 2 pixels a pixel when halved


def test_small_images_are_extended_by_reflection_and_logged_once(tmp_path, caplog):
    picture = coordinates(20, 40)
    for number in range(3):
        images.write(tmp_path / "sharp" / f"{number}.png", picture)
        images.write(tmp_path / "blur" / f"{number}.png", 255 - picture)
    dataset = datasets.paired(tmp_path, crop=32, scale=1.0, flip=False)
    with caplog.at_level(logging.WARNING, logger="deblur_keras"):
        batches = levels(dataset)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "40x20" in caplog.text
    rows = np.pad(np.arange(20), 6, mode="reflect")
    for blurred, sharp in batches:
        np.testing.assert_array_equal(sharp[0, :, 0, 0], rows)
        np.testing.assert_array_equal(blurred, 255 - sharp)


@pytest.mark.parametrize("shape, expected", [((50, 70), (48, 64)), ((7, 5), (16, 16))])
def test_whole_images_are_cut_to_a_multiple_of_16(tmp_path, shape, expected):
    dataset = datasets.paired(
        write_pairs(tmp_path, 2, *shape), crop=None, scale=1.0, flip=False, shuffle=False
    )
    assert dataset.element_spec[0].shape.as_list() == [1, None, None, 3]
    for blurred, sharp in levels(dataset):
        assert sharp.shape == (1, *expected, 3)
        np.testing.assert_array_equal(blurred, 255 - sharp)


def test_side_by_side_files_and_lists_of_pairs(tmp_path):
    sharp = photograph(4, 32, 32)
    for name in ("1", "2"):
        both = np.concatenate([sharp // 2, sharp], axis=1)
        images.write(tmp_path / f"{name}.png", both)
    pairs = datasets.pairs(tmp_path)
    for given in (tmp_path, str(tmp_path), pairs, tuple(pairs)):
        dataset = datasets.paired(given, crop=32, scale=1.0, flip=False)
        for blurred, whole in levels(dataset):
            np.testing.assert_array_equal(whole[0], sharp)
            np.testing.assert_array_equal(blurred[0], sharp // 2)


def test_a_file_that_breaks_later_is_named_once_and_passed_over(tmp_path, caplog):
    dataset = datasets.paired(write_pairs(tmp_path), crop=16, scale=1.0)
    (tmp_path / "blur" / "2.png").write_bytes(b"\x89PNG broken")
    for _ in range(2):
        assert len(list(dataset)) == len(dataset)
    messages = [record.getMessage() for record in caplog.records]
    (message,) = [message for message in messages if "another one is used" in message]
    assert "blur/2.png" in message
    assert [message.partition(":")[0] for message in messages[1:]] == ["epoch 1", "epoch 2"]


def test_when_every_file_is_broken_one_is_named(tmp_path):
    dataset = datasets.paired(write_pairs(tmp_path, 1), crop=16, scale=1.0)
    for path in (tmp_path / "blur").iterdir():
        path.write_bytes(b"\x89PNG broken")
    with pytest.raises(tf.errors.OpError, match=r"blur/\d\.png"):
        list(dataset)


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": 0},
        {"batch": 0},
        {"crop": None, "batch": 2},
        {"scale": 0},
        {"scale": 4.5},
        {"scale": ()},
        {"seed": -1},
        {"first_epoch": -1},
    ],
)
def test_arguments_out_of_range(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        datasets.paired(write_pairs(tmp_path, 1), **wrong)


def test_no_images(tmp_path):
    with pytest.raises(DatasetError, match="at least one image"):
        datasets.paired([])
    with pytest.raises(DatasetError, match="at least one image"):
        datasets.synthetic(tmp_path)
    with pytest.raises(images.ImageError, match="nowhere"):
        datasets.synthetic(tmp_path / "nowhere")


# Synthetic blur


def where(picture, sharp):
    """Where a crop lies in a picture."""
    match = cv2.matchTemplate(picture, sharp, cv2.TM_SQDIFF)
    top, left = np.unravel_index(match.argmin(), match.shape)
    place = np.s_[top : top + sharp.shape[0], left : left + sharp.shape[1]]
    np.testing.assert_array_equal(sharp, picture[place])
    return place


def test_synthetic_crops_are_those_of_the_whole_photograph_blurred(tmp_path):
    picture = photograph(5, 90, 120)
    path = images.write(tmp_path / "1.png", picture)
    dataset = datasets.synthetic(
        path, crop=32, flip=False, seed=3, max_length=20.0, kernel_size=32, repeat=True
    )
    kernels = blur.random_psfs(128, seed=np.random.default_rng([3, 3, 0]), size=32, max_length=20.0)
    for number, (blurred, sharp) in enumerate(levels(dataset.take(12))):
        place = where(picture, sharp[0])
        whole = blur.motion_blur(picture, kernels[number])[place]
        np.testing.assert_allclose(blurred[0].astype(int), whole, atol=1)


def test_constant_photographs_stay_constant(tmp_path):
    images.write(tmp_path / "1.png", np.full((50, 50, 3), (10, 128, 250), np.uint8))
    for blurred, sharp in levels(datasets.synthetic(tmp_path, crop=48, repeat=True).take(5)):
        np.testing.assert_array_equal(blurred, sharp)
        assert (sharp == (10, 128, 250)).all()


def test_each_visit_blurs_anew_and_the_seed_repeats_it(tmp_path):
    images.write(tmp_path / "1.png", photograph(6, 40, 40))

    def epochs(seed=0, **options):
        dataset = datasets.synthetic(tmp_path, crop=40, flip=False, seed=seed, noise=2, **options)
        return [levels(dataset)[0][0] for _ in range(3)]

    first = epochs()
    assert len({crop.tobytes() for crop in first}) == 3
    np.testing.assert_array_equal(epochs(), first)
    assert epochs(seed=1)[0].tobytes() != first[0].tobytes()
    assert len({crop.tobytes() for crop in epochs(fixed=True)}) == 1


def test_noise_is_on_the_blurred_side_only(tmp_path):
    images.write(tmp_path / "1.png", np.full((128, 128, 3), 128, np.uint8))
    for noise, low, high in ((4.0, 3.8, 4.2), ((1.0, 8.0), 0.9, 8.2)):
        dataset = datasets.synthetic(tmp_path, crop=128, noise=noise, repeat=True)
        spreads = []
        for blurred, sharp in levels(dataset.take(6)):
            assert (sharp == 128).all()
            spreads.append(blurred.std())
        assert low < min(spreads) <= max(spreads) < high
        assert (max(spreads) - min(spreads) > 1) == isinstance(noise, tuple)
    with pytest.raises(ValueError, match="noise"):
        datasets.synthetic(tmp_path, noise=-1)
    with pytest.raises(ValueError, match="noise"):
        datasets.synthetic(tmp_path, noise=(2, 1))


def test_whole_photographs_are_blurred_before_they_are_cut(tmp_path):
    images.write(tmp_path / "1.png", photograph(7, 50, 70))
    ((blurred, sharp),) = levels(datasets.synthetic(tmp_path, crop=None, flip=False))
    assert blurred.shape == sharp.shape == (1, 48, 64, 3)
    np.testing.assert_array_equal(sharp[0], photograph(7, 50, 70)[1:49, 3:67])


def test_lengths_of_paths_are_drawn_from_a_range(tmp_path):
    kinds = {}
    for name, length in {"short": 4.0, "range": (4.0, 40.0), "long": 40.0}.items():
        motions = shots.Motions(0, 0.0, 1, 48, length)
        kernels = np.stack([motions[number] for number in range(128)])
        rows = np.arange(48) - 24.0
        spread = (kernels * (rows[:, None] ** 2 + rows**2)).sum(axis=(1, 2)) ** 0.5
        kinds[name] = spread
    assert kinds["short"].mean() < kinds["range"].mean() < kinds["long"].mean()
    assert kinds["range"].max() <= kinds["long"].max() * 1.5
    assert kinds["range"].std() > kinds["short"].std()
    for kind in ({"grid": 2}, {"rotation": 1.0}):
        images.write(tmp_path / "1.png", photograph(6, 60, 60))
        dataset = datasets.synthetic(tmp_path, crop=32, max_length=(2.0, 20.0), **kind)
        assert next(iter(dataset))[0].shape == (1, 32, 32, 3)


def test_things_that_move_are_pasted_from_other_photographs(tmp_path):
    for number, level in enumerate((40, 200)):
        images.write(tmp_path / f"{number}.png", np.full((70, 90, 3), level, np.uint8))
    options = {"crop": 48, "flip": False, "shuffle": False, "max_length": 12.0, "seed": 1}
    first = levels(datasets.synthetic(tmp_path, objects=1.0, repeat=True, **options).take(12))
    seen = 0
    for blurred, sharp in first:
        if np.ptp(sharp) < 100:
            continue  # of its own photograph, or outside the crop
        seen += 1
        whole = [(sharp == level).mean() for level in (40, 200)]
        assert min(whole) > 0 and sum(whole) > 0.6  # a soft edge between two plain parts
        assert blurred.min() >= 40 and blurred.max() <= 200
        assert (blurred != sharp).any()
    assert seen >= 3
    again = levels(datasets.synthetic(tmp_path, objects=1.0, repeat=True, **options).take(12))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    half = levels(datasets.synthetic(tmp_path, objects=0.3, repeat=True, **options).take(30))
    plain = [np.ptp(sharp) == 0 for _, sharp in half]
    assert 15 < sum(plain) < 30


def write_dot(folder):
    """A point of light in the middle, which comes out as its kernel."""
    dot = np.zeros((64, 64, 3), np.uint8)
    dot[32, 32] = 255
    images.write(folder / "1.png", dot)


def test_paths_of_no_intensity_are_straight(tmp_path):
    write_dot(tmp_path)
    options = {"crop": None, "flip": False, "gamma": 1.0, "max_length": 20.0, "repeat": True}

    def extents(**kind):
        """How far light is spread along its longest and across it, standard deviations."""
        for blurred, _ in levels(datasets.synthetic(tmp_path, **options, **kind).take(8)):
            light = blurred[0, ..., 0].astype(float)
            spread = np.cov(np.stack(np.nonzero(light)), aweights=light[light > 0])
            yield np.sqrt(np.linalg.eigvalsh(spread))[::-1]

    lengths = set()
    for along, across in extents(intensity=0.0):
        assert across < 0.75  # a line one pixel wide
        lengths.add(round(along / (20 / np.sqrt(12)), 1))
    assert lengths <= {0.1, 0.2, 0.5, 0.6, 1.0, 1.1}  # the exposures, 0.1, 0.5 and all
    assert max(across for _, across in extents(intensity=(0.002, 0.004))) > 0.9


@pytest.mark.parametrize("grid", [1, 2])
def test_the_sharp_side_may_be_late(tmp_path, grid):
    write_dot(tmp_path)
    options = {"crop": None, "flip": False, "gamma": 1.0, "repeat": True, "grid": grid}
    straight = {"intensity": 0.0, "max_length": 20.0}
    off = []
    dataset = datasets.synthetic(tmp_path, late=0.1, **straight, **options)
    for blurred, _ in levels(dataset.take(12)):
        light = blurred[0, ..., 0].astype(float)
        middle = [np.average(axis, weights=light) - 32 for axis in np.mgrid[:64, :64]]
        off.append(np.hypot(*middle))
    assert max(off) <= 2.1  # a tenth of 20 pixels at most, which is all of it for one kernel
    if grid == 1:
        assert {round(one, 1) for one in off} <= {0.2, 1.0, 2.0, 0.1, 0.3, 0.9, 1.1, 1.9, 2.1}
    assert max(off) > 0.9


@pytest.mark.parametrize("grid", [1, 2])
def test_of_smooth_paths_the_sharp_side_is_what_the_middle_of_the_time_saw(tmp_path, grid):
    write_dot(tmp_path)
    options = {"crop": None, "flip": False, "gamma": 1.0, "repeat": True, "grid": grid}

    def lit(**kind):
        dataset = datasets.synthetic(tmp_path, max_length=50.0, **kind, **options)
        return [blurred[0, 31:34, 31:34, 0].any() for blurred, _ in levels(dataset.take(40))]

    assert all(lit(paths="smooth"))
    if grid == 1:  # else the four kernels of the corners are blended there
        assert not all(lit())  # a knot has its centroid anywhere


def copies(kernel):
    """Counts the pieces of a kernel that do not touch."""
    return cv2.connectedComponents((kernel > 0).astype(np.uint8))[0] - 1


@pytest.mark.parametrize("grid", [1, 2])
def test_camera_and_things_are_seen_by_one_video(grid):
    way = {"intensity": 0.0, "max_length": 400.0, "kernel_size": 404}
    motions = [
        shots.Motions(5, 0.0, sides, **way, frames=(3, 6), duty=0.001, things=things)
        for sides, things in ((grid, False), (1, True))
    ]
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shots, "_BANK", 4)
        for visit in range(2):
            camera, thing = (motion[visit] for motion in motions)
            camera = camera.reshape(-1, *camera.shape[-2:])[0]
            seen.append(copies(camera))
            assert copies(thing) == seen[-1]
    assert set(seen) <= {3, 4, 5, 6}


def test_what_is_out_of_focus_is_so_on_both_sides(tmp_path):
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 255
    images.write(tmp_path / "1.png", stripes)
    options = {"crop": 64, "flip": False, "max_length": 0.01, "gamma": 1.0, "repeat": True}
    soft = []
    for blurred, sharp in levels(datasets.synthetic(tmp_path, defocus=1.0, **options).take(12)):
        np.testing.assert_allclose(blurred.astype(int), sharp, atol=3)  # hardly any motion
        contrast = np.abs(np.diff(sharp[0, ..., 0].astype(int), axis=1))
        soft.append((contrast < 128).mean())
    assert max(soft) == 1 and min(soft) < 1 and np.mean(soft) > 0.2
    for _, sharp in levels(datasets.synthetic(tmp_path, **options).take(2)):
        assert set(np.unique(sharp)) == {0, 255}


OFF = {
    "rotation": 0.0,
    "grid": 1,
    "highlights": 1.0,
    "shot_noise": 0.0,
    "read_noise": 0.0,
    "jpeg": None,
    "objects": 0.0,
    "defocus": 0.0,
    "intensity": None,
    "late": 0.0,
    "frames": 1,
    "duty": 1.0,
    "paths": "shake",
}


@pytest.mark.parametrize("options", [{}, OFF])
def test_what_is_off_leaves_every_bit_as_it_was(tmp_path, options):
    # The visits written out as they were before there was anything to switch on.
    pictures = [photograph(seed, 70, 80) for seed in (1, 2, 3)]
    for number, picture in enumerate(pictures):
        images.write(tmp_path / f"{number}.png", picture)
    kind = {"max_length": 20.0, "noise": (0.0, 5.0), "scale": (0.5, 1.0)}
    dataset = datasets.synthetic(tmp_path, 32, 1, seed=7, shuffle=False, **kind, **options)
    kernels = blur.random_psfs(128, seed=np.random.default_rng([3, 7, 0]), max_length=20.0)
    for index, (blurred, sharp) in enumerate(levels(dataset)):
        generator = np.random.default_rng([2, 7, 0, index])
        picture = images.resize(pictures[index], (0.5, 1.0)[generator.integers(2)])
        height, width = picture.shape[:2]
        top, left = generator.integers([height - 32, width - 32], endpoint=True)
        low = [max(top - 33, 0), max(left - 33, 0)]
        window = picture[low[0] : top + 65, low[1] : left + 65]
        noise = generator.uniform(0.0, 5.0)
        expected = blur.motion_blur(window, kernels[index], noise=noise, seed=generator)
        inside = np.s_[top - low[0] :, left - low[1] :]
        pair = [expected[inside][:32, :32], picture[top:, left:][:32, :32]]
        if generator.random() < 0.5:
            pair = [side[:, ::-1] for side in pair]
        np.testing.assert_array_equal(blurred[0], pair[0])
        np.testing.assert_array_equal(sharp[0], pair[1])


@pytest.mark.parametrize(
    "options",
    [
        {"rotation": 5.0},
        {"grid": 3},
        {"highlights": 4.0},
        {"jpeg": 60},
        {"rotation": 5.0, "highlights": 2.0, "jpeg": 90},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_a_camera_adds_is_that_of_the_whole_photograph(tmp_path, options):
    picture = photograph(5, 150, 201).copy()
    picture[60:90, 40:140] = 255
    path = images.write(tmp_path / "1.png", picture)
    dataset = datasets.synthetic(
        path, crop=32, flip=False, seed=3, max_length=20.0, kernel_size=32, repeat=True, **options
    )
    seed = np.random.default_rng([3, 3, 0])
    if "rotation" in options:
        motions = blur.random_shakes(128, seed, rotation=5.0, max_length=20.0)
    elif "grid" in options:
        motions = blur.random_psf_grids(128 // 9, seed, sides=3, size=32, max_length=20.0)
    else:
        motions = blur.random_psfs(128, seed, size=32, max_length=20.0)
    camera = {name: options[name] for name in ("highlights", "jpeg") if name in options}
    for number, (blurred, sharp) in enumerate(levels(dataset.take(12))):
        if (sharp == 255).all():
            continue  # could be anywhere in the white
        place = where(picture, sharp[0])
        whole = blur.motion_blur(picture, motions[number], **camera)[place]
        difference = np.abs(blurred[0].astype(int) - whole)
        # A level that rounds the other way may change a JPEG coefficient by a step. Blocks that
        # lay elsewhere would make it 2.8 levels on average at quality 60, and 1.3 at 90.
        several = len(options) > 1
        assert np.quantile(difference, 0.99) <= (6 if several else 2)
        assert difference.mean() < (0.9 if several else 0.3)


def test_camera_options_are_drawn_each_visit_and_repeat_with_the_seed(tmp_path):
    images.write(tmp_path / "1.png", photograph(6, 64, 64))

    def crops(**options):
        dataset = datasets.synthetic(
            tmp_path, crop=48, flip=False, seed=4, max_length=5.0, repeat=True, **options
        )
        return np.concatenate([blurred for blurred, _ in levels(dataset.take(4))])

    off = crops()
    for options in (
        {"rotation": 3.0},
        {"grid": 2},
        {"shot_noise": (0.0, 0.1)},
        {"read_noise": 0.05},
        {"jpeg": (30, 90)},
    ):
        first = crops(**options)
        np.testing.assert_array_equal(first, crops(**options))
        assert all(not np.array_equal(*pair) for pair in zip(first, off, strict=True)), options
    everything = {"shot_noise": 0.02, "read_noise": (0.0, 0.01), "jpeg": 80, "noise": 1.0}
    kinds = {"rotation": 1.0, "highlights": (1.0, 5.0), **everything}
    np.testing.assert_array_equal(crops(**kinds), crops(**kinds))


def test_sensor_noise_grows_with_the_light(tmp_path):
    picture = np.repeat(np.linspace(60, 200, 4).astype(np.uint8), 32)[None].repeat(128, axis=0)
    images.write(tmp_path / "1.png", picture)
    dataset = datasets.synthetic(
        tmp_path, crop=128, flip=False, gamma=1.0, max_length=1e-3, shot_noise=0.1
    )
    ((blurred, _),) = levels(dataset)
    for band, level in enumerate(np.linspace(60, 200, 4).astype(np.uint8)):
        spread = blurred[0, :, band * 32 + 2 : band * 32 + 30].std() / 255
        assert spread == pytest.approx(0.1 * np.sqrt(level / 255), rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rotation": -1}, "rotation must be 0 to 45"),
        ({"grid": 0}, "grid a whole number"),
        ({"grid": 1.5}, "grid a whole number"),
        ({"grid": 2, "rotation": 1}, "not both"),
        ({"highlights": 0.5}, "highlights must be a number of at least 1"),
        ({"shot_noise": (0.2, 0.1)}, "shot_noise must be"),
        ({"read_noise": np.nan}, "read_noise must be"),
        ({"jpeg": 0}, "jpeg must be a number from 1 to 100"),
        ({"jpeg": (50, 80.5)}, "jpeg must be whole numbers"),
        ({"objects": 1.5}, "objects must be a share"),
        ({"defocus": -0.1}, "defocus must be a share"),
        ({"max_length": (0, 5)}, "max_length must be"),
        ({"intensity": (0, 2)}, "intensity must be a number from 0 to 1"),
        ({"intensity": (0, 1, 0.5)}, "intensity must be a number"),
        ({"intensity": "script"}, "intensity must be a number"),
        ({"intensity": (0.1, 0)}, "the lower one first"),
        ({"late": 0.6}, "late must be a number from 0 to 0.5"),
        ({"late": []}, "late must be"),
        ({"late": None}, "late must be"),
        ({"objects": "x"}, "objects must be a share"),
        ({"gamma": 0}, "gamma must be a number above 0"),
        ({"gamma": "x"}, "gamma must be a number above 0"),
        ({"kernel_size": 63}, "kernel_size must be .* at least 64 for paths of 60 px"),
        ({"kernel_size": 2.5}, "kernel_size must be a whole number"),
        ({"late": 0.1, "rotation": 1}, "late must be 0 where the camera rolls"),
        ({"paths": "x"}, "paths must be one of shake, smooth"),
        ({"paths": "smooth", "intensity": 0}, "intensity is of paths"),
        ({"paths": "smooth", "rotation": 1}, 'paths must be "shake" where the camera rolls'),
        ({"paths": "smooth", "kernel_size": 123}, "at least 124 for paths of 60 px"),
        ({"frames": 0}, "frames must be a number of at least 1"),
        ({"frames": (7, 9.5)}, "frames must be whole numbers"),
        ({"duty": 0}, "duty must be a number from 0.001 to 1"),
        ({"duty": (0.5, 2)}, "duty must be a number from"),
        ({"frames": 8, "rotation": 1}, "frames must be 1, and duty too, where the camera rolls"),
    ],
)
def test_camera_options_out_of_range(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        datasets.synthetic(tmp_path, **wrong)


@pytest.mark.parametrize("late", [0.0, 0.0625, 0.5])
@pytest.mark.parametrize("length", [20.0, 60.0, 120.0])
def test_kernels_are_chosen_so_that_the_straightest_path_fits(length, late):
    side = shots.kernel_side(None, (6.0, length), late)
    kernels = blur.random_psfs(64, 0, side, length, intensity=0.0, exposure=1.0, late=late)
    assert kernels.shape == (64, side, side)
    tightest = shots.kernel_side(int(np.ceil((1 + 2 * late) * length)) + 4, length, late)
    blur.random_psfs(64, 0, tightest, length, intensity=0.0, exposure=1.0, late=late)
    assert shots.kernel_side(None, 60.0, 0.0) == 64  # streams made before are as they were

    side = shots.kernel_side(None, (6.0, length), late, "smooth")
    kernels = blur.random_psf_grids(64, 0, 2, side, length, late=late, paths="smooth")
    assert kernels.shape == (64, 2, 2, side, side)


# Averaged frames


@pytest.mark.parametrize(("even", "beyond"), [(0.0, {0}), (1.0, {5}), (0.5, {0, 5})])
def test_means_of_even_numbers_of_frames_are_half_a_frame_late(tmp_path, even, beyond):
    for number in range(25):
        images.write(tmp_path / f"{number:02}.png", np.full((32, 32, 3), 10 * number, np.uint8))
    dataset = datasets.averaged(tmp_path, window=(3, 9), crop=32, gamma=1.0, even=even, seed=4)
    late = {int(blurred[0, 0, 0, 0]) - int(sharp[0, 0, 0, 0]) for blurred, sharp in levels(dataset)}
    assert late == beyond
    with pytest.raises(ValueError, match="even must be a share"):
        datasets.averaged(tmp_path, even=2)


def test_steps_between_frames_make_motion_faster(tmp_path):
    for number in range(16):
        images.write(tmp_path / f"{number:02}.png", np.full((32, 32, 3), number**2, np.uint8))

    def spreads(**options):
        kind = {"window": 3, "crop": 32, "gamma": 1.0, "shuffle": False, **options}
        dataset = datasets.averaged(tmp_path, **kind)
        return [
            int(blurred[0, 0, 0, 0]) - int(sharp[0, 0, 0, 0]) for blurred, sharp in levels(dataset)
        ]

    # The mean of (m - s)^2, m^2 and (m + s)^2 is m^2 + 2/3 s^2.
    assert spreads(step=3) == [6] * (16 - 2 * 3)
    drawn = spreads(step=(1, 4))
    assert len(drawn) == 14 and set(drawn) == {1, 3, 6, 11}
    assert drawn[0] == drawn[-1] == 1  # at the ends larger steps do not fit
    with pytest.raises(ValueError, match="step must be whole numbers"):
        datasets.averaged(tmp_path, step=1.5)
    with pytest.raises(datasets.DatasetError, match="at least 27 consecutive"):
        datasets.averaged(tmp_path, window=3, step=13)


def write_frames(folder, count, height=40, width=40, start=0):
    """Frames whose levels are 10 x their number, named without leading zeros."""
    for number in range(start, start + count):
        picture = coordinates(height, width, 10 * number)
        images.write(folder / f"frame{number}.png", picture)
    return folder


def test_averaged_is_the_mean_of_a_window_around_the_sharp_frame(tmp_path):
    write_frames(tmp_path, 12)
    dataset = datasets.averaged(tmp_path, window=(3, 7), crop=16, gamma=1.0, flip=False)
    assert len(dataset) == 10  # all but the first and the last
    middles = []
    for blurred, sharp in levels(dataset):
        middles.append(int(sharp[0, 0, 0, 2]) // 10)
        np.testing.assert_array_equal(blurred, sharp)  # a linear ramp has its middle as mean
    assert sorted(middles) == list(range(1, 11))


def test_window_lengths_are_odd_and_fit(tmp_path):
    for number in range(9):
        images.write(
            tmp_path / f"{number}.png", np.full((16, 16, 3), 255 * (number == 4), np.uint8)
        )
    dataset = datasets.averaged(
        tmp_path, window=(3, 8), crop=16, gamma=1.0, shuffle=False, repeat=True, cache=True
    )
    seen = {}
    for index, (blurred, _) in enumerate(levels(dataset.take(7 * 25))):
        seen.setdefault(index % 7 + 1, set()).add(int(blurred[0, 0, 0, 0]))
    thirds = {round(255 / length) for length in (3, 5, 7)}
    assert seen[3] == seen[4] == thirds  # in the middle every length fits
    assert seen[2] == {0, 51}  # three frames do not reach the bright one, seven do not fit
    assert seen[1] == {0}  # at the ends only the shortest does, which the bright frame is not in


def test_averaging_is_in_linear_light(tmp_path):
    for number, level in enumerate((0, 0, 255)):
        images.write(tmp_path / f"{number}.png", np.full((16, 16, 3), level, np.uint8))
    ((blurred, sharp),) = levels(datasets.averaged(tmp_path, window=3, crop=16))
    assert (sharp == 0).all()
    assert (blurred == round(255 * (1 / 3) ** (1 / 2.2))).all()


def test_windows_stay_within_their_video(tmp_path):
    write_frames(tmp_path / "one", 5)
    write_frames(tmp_path / "two", 5, start=10)
    write_frames(tmp_path / "short", 2, start=20)
    dataset = datasets.averaged(tmp_path, window=5, crop=16, gamma=1.0)
    assert sorted(int(blurred[0, 0, 0, 2]) for blurred, _ in levels(dataset)) == [20, 120]


def test_averaged_refuses_what_cannot_be(tmp_path):
    write_frames(tmp_path, 4)
    with pytest.raises(DatasetError, match="at least 7 consecutive frames; found 4 images in 1"):
        datasets.averaged(tmp_path)
    for window in (1, 4, (9, 7)):
        with pytest.raises(ValueError, match="window"):
            datasets.averaged(tmp_path, window=window)
    images.write(tmp_path / "frame1.png", coordinates(30, 30))
    with pytest.raises(tf.errors.OpError, match="differ in size"):
        list(datasets.averaged(tmp_path, window=3, crop=16))


# Mixtures


def test_mix_keeps_the_ratio_and_repeats_from_the_seed():
    def kinds(seed):
        streams = [tf.data.Dataset.from_tensors(value).repeat() for value in (0, 1)]
        mixed = datasets.mix(streams, weights=[2, 1], seed=seed).take(900)
        return np.array(list(mixed.as_numpy_iterator()))

    assert abs(kinds(0).mean() - 1 / 3) < 0.05
    np.testing.assert_array_equal(kinds(0), kinds(0))
    assert not np.array_equal(kinds(0), kinds(1))


def test_mix_of_real_streams_keeps_the_shape(tmp_path):
    write_pairs(tmp_path, 2)
    real = datasets.paired(tmp_path, crop=16, batch=2, scale=1.0, repeat=True)
    synthetic = datasets.synthetic(tmp_path / "sharp", crop=16, batch=2, repeat=True)
    mixed = datasets.mix([synthetic, real], weights=[2, 1])
    assert mixed.element_spec == real.element_spec
    assert mixed.cardinality() == tf.data.INFINITE_CARDINALITY
    assert all(sharp.shape == (2, 16, 16, 3) for _, sharp in mixed.take(6))


def test_synthetic_and_real_pairs_come_at_2_to_1_as_in_the_paper(tmp_path):
    write_pairs(tmp_path / "pairs", 3, 20, 20)  # whose blue is the number, up to 2
    for number in range(3):
        images.write(
            tmp_path / "photographs" / f"{number}.png", np.full((20, 20, 3), 200, np.uint8)
        )
    options = {"crop": 16, "scale": 1.0, "repeat": True, "cache": True}
    draws, bound = 600, 3.5 * np.sqrt(600 * 2 / 3 * 1 / 3)  # binomial, one in two thousand
    counts = []
    for seed in (0, 1):
        synthetic = datasets.synthetic(
            tmp_path / "photographs", kernel_size=16, max_length=8.0, seed=seed, **options
        )
        real = datasets.paired(tmp_path / "pairs", seed=seed, **options)
        combined = datasets.mix([synthetic, real], weights=[2, 1], seed=seed).take(draws)
        kinds = np.concatenate([sharp[:, 0, 0, 2] == 200 for _, sharp in levels(combined)])
        counts.append(kinds.sum())
        assert abs(kinds.sum() - draws * 2 / 3) < bound
        # One by one, in no pattern: as many changes of kind as independent draws have.
        changes = (kinds[1:] != kinds[:-1]).sum()
        assert abs(changes - (draws - 1) * 2 * 2 / 9) < 60
    assert counts[0] != counts[1]


@pytest.mark.parametrize("weights", [[1], [1, 0], [1, -1]])
def test_mix_refuses_weights_that_do_not_fit(weights):
    streams = [tf.data.Dataset.from_tensors(0)] * 2
    with pytest.raises(ValueError, match="one positive weight for each of the 2 streams"):
        datasets.mix(streams, weights)
