"""Makes `python -m deblur_keras.cli` the command line."""

from deblur_keras.cli import main

main(prog_name="deblur-keras")
