import keras
import numpy as np
import pytest
import tensorflow as tf

from deblur_keras.perceptual import CAFFE_MEAN_BGR, PerceptualLoss

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(-1, 1, (2, 16, 16, 3)).astype("float32")
EARLY = {"network": "vgg19", "layer": "block1_conv2"}


def arrays(layer="block1_conv2"):
    """Random weights up to a layer, as {layer name: (kernel, bias)}."""
    channels = {"block1_conv1": (3, 64), "block1_conv2": (64, 64)}
    return {
        name: (
            RNG.normal(0, 0.05, (3, 3, *channels[name])).astype("float32"),
            RNG.normal(0, 1, channels[name][1]).astype("float32"),
        )
        for name in channels
    }


def numpy_features(images, weights, activation):
    """The first two convolutions in NumPy, fed as Keras feeds its VGG."""
    x = (images[..., ::-1] + 1) * 127.5 - np.array(CAFFE_MEAN_BGR)
    for index, (kernel, bias) in enumerate(weights.values()):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        x = np.einsum("bhwcyx,yxco->bhwo", windows, kernel) + bias
        if index == 0 or activation == "post":
            x = np.maximum(x, 0)
    return x


@pytest.mark.parametrize("activation", ["pre", "post"])
def test_features_and_loss_are_those_of_numpy(activation, tmp_path):
    weights = arrays()
    named = {f"{n}_{part}": a for n, (k, b) in weights.items() for part, a in
             (("kernel", k), ("bias", b))}  # fmt: skip
    np.savez(tmp_path / "vgg.npz", **named)
    loss = PerceptualLoss(**EARLY, weights=tmp_path / "vgg.npz", activation=activation)
    expected = numpy_features(IMAGES, weights, activation) / 127.5
    np.testing.assert_allclose(loss.extract(IMAGES), expected, rtol=1e-3, atol=1e-3)
    other = IMAGES[::-1]
    difference = expected - numpy_features(other, weights, activation) / 127.5
    np.testing.assert_allclose(
        loss(IMAGES, other), np.square(difference).mean((1, 2, 3)), rtol=1e-3
    )
    np.testing.assert_array_equal(loss(IMAGES, IMAGES), 0.0)


def test_features_are_homogeneous_in_the_unit_of_the_input(tmp_path):
    """Scaled by 1 / 127.5 they are the features of a network fed with [-1, 1]: biases / 127.5."""
    weights = arrays()
    named = {f"{n}_{part}": a for n, (k, b) in weights.items() for part, a in
             (("kernel", k), ("bias", b))}  # fmt: skip
    np.savez(tmp_path / "vgg.npz", **named)
    ours = PerceptualLoss(**EARLY, weights=tmp_path / "vgg.npz").extract(IMAGES)
    x = IMAGES[..., ::-1] + 1 - np.array(CAFFE_MEAN_BGR, "float32") / 127.5
    for index, (kernel, bias) in enumerate(weights.values()):
        x = tf.nn.conv2d(x, kernel, 1, "SAME") + bias / 127.5
        x = tf.nn.relu(x) if index == 0 else x
    np.testing.assert_allclose(ours, x, atol=1e-4)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
@pytest.mark.parametrize("network", ["vgg16", "vgg19"])
def test_keras_files_give_the_features_of_keras_own_network(network, suffix, tmp_path):
    keras.utils.set_random_seed(2)
    application = {"vgg16": keras.applications.VGG16, "vgg19": keras.applications.VGG19}[network]
    whole = application(weights=None, include_top=False, input_shape=(32, 32, 3))
    for variable in whole.weights:  # biases too, or a lost one would not show
        variable.assign(RNG.normal(0, 0.05, variable.shape))
    path = tmp_path / f"vgg{suffix}"
    if suffix == ".h5":
        save_in_keras_2_layout(whole, path)
    else:
        whole.save_weights(path)
    loss = PerceptualLoss(network, "block2_conv1", weights=path, activation="post")
    reference = keras.Model(whole.input, whole.get_layer("block2_conv1").output)
    images = RNG.uniform(-1, 1, (1, 32, 32, 3)).astype("float32")
    application_input = getattr(keras.applications, network).preprocess_input(
        (images + 1) * 127.5, data_format="channels_last"
    )
    np.testing.assert_allclose(
        loss.extract(images) * 127.5, reference(application_input), rtol=1e-3, atol=1e-2
    )


def save_in_keras_2_layout(model, path):
    """Writes the layout of the weights file that Keras itself downloads."""
    import h5py

    with h5py.File(path, "w") as file:
        for layer in model.layers:
            group = file.create_group(layer.name)
            for name, value in zip(("W_1:0", "b_1:0"), layer.get_weights(), strict=False):
                group[f"{layer.name}_{name}"] = value


def test_gradient_reaches_the_restored_image_alone(caplog):
    loss = PerceptualLoss(**EARLY, weights=None)
    assert "random weights" in caplog.text
    sharp, restored = tf.constant(IMAGES), tf.constant(IMAGES[::-1])
    with tf.GradientTape() as tape:
        tape.watch([sharp, restored])
        value = loss(sharp, restored)
    to_sharp, to_restored = tape.gradient(value, [sharp, restored])
    assert to_sharp is None
    assert np.abs(to_restored).max() > 0
    assert not loss.features.trainable_variables


def test_default_is_the_authors_layer():
    features = PerceptualLoss(weights=None).features
    assert [layer.name for layer in features.layers][-1] == "block3_conv3"
    assert features.layers[-1].activation is keras.activations.linear
    assert features.compute_output_shape((1, 64, 64, 3)) == (1, 16, 16, 256)


def test_offline_without_a_file_names_three_ways(monkeypatch):
    def offline(**_):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(keras.applications, "VGG19", offline)
    with pytest.raises(RuntimeError, match=r"\(1\) pass a file.*\(2\) put.*\(3\) connect"):
        PerceptualLoss()


def test_keras_own_weights_are_taken_from_its_application(monkeypatch):
    def cached(weights, include_top):
        assert (weights, include_top) == ("imagenet", False)
        return keras.Sequential(
            [
                keras.Input((None, None, 3)),
                keras.layers.Conv2D(64, 3, name="block1_conv1", bias_initializer="ones"),
            ]
        )

    monkeypatch.setattr(keras.applications, "VGG19", cached)
    loss = PerceptualLoss(layer="block1_conv1")
    np.testing.assert_array_equal(loss.features.get_layer("block1_conv1").bias, 1.0)


def test_wrong_files_and_arguments_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        PerceptualLoss(weights=tmp_path / "none.npz")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(ValueError, match=r"received a\.txt"):
        PerceptualLoss(weights=tmp_path / "a.txt")
    np.savez(tmp_path / "short.npz", block1_conv1_kernel=np.zeros((3, 3, 3, 64)))
    with pytest.raises(ValueError, match=r"hold nothing for block1_conv1.*a bias of shape"):
        PerceptualLoss(weights=tmp_path / "short.npz")
    for arguments, message in (
        ({"network": "vgg11"}, "vgg16"),
        ({"layer": "block9_conv1"}, "block1_conv1"),
        ({"activation": "relu"}, "'pre' or 'post'"),
    ):
        with pytest.raises(ValueError, match=message):
            PerceptualLoss(weights=None, **arguments)
