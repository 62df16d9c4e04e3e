import dataclasses
import json
import pickle
import tomllib

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from deblur_keras import Restorer, generators, losses, recipes
from deblur_keras.cli import main
from deblur_keras.trainers import objectives

CROP = 32
NORMS = ("InstanceNormalization", "BatchNormalization")


def networks(trainer):
    return {
        name: part
        for name, part in trainer.checkpoint_parts().items()
        if isinstance(part, keras.Model)
    }


def without_effect(network):
    """Finds the biases that a normalization takes away again: they have no gradient but noise."""
    found = set()
    for layer in network.layers:
        followers = [node.operation for node in layer._outbound_nodes]
        # The ResNet crops between its transposed convolution and the norm.
        while followers and all("Cropping" in type(each).__name__ for each in followers):
            followers = [node.operation for each in followers for node in each._outbound_nodes]
        if followers and all(type(each).__name__ in NORMS for each in followers):
            found.add(id(getattr(layer, "bias", None)))
    return found


SLOW = ("cyclegan", "sharingan", "deblurgan-light", "dense-deblurgan", "deblurgan-bce")


# Most of those that are slow are deblurgan with other numbers.
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in recipes.NAMES],
)
def test_a_recipe_builds_trains_saves_and_restores(name, tmp_path):
    recipe = recipes.get(name)
    full = recipe.build(vgg=None)
    assert full.generator.count_params() == recipe.generator_parameters
    critic = full.sharp_critic if recipe.trainer == "CycleGAN" else full.critic
    assert critic.count_params() == recipe.critic_parameters
    # The same networks and losses, on small crops, so that it takes seconds.
    keras.utils.set_random_seed(0)
    small = dataclasses.replace(recipe, crop=CROP, batch=2)
    trainer = small.build(vgg=None)
    before = {key: network.get_weights() for key, network in networks(trainer).items()}
    images = np.random.default_rng(0).uniform(-1, 1, (2, 4, CROP, CROP, 3)).astype("float32")
    history = trainer.fit(*images, batch_size=2, epochs=1, verbose=0)
    assert int(trainer.generator_optimizer.iterations) == 2
    assert all(np.isfinite(value[0]) for value in history.history.values())
    for key, network in networks(trainer).items():
        noise = without_effect(network)
        if recipe.adversarial.kind == "wgan-gp" and key == "critic":
            # An offset of all scores cancels in the difference of sharp and restored.
            noise.add(id(network.layers[-1].bias))
        unchanged = [
            weight.path
            for weight, value in zip(network.weights, before[key], strict=True)
            if weight.trainable and id(weight) not in noise and np.array_equal(weight, value)
        ]
        assert not unchanged, key
    trainer.generator.save(tmp_path / "generator.keras")
    photograph = np.random.default_rng(1).integers(0, 256, (37, 51, 3), "uint8")
    loaded = Restorer(tmp_path / "generator.keras")(photograph)
    assert loaded.shape == photograph.shape
    np.testing.assert_array_equal(loaded, Restorer(trainer.generator)(photograph))


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_field_has_a_source(name):
    recipe = recipes.get(name)
    fields = {field.removesuffix(".kind") for field in recipes.flat(recipe.values())}
    fields |= {"generator_parameters", "critic_parameters"}
    assert fields == set(recipe.sources)
    for source in recipe.sources.values():
        assert source.kind in ("paper", "code", "chosen here") and len(source.text) > 4
    assert recipe.reported and recipe.notes


@pytest.mark.parametrize("name", recipes.NAMES)
def test_values_survive_toml_and_json(name):
    recipe = recipes.get(name)
    assert tomllib.loads(recipe.to_toml()) == recipe.values()
    assert json.loads(json.dumps(recipe.values())) == recipe.values()
    assert recipe.override(recipe.values()) == recipe


@pytest.mark.parametrize("name", recipes.NAMES)
def test_the_options_are_those_of_the_builders(name):
    # A new option of a network must be decided on in each recipe.
    for part in ("generator", "critic", "adversarial", "content"):
        current = getattr(recipes.get(name), part)
        if current is not None:
            assert current.override({}) == current


def test_overrides_leave_the_recipe_alone_and_say_what_was_set():
    recipe = recipes.get("deblurgan")
    changed = recipe.override({"batch": 4, "learning_rate": 1, "generator": {"blocks": 6}})
    assert (recipe.batch, changed.batch) == (1, 4)
    assert changed.learning_rate == 1.0 and isinstance(changed.learning_rate, float)
    assert changed.generator.options == {**recipe.generator.options, "blocks": 6}
    assert changed.generator_parameters is None
    assert changed.critic_parameters == recipe.critic_parameters
    assert changed.sources["generator.blocks"].text == "was 9"
    assert changed.sources["generator.filters"] == recipe.sources["generator.filters"]
    assert recipe.override({"batch": 1}) == recipe


def test_what_a_camera_does_is_a_number_or_a_range():
    changed = recipes.get("deblurgan").override(
        {"rotation": 1, "highlights": [1, 4], "shot_noise": 0.02, "jpeg": [75, 90]}
        | {"max_length": [6, 40], "objects": 0.3, "defocus": 0.2, "intensity": [0, 0.001]}
    )
    assert changed.blur()["intensity"] == (0.0, 0.001)
    assert changed.override({"intensity": "script"}).blur()["intensity"] is None
    assert (changed.max_length, changed.objects, changed.defocus) == ((6.0, 40.0), 0.3, 0.2)
    assert (changed.rotation, changed.highlights, changed.shot_noise) == (1.0, (1.0, 4.0), 0.02)
    video = {"late": 0.05, "frames": [7, 13], "duty": [0.05, 1], "paths": "smooth"}
    changed = changed.override(video)
    assert (changed.late, changed.frames, changed.duty) == (0.05, (7, 13), (0.05, 1.0))
    assert changed.blur()["paths"] == changed.paths == "smooth"
    with pytest.raises(recipes.RecipeError, match="one of shake, smooth"):
        changed.override({"paths": "straight"})
    assert changed.jpeg == (75, 90) and changed.override({"jpeg": 0}).jpeg == 0
    assert recipes.get("deblurgan").override(tomllib.loads(changed.to_toml())) == changed
    assert changed.override({"rotation": 0, "grid": 3}).grid == 3
    blurs_nothing = "has no rotation: it learns from photographs that are blurred already"
    with pytest.raises(recipes.RecipeError, match=blurs_nothing):
        recipes.get("cyclegan").override({"rotation": 1})


def test_another_kind_starts_from_its_own_defaults():
    changed = recipes.get("deblurgan").override({"generator": {"kind": "dense", "filters": 8}})
    assert changed.generator.options == {
        **{"filters": 8, "growth": 32, "depth": 9, "norm": "instance", "skip": "clip"}
    }
    assert changed.sources["generator"].text == "was resnet"
    assert "generator.blocks" not in changed.sources
    assert changed.generator.override("dense") == changed.generator


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bacth": 1}, "Did you mean 'batch'.*Valid: generator, critic"),
        ({"cycle_weight": 1.0}, "Unknown field"),
        ({"name": "mine"}, "Unknown field"),
        ({"batch": 0}, "batch must be a whole number of at least 1; received 0"),
        ({"batch": True}, "batch must be"),
        ({"batch": 1.5}, "batch must be"),
        ({"crop": 8}, "at least 16"),
        ({"learning_rate": 0}, "above 0"),
        ({"learning_rate": float("nan")}, "above 0"),
        ({"learning_rate": "fast"}, "a finite number above 0"),
        ({"constant_share": 1.2}, "at most 1"),
        ({"init": "normal"}, "'own' or a standard deviation"),
        ({"synthetic_to_real": [1]}, "two finite numbers"),
        ({"generator": {"kind": "vit"}}, "kind of generator: 'vit'.*resnet, dense, unet, compact"),
        ({"generator": {"growth": 2}}, "option of the resnet generator: 'growth'"),
        ({"generator": {"filters": "many"}}, "generator.filters must be a whole number"),
        ({"generator": 3}, "a table of options"),
        ({"adversarial": {"kind": "minimax", "weight": 1}}, "minimax adversarial has no weight"),
        ({"adversarial": {"kind": "minimax", "wait": 1}}, "minimax adversarial.*It has none"),
        ({"generator": {"kind": ["dense"]}}, "kind of generator"),
        (
            {"content": {"kind": "mse", "network": "vgg19", "layer": "block3_conv3"}},
            "mse content has no network, layer: options of the perceptual one",
        ),
        ({"generator": {"kind": "compact", "widths": ["x"]}}, "widths must be a whole number"),
        ({"generator": {"kind": "compact", "widths": []}}, "widths must be a list"),
        ({"adversarial": {"weight": float("nan")}}, "a finite number"),
        ({"learning_rate": 10**400}, "a finite number above 0"),
        ({"learning_rate": float("inf")}, "a finite number above 0"),
        ({"synthetic_to_real": [float("inf"), 1]}, "two finite numbers"),
        ({"beta_1": 1}, "below 1"),
        ({"crops_per_image": 0}, "crops_per_image must be a whole number of at least 1"),
        ({"rotation": 1, "grid": 2}, "rotation and grid exclude each other.*received 1 and 2"),
        ({"max_length": [40, 6]}, "max_length must be a finite number of at least 0.1"),
        ({"objects": 2}, "objects must be a finite number of at least 0 and at most 1"),
        ({"rotation": 46}, "rotation must be a finite number of at least 0 and at most 45"),
        ({"grid": 10}, "grid must be a whole number of at least 1 and at most 9"),
        ({"highlights": 0.5}, "highlights must be a finite number of at least 1"),
        (
            {"highlights": [4, 1]},
            r"or \[low, high\] of such, the lower one first; received \[4, 1\]",
        ),
        ({"shot_noise": [0.1]}, "shot_noise must be"),
        ({"jpeg": 101}, "jpeg must be 0 for none, a whole number of at least 1 and at most 100"),
        ({"jpeg": [0, 80]}, "jpeg must be"),
        ({"jpeg": 80.5}, "jpeg must be"),
        ({"jpeg": False}, "jpeg must be"),
    ],
)
def test_wrong_overrides_are_explained(changes, message):
    with pytest.raises(recipes.RecipeError, match=message):
        recipes.get("deblurgan").override(changes)


def test_unknown_recipes_are_explained():
    with pytest.raises(recipes.RecipeError, match=r"Did you mean 'cyclegan'\?.*deblurgan-bce"):
        recipes.get("cycelgan")
    assert recipes.get("dense_deblurgan") == recipes.get("dense-deblurgan")


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 64),
    rate=st.floats(1e-6, 1.0),
    blocks=st.integers(1, 20),
    norm=st.sampled_from(["instance", "batch", "none"]),
)
def test_any_valid_override_reads_back(batch, rate, blocks, norm):
    changes = {
        "batch": batch,
        "learning_rate": rate,
        "generator": {"blocks": blocks, "norm": norm},
    }
    recipe = recipes.get("sharingan").override(changes)
    values = tomllib.loads(recipe.to_toml())
    assert recipes.get("sharingan").override(values).values() == recipe.values()
    assert values["generator"]["norm"] == norm


def test_settings_are_read_as_toml_or_text():
    read = recipes.read_settings(
        ["batch=4", "content = mae", "synthetic_to_real=[1, 1]", "generator.norm=none"]
    )
    assert read == {
        "generator": {"norm": "none"},
        "batch": 4,
        "content": "mae",
        "synthetic_to_real": [1, 1],
    }
    both = {"generator": {"kind": "dense", "filters": 8}}
    assert recipes.read_settings(["generator=dense", "generator.filters=8"]) == both
    assert recipes.read_settings(["generator.filters=8", "generator=dense"]) == both
    with pytest.raises(recipes.RecipeError, match="Expected FIELD=VALUE"):
        recipes.read_settings(["batch"])


def test_a_recipe_is_data_that_nobody_can_spoil():
    recipe = recipes.get("deblurgan")
    recipe.generator.options["blocks"] = 1
    assert recipes.get("deblurgan").generator.options["blocks"] == 9
    again = pickle.loads(pickle.dumps(recipe))
    assert again == recipe and dataclasses.asdict(again)["batch"] == 1


def test_another_network_keeps_its_own_first_weights():
    recipe = recipes.get("deblurgan").override({"generator": "compact", "content": "mse"})
    assert recipe.init == "own" and "compact" in recipe.sources["init"].text
    keras.utils.set_random_seed(0)
    built = recipe.build().generator.get_weights()
    keras.utils.set_random_seed(0)
    expected = generators.compact_generator().get_weights()
    assert all(np.array_equal(*pair) for pair in zip(built, expected, strict=True))
    chosen = recipes.get("deblurgan").override({"generator": "compact", "init": 0.1})
    assert chosen.init == 0.1


def test_counts_of_parameters_go_with_what_they_count():
    recipe = recipes.get("deblurgan-bce").override({"crop": 128, "generator": {"filters": 8}})
    assert recipe.critic_parameters is None and recipe.generator_parameters is None
    assert not {"critic_parameters", "generator_parameters"} & set(recipe.sources)
    kept = recipes.get("deblurgan").override({"crop": 128})
    assert kept.critic_parameters == 2_764_737
    assert len(kept.rows()) == len(kept.sources)


@pytest.mark.parametrize("name", recipes.NAMES)
def test_recipes_print_on_any_terminal(name):
    assert recipes.get(name).to_toml().isascii()
    assert all(text.isascii() for text in recipes.get(name).notes)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("batch = 4", encoding="utf-8-sig")
    assert recipes.read_toml(path) == {"batch": 4}


def test_the_kinds_are_those_that_the_trainers_know_by_name():
    for name, objective in objectives.OBJECTIVES.items():
        assert recipes.get("deblurgan").adversarial.override(name).builder() is objective
    for name in set(losses.CONTENT_LOSSES) - {"total_variation"}:
        assert recipes.get("deblurgan").content.override(name).kind == name


def test_a_file_that_is_no_toml_is_explained(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("batch: 4")
    with pytest.raises(recipes.RecipeError, match=r"mine\.toml is not readable as TOML"):
        recipes.read_toml(path)


def test_init_draws_all_kernels_and_nothing_else():
    keras.utils.set_random_seed(0)
    small = {"generator": {"kind": "dense", "filters": 8, "norm": "none"}, "content": "mse"}
    recipe = recipes.get("deblurgan").override({**small, "init": 0.5})
    network = recipe.build().generator
    kernels = [weight for weight in network.weights if "kernel" in weight.path]
    deviations = [np.std(np.asarray(kernel)) for kernel in kernels if np.size(kernel) > 500]
    assert len(deviations) > 9
    np.testing.assert_allclose(deviations, 0.5, rtol=0.15)
    # Each has numbers of its own.
    first = [np.ravel(kernel)[:3].round(6).tolist() for kernel in kernels]
    assert len({tuple(each) for each in first}) == len(first)
    assert all(not np.any(weight) for weight in network.weights if "bias" in weight.path)


def test_total_variation_joins_the_content_loss():
    small = {"generator": {"filters": 4, "blocks": 1}, "content": "charbonnier"}
    trainer = recipes.get("deblurgan").override({**small, "total_variation": 0.5}).build()
    sharp = np.zeros((1, 4, 4, 3), "float32")
    restored = np.zeros((1, 4, 4, 3), "float32")
    restored[:, :, 2:] = 1.0  # one edge of height 1: 4 of the 16 pixels
    smoothed = np.mean(np.sqrt(restored**2 + 1e-6))
    assert float(trainer.content(sharp, restored)[0]) == pytest.approx(smoothed + 0.5 * 4 / 16)


def test_the_schedule_follows_the_epochs():
    recipe = recipes.get("deblurgan")
    assert recipe.constant_epochs() == 150
    assert recipe.override({"epochs": 20}).constant_epochs() == 10
    assert recipes.get("deblurgan-bce").constant_epochs() == 40


def call(*arguments):
    return CliRunner().invoke(main, ["recipes", *arguments])


def test_the_command_lists_all_recipes():
    result = call()
    assert result.exit_code == 0
    for name in recipes.NAMES:
        assert f"\n{name} " in result.output
    assert "11.38 M" in result.output and "28.7 dB" in result.output


@pytest.mark.parametrize("name", recipes.NAMES)
def test_show_prints_every_field_and_note(name):
    result = call("show", name)
    assert result.exit_code == 0
    recipe = recipes.get(name)
    words = " ".join(result.output.split())
    assert recipe.title in words
    for field in recipe.settable():
        assert f"\n{field} " in result.output
    for note in recipe.notes:
        assert note in words


def test_show_prints_toml_that_train_takes():
    result = call("show", "cyclegan", "--toml")
    assert tomllib.loads(result.output) == recipes.get("cyclegan").values()
    wrong = call("show", "cycelgan")
    assert wrong.exit_code == 2 and "Did you mean 'cyclegan'?" in wrong.output


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("deblurgan", {"precision": "float16"}, "one of float32, mixed_bfloat16, mixed_float16"),
        ("deblurgan", {"ema": 1}, "ema must be a finite number of at least 0 and below 1"),
        ("deblurgan", {"clip_norm": -1}, "clip_norm must be a finite number of at least 0"),
        ("deblurgan", {"accumulate": 2}, "at most batch; received accumulate = 2 and batch = 1"),
        ("deblurgan", {"warmup_epochs": 1, "content_weight": 0}, "by the content loss alone"),
        ("deblurgan", {"warmup_epochs": 3, "epochs": 3}, "warmup_epochs = 3 and epochs = 3"),
        ("cyclegan", {"warmup_epochs": 1}, "'cyclegan' has no warmup_epochs: without pairs"),
        ("cyclegan", {"accumulate": 2}, "'cyclegan' has no accumulate: its image pools"),
    ],
)
def test_wrong_ways_to_compute_are_explained(name, changes, message):
    with pytest.raises(recipes.RecipeError, match=message):
        recipes.get(name).override(changes)


@pytest.mark.parametrize("name", ["deblurgan", "cyclegan"])
def test_how_a_recipe_is_computed_reaches_the_trainer(name):
    changes = {
        **{"precision": "mixed_bfloat16", "ema": 0.99, "clip_norm": 1, "batch": 4},
        **{"generator": {"filters": 4, "blocks": 1}, "critic": {"filters": 4}},
    }
    if name == "deblurgan":
        changes |= {"accumulate": 2, "content": "mse"}
    made = recipes.get(name).override(changes).build()
    assert "bfloat16" in {layer.compute_dtype for layer in made.generator.layers}
    assert keras.config.dtype_policy().name == "float32"
    assert made.clip_norm == 1.0
    averages = made.averages.values() if name == "cyclegan" else [made.average]
    assert {average.decay for average in averages} == {0.99}
    assert name == "cyclegan" or made.accumulate == 2
