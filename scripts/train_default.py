"""Trains the weights that ship, `deblur_keras/weights/default.keras`, from real photographs.

A content loss alone, on three kinds of blur in one stream: sharp photographs under random camera
shake, averaged frames of a high-speed video, and ready-made pairs. The model card
`deblur_keras/weights/default.md` says which photographs, how many steps and which seed.
"""

from pathlib import Path

import click


@click.command()
@click.option("--photographs", type=click.Path(exists=True), multiple=True, required=True,
              help="Folder of sharp photographs, blurred afresh on each visit.")  # fmt: skip
@click.option("--frames", type=click.Path(exists=True), required=True,
              help="Folder of consecutive frames of a video of 240 frames a second.")  # fmt: skip
@click.option("--pairs", type=click.Path(exists=True), required=True,
              help="Folder of blurred and sharp pairs.")  # fmt: skip
@click.option("--validation", type=click.Path(exists=True),
              help="Folder of pairs to score every epoch.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Run folder.")
@click.option("--start", type=click.Path(exists=True), help="Go on from this generator.")
@click.option("--steps", default=9000, show_default=True, help="Updates.")
@click.option("--learning-rate", default=8e-4, show_default=True, help="Highest; cosine to 0.")
@click.option("--crop", default=192, show_default=True, help="Side of the crops in pixels.")
@click.option("--batch", default=8, show_default=True, help="Crops an update.")
@click.option("--seed", default=1, show_default=True, help="Seed of weights and data.")
def main(photographs, frames, pairs, validation, output, start, steps, learning_rate, crop, batch,
         seed):  # fmt: skip
    """Trains the default generator with a PSNR loss and averaged weights."""
    import keras

    from deblur_keras import datasets, generators, losses, metrics

    keras.utils.set_random_seed(seed)
    common = {"crop": crop, "repeat": True, "cache": True}
    # Strong and weak camera shake, hardly any (a sharp photograph must stay as it is), real motion,
    # and all of it enlarged too: the frames and pairs at hand are small and crisp, photographs not.
    streams = {
        datasets.synthetic(list(photographs), scale=(0.5, 0.75, 1.0, 1.5), noise=(0.0, 3.0),
                           seed=seed, **common): 3,
        datasets.synthetic(list(photographs), scale=(0.5, 1.0, 2.0), max_length=25.0, gamma=1.0,
                           seed=seed + 1, **common): 2,
        datasets.synthetic(list(photographs), scale=(0.5, 1.0, 1.5), max_length=4.0,
                           noise=(0.0, 2.0), seed=seed + 2, **common): 1,
        datasets.averaged(frames, window=(5, 13), scale=(1.0, 1.5, 2.0), gamma=1.0,
                          seed=seed + 3, **common): 2,
        datasets.averaged(frames, window=(3, 15), scale=(1.0, 2.0), seed=seed + 4, **common): 1,
        datasets.paired(pairs, scale=(1.0, 2.0), seed=seed + 5, **common): 2,
    }  # fmt: skip
    mixed = datasets.mix(streams, list(streams.values()), seed=seed)
    training = mixed.unbatch().batch(batch, drop_remainder=True).prefetch(4)

    if start:
        generator = keras.saving.load_model(start)
    else:
        generator = generators.compact_generator(name="default")
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / 100, steps - 500, warmup_target=learning_rate, warmup_steps=500
    )
    generator.compile(
        keras.optimizers.Adam(
            schedule, beta_2=0.99, global_clipnorm=1.0, use_ema=True, ema_momentum=0.999
        ),
        losses.ImageLoss("negative_psnr"),
        metrics=[metrics.PSNR()],
    )
    output.mkdir(parents=True, exist_ok=True)
    generator.fit(
        training,
        steps_per_epoch=500,
        epochs=steps // 500,
        validation_data=(
            datasets.paired(validation, crop=None, scale=1.0, fixed=True) if validation else None
        ),
        callbacks=[
            keras.callbacks.TerminateOnNaN(),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            keras.callbacks.ModelCheckpoint(output / "generator.keras"),
            keras.callbacks.CSVLogger(output / "history.csv", append=bool(start)),
        ],
        verbose=2,
    )
    # SwapEMAWeights leaves the averaged weights in place at the end of training.
    generator.compile()
    generator.save(output / "generator.keras")


if __name__ == "__main__":
    main()
