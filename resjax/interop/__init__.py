"""Weights from PyTorch's files, and weights and programs to wherever this package is not."""
