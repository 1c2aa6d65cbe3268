"""Training: examples, augmentation, losses and loops."""
