"""Published checkpoints: what is in their files, and which of a net's weights each tensor is."""
