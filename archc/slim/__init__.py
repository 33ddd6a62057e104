"""Network slimming of trained nets: their weights, and the files of what is left."""
