"""Restores blurred photographs: the same as `deblur-keras deblur`."""

from deblur_keras.cli.deblur import deblur

if __name__ == "__main__":
    deblur()
