"""RealBlur, as a TensorFlow dataset."""
