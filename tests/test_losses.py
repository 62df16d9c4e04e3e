import keras
import numpy as np
import pytest

from deblur_keras import PerceptualLoss, losses

BLACK = np.zeros((2, 4, 5, 3), "float32")


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (losses.mean_squared_error, [0.25, 0.0]),
        (losses.mean_absolute_error, [0.5, 0.0]),
        (losses.charbonnier, [np.sqrt(0.25 + 1e-6), 1e-3]),
        (losses.negative_psnr, [10 * np.log10(0.25 / 4 + 1e-8), -80.0]),
    ],
)
def test_closed_forms_of_one_value_an_image(function, expected):
    restored = BLACK.copy()
    restored[0] = 0.5
    np.testing.assert_allclose(function(BLACK, restored), expected, rtol=1e-5, atol=1e-7)


def test_image_loss_averages_and_survives_serialization():
    restored = BLACK.copy()
    restored[0] = 0.5
    loss = losses.ImageLoss("mae")
    assert float(loss(BLACK, restored)) == pytest.approx(0.25)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == {
        "content": "mae",
        "name": "mae",
        "reduction": "sum_over_batch_size",
    }


def test_total_variation_of_a_ramp_and_a_dot():
    ramp = np.zeros((2, 4, 5, 3), "float32") + np.arange(5, dtype="float32")[:, None]
    ramp[1] = 0
    ramp[1, 2, 2, 0] = 3.0  # differs by 3 from its four neighbours
    expected = [4 / 5, 4 * 3.0 / (4 * 5 * 3)]
    np.testing.assert_allclose(losses.total_variation(BLACK, ramp), expected, rtol=1e-6)
    np.testing.assert_allclose(losses.total_variation(ramp, BLACK), 0.0)
    np.testing.assert_allclose(losses.total_variation(BLACK[:, :1], ramp[:, :1]), [4 / 5, 0.0])


def test_total_variation_is_the_sum_of_numpys_differences():
    image = np.random.default_rng(0).uniform(-1, 1, (3, 6, 7, 2))
    expected = sum(np.abs(np.diff(image, axis=axis)).sum((1, 2, 3)) for axis in (1, 2)) / (
        6 * 7 * 2
    )
    np.testing.assert_allclose(losses.total_variation(image, image), expected, rtol=1e-5)


def test_a_weighted_sum_adds_its_terms():
    images = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
    perceptual = PerceptualLoss("vgg16", "block1_conv1", weights=None)
    loss = losses.WeightedSum([(2.0, perceptual), (0.5, "mse"), (3, "total_variation")])
    expected = (
        2.0 * perceptual(images, -images)
        + 0.5 * losses.mean_squared_error(images, -images)
        + 3.0 * losses.total_variation(images, -images)
    )
    assert loss(images, -images).shape == (2,)
    np.testing.assert_allclose(loss(images, -images), expected, rtol=1e-5)
    assert "vgg16 block1_conv1" in repr(loss)


@pytest.mark.parametrize(
    "content", [{"mae": 1.0, "mse": 2}, [(1.0, "mae"), (2, losses.mean_squared_error)]]
)
def test_get_makes_sums_of_dictionaries_and_lists(content):
    restored = BLACK + np.float32(0.5)
    np.testing.assert_allclose(losses.get(content)(BLACK, restored), 0.5 + 2 * 0.25)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "at least one"),
        (["mae"], r"is \(weight, content\); received 'mae'"),
        ([("mae", 1.0)], "must be a number.*received 'mae'"),
        ([(-1, "mae")], "at least 0; received -1"),
        ([(float("nan"), "mae")], "at least 0; received nan"),
        ([(1.0, "l3")], "received 'l3'"),
    ],
)
def test_wrong_sums_are_named(terms, message):
    with pytest.raises(ValueError, match=message):
        losses.WeightedSum(terms)


def test_image_loss_of_a_sum_survives_serialization():
    loss = losses.ImageLoss({"mae": 1.0, "total_variation": 0.1})
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert again.get_config() == loss.get_config()
    assert again.name == "mae_total_variation"
    assert float(again(BLACK, BLACK + np.float32(0.5))) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="takes a name"):
        losses.ImageLoss(losses.charbonnier)


def test_get_knows_names_and_callables():
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get(max) is max
    with pytest.raises(ValueError, match=r"'charbonnier'.*received 'l3'"):
        losses.get("l3")
