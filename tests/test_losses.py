import keras
import numpy as np
import pytest

from deblur_keras import losses

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


def test_get_knows_names_and_callables():
    assert losses.get("mse") is losses.mean_squared_error
    assert losses.get(max) is max
    with pytest.raises(ValueError, match=r"'charbonnier'.*received 'l3'"):
        losses.get("l3")
