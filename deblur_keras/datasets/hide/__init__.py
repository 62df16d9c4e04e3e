"""HIDE, as a TensorFlow dataset."""
