"""GOPRO_Large, as a TensorFlow dataset."""
