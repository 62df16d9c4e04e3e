import numpy as np
import pytest
import tensorflow as tf

from deblur_keras.trainers import ImagePool


def numbered(*numbers):
    """Images of one pixel whose value is their number."""
    return tf.reshape(tf.constant(numbers, tf.float32), (-1, 1, 1, 1))


def numbers(images):
    return np.asarray(images).ravel().astype(int).tolist()


def visits(pool, count, start=0):
    """Shows images start, start + 1, ... one by one; returns what came out."""
    call = tf.function(pool)
    return np.array([numbers(call(numbered(n)))[0] for n in range(start, start + count)])


def test_while_filling_it_returns_the_new_images():
    pool = ImagePool(size=5)
    assert numbers(pool(numbered(1, 2, 3))) == [1, 2, 3]
    assert numbers(pool(numbered(4, 5))) == [4, 5]
    assert numbers(pool.images[0]) == [1, 2, 3, 4, 5]


def test_a_batch_may_fill_it_and_go_on():
    pool = ImagePool(size=2)
    shown = numbers(pool(numbered(*range(20))))
    assert shown[:2] == [0, 1]
    # Whatever was not shown is held: nothing is lost and nothing made up.
    assert sorted(shown + numbers(pool.images[0])) == sorted([*range(20), *shown[:2]])


def test_full_it_swaps_half_of_the_images_for_random_ones():
    size, count = 10, 3000
    pool = ImagePool(size)
    shown = visits(pool, count + size)[size:]
    fresh = shown == np.arange(size, count + size)
    assert abs(fresh.mean() - 0.5) < 0.04  # more than four deviations
    # A stored image waits for as many swaps as a geometric distribution of mean 10 says: 20 visits.
    age = (np.arange(size, count + size) - shown)[~fresh][200:]
    assert abs(age.mean() - 2 * size) < 2
    assert len(np.unique(shown[~fresh])) == (~fresh).sum()  # each is shown again at most once


def test_every_place_is_swapped_alike():
    size, counts = 4, np.zeros(4)
    pool = ImagePool(size, seed=3)
    call, held = tf.function(pool), list(range(size))
    call(numbered(*held))
    for number in range(size, 1200):
        (shown,) = numbers(call(numbered(number)))
        if shown != number:
            counts[held.index(shown)] += 1
            held[held.index(shown)] = number
    assert numbers(pool.images[0]) == held
    expected = counts.sum() / size
    assert ((counts - expected) ** 2 / expected).sum() < 16.3  # chi-square, 3 degrees, 0.1 %


def test_size_0_passes_everything_through():
    pool = ImagePool(size=0)
    assert numbers(pool(numbered(1, 2))) == [1, 2]
    assert numbers(pool.images[0]) == []


def test_the_seed_decides():
    first, second, other = (visits(ImagePool(3, seed), 60).tolist() for seed in (1, 1, 2))
    assert first == second != other


def test_inside_and_outside_of_a_function_it_is_the_same():
    inside = visits(ImagePool(3), 30).tolist()
    pool = ImagePool(3)
    assert [numbers(pool(numbered(n)))[0] for n in range(30)] == inside


def test_shape_type_and_gradient():
    pool = ImagePool(2)
    call = tf.function(pool, input_signature=[tf.TensorSpec((None, 4, 5, 3), tf.float16)])
    images = tf.random.uniform((3, 4, 5, 3), dtype=tf.float16)
    assert call.get_concrete_function().structured_outputs.shape == (None, 4, 5, 3)
    assert call(images).dtype == tf.float16
    x = tf.Variable(numbered(1))
    with tf.GradientTape() as tape:
        shown = ImagePool(2)(x * 2.0)
    assert tape.gradient(shown, x) is None


def test_a_checkpoint_holds_images_and_random_numbers(tmp_path):
    pool = ImagePool(4, seed=1)
    visits(pool, 20)
    path = tf.train.Checkpoint(pool=pool).save(str(tmp_path / "state"))
    held, after = numbers(pool.images[0]), visits(pool, 20, start=20).tolist()
    again = ImagePool(4, seed=1)
    tf.train.Checkpoint(pool=again).restore(path).assert_existing_objects_matched()
    assert numbers(again.images[0]) == held
    assert visits(again, 20, start=20).tolist() == after


def test_a_pool_that_is_not_full_yet_is_kept_too(tmp_path):
    pool = ImagePool(4)
    pool(numbered(1, 2))
    path = tf.train.Checkpoint(pool=pool).save(str(tmp_path / "state"))
    again = ImagePool(4)
    again(numbered(7, 8, 9))
    tf.train.Checkpoint(pool=again).restore(path)
    assert numbers(again(numbered(3, 4))) == [3, 4]
    assert numbers(again.images[0]) == [1, 2, 3, 4]


def test_each_replica_has_a_pool_of_its_own(tmp_path):
    devices = tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        pytest.skip("needs two logical devices, which tests/conftest.py makes")
    strategy = tf.distribute.MirroredStrategy([device.name for device in devices[:2]])

    def distributed():
        with strategy.scope():
            return ImagePool(size=5, seed=2)

    def show(pool, count, start):
        @tf.function
        def step(image):
            return strategy.run(pool, args=(image,))

        shown = []
        for number in range(start, start + count):
            # Replica 0 is given the number itself, replica 1 a thousand more.
            given = strategy.experimental_distribute_values_from_function(
                lambda context, number=number: numbered(
                    number + 1000 * context.replica_id_in_sync_group
                )
            )
            local = strategy.experimental_local_results(step(given))
            shown.append([numbers(one)[0] for one in local])
        return np.array(shown)

    pool = distributed()
    shown = show(pool, 40, start=0)
    np.testing.assert_array_equal(shown[:5], np.arange(5)[:, None] + [0, 1000])
    assert [len(numbers(images)) for images in pool.images] == [5, 5]
    assert (shown[:, 0] < 1000).all() and (shown[:, 1] >= 1000).all()
    assert (shown[:, 0] != shown[:, 1] - 1000).any()  # and its own coins

    path = tf.train.Checkpoint(pool=pool).save(str(tmp_path / "state"))
    again = distributed()
    tf.train.Checkpoint(pool=again).restore(path).assert_existing_objects_matched()
    for old, new in zip(pool.images, again.images, strict=True):
        assert numbers(old) == numbers(new)
    np.testing.assert_array_equal(show(pool, 20, start=40), show(again, 20, start=40))

    with pytest.raises(RuntimeError, match=r"made for 1 replica\(s\).*scope\(\)"):
        show(ImagePool(size=5), 1, start=0)


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="must not be negative; received -1 and 0"):
        ImagePool(-1)
    pool = ImagePool(4)
    pool(tf.zeros((1, 8, 8, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="images of one size"):
        tf.function(pool)(tf.zeros((1, 4, 8, 3)))
