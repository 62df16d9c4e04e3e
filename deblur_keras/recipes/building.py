"""Builds what a recipe describes: the networks, the losses and the compiled trainer."""

import keras

from deblur_keras import generators, trainers
from deblur_keras.recipes.parts import OF_ONE_SIZE
from deblur_keras.trainers import precision

# What the trainers call by the same name.
_WEIGHTS = (
    *("adversarial_weight", "content_weight", "critic_steps", "accumulate", "clip_norm"),
    *("cycle_weight", "identity_weight"),
)


def build(recipe, seed, vgg, start):
    """Does what `Recipe.build` says."""
    with precision.networks_in(recipe.precision):
        trainer = _trainer(recipe, seed)
    if start is not None:  # before compile, which may keep an average of the weights
        generators.begin_with(trainer.generator, start)
    weights = {name: getattr(recipe, name) for name in _WEIGHTS}
    weights = {name: value for name, value in weights.items() if value is not None}
    if recipe.content:
        weights["content"] = _content_loss(recipe, vgg)
    trainer.compile(
        _optimizer(recipe),
        _optimizer(recipe),
        adversarial=recipe.adversarial.builder()(**recipe.adversarial.options),
        ema_decay=recipe.ema,
        **weights,
    )
    return trainer


def _trainer(recipe, seed):
    if recipe.trainer == "CycleGAN":
        return trainers.CycleGAN(
            _network(recipe, recipe.generator, name="deblur_generator"),
            _network(recipe, recipe.generator, name="blur_generator"),
            _network(recipe, recipe.critic, name="sharp_critic"),
            _network(recipe, recipe.critic, name="blurred_critic"),
            pool_size=recipe.pool_size,
            seed=seed,
        )
    return trainers.DeblurGAN(
        _network(recipe, recipe.generator), _network(recipe, recipe.critic), seed=seed
    )


def _network(recipe, part, **named):
    if part.kind in OF_ONE_SIZE:
        named["size"] = recipe.crop
    network = part.builder()(**part.options, **named)
    if recipe.init != "own":
        _draw_kernels(network, recipe.init)
    return network


def _draw_kernels(network, deviation):
    """Draws all kernels anew from N(0, deviation^2), as the authors' code does."""
    for layer in network.layers:
        for name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            kernel = getattr(layer, name, None)
            if kernel is not None:
                # One each: an initializer gives the same numbers whenever it is called.
                kernel.assign(keras.initializers.RandomNormal(stddev=deviation)(kernel.shape))


def _content_loss(recipe, vgg):
    part = recipe.content
    if part.kind == "perceptual":
        content = part.builder()(**part.options, weights=vgg)
    else:
        content = _with_options(part)
    if not recipe.total_variation:
        return content
    return [(1.0, content), (recipe.total_variation, "total_variation")]


def _with_options(part):
    builder = part.builder()

    def content(sharp, restored):
        return builder(sharp, restored, **part.options)

    return content if part.options else builder


def _optimizer(recipe):
    return keras.optimizers.Adam(recipe.learning_rate, recipe.beta_1, recipe.beta_2, recipe.epsilon)
