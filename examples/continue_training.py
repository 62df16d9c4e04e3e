"""Trains with ``model.fit``, and goes on exactly where it was stopped when it is run once more.

    python examples/continue_training.py PAIRS [EPOCHS]

Ctrl-C saves and stops; a crash costs five minutes at most. Whatever happens in between, the weights
in the end are those of a run that was never stopped. PAIRS is as in fit_deblurgan.py.
"""

import sys
from pathlib import Path

import keras

from deblur_keras import DeblurGAN, critics, datasets, generators
from deblur_keras.trainers import HistoryFile, LinearDecay, TrainingState, paper_adam


def main(pairs, epochs=20, run="run"):
    keras.utils.set_random_seed(0)
    pairs, run = datasets.pairs(pairs), Path(run)
    generator = generators.resnet_generator(filters=16, blocks=3, upsampling="resize")
    trainer = DeblurGAN(generator, critics.patch_critic(filters=16))
    trainer.compile(paper_adam(), paper_adam(), content="mae")

    state = TrainingState(trainer, run / "state", minutes=5)
    if state.restore():
        print(f"Continuing: {state.place()}.")
    training = datasets.paired(
        *(pairs, 64, 4), scale=1.0, cache=True, repeat=True, first_batch=state.batches
    )
    with state.interruptible():
        trainer.fit(
            training,
            steps_per_epoch=-(-len(pairs) // 4),
            epochs=epochs,
            initial_epoch=state.epoch,
            callbacks=[LinearDecay(), HistoryFile(run / "history.csv"), state],  # state last
            verbose=2,
        )
    trainer.generator.save(run / "generator.keras")


if __name__ == "__main__":
    try:
        main(sys.argv[1], *map(int, sys.argv[2:3]))
    except KeyboardInterrupt:
        sys.exit("Stopped. Run it once more to go on.")
