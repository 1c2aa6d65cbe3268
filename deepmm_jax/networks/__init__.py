"""Networks: whole map, sequence secondary structure; inference and checkpoints."""
