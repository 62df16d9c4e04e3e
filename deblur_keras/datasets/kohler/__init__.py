"""The dataset of Koehler et al., as a TensorFlow dataset."""
