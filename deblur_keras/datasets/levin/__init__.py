"""The dataset of Levin et al., as a TensorFlow dataset."""
