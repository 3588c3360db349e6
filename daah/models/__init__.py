"""The networks: spatial attention, hash network, the whole, and their checkpoints."""
