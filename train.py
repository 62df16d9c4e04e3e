"""Trains a generator: the same as `deblur-keras train`."""

from deblur_keras.cli.train import train

if __name__ == "__main__":
    train()
