import numpy as np
import pytest

from deblur_keras import critics


def test_parameters_and_map_of_the_reference():
    critic = critics.patch_critic()
    assert critic.count_params() == 2_764_737
    assert critic.compute_output_shape((1, 256, 256, 3)) == (1, 35, 35, 1)


def test_five_layers_are_the_full_critic_of_the_second_version():
    critic = critics.patch_critic(layers=5)
    assert critic.count_params() == 11_154_369
    assert critic.compute_output_shape((1, 256, 256, 3)) == (1, 11, 11, 1)


def test_without_norm_a_score_sees_70_pixels_alone():
    critic = critics.patch_critic(filters=4, norm="none")
    image = np.zeros((1, 256, 256, 3), "float32")
    changed = image.copy()
    changed[0, 128, 128] = 1.0
    difference = np.abs(np.asarray(critic(changed) - critic(image)))[0, :, :, 0] > 0
    rows = np.flatnonzero(difference.any(axis=1))
    # A score every 8 pixels, and each sees 70: at most 9 of them see one pixel.
    assert 1 <= len(rows) <= 9
    assert not difference[0].any()


def test_the_score_is_unbounded():
    critic = critics.patch_critic(filters=4)
    critic.get_layer("score").bias.assign([100.0])
    score = critic(np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32"))
    assert np.asarray(score).min() > 50


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="norm must be"):
        critics.patch_critic(norm="batch")
    with pytest.raises(ValueError, match="layers must be at least 1"):
        critics.patch_critic(layers=0)
