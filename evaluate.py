"""Scores a model on pairs: the same as `deblur-keras evaluate`."""

from deblur_keras.cli.evaluate import evaluate

if __name__ == "__main__":
    evaluate()
