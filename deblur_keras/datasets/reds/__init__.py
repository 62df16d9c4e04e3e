"""REDS, as a TensorFlow dataset."""
