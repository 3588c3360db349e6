"""Face image retrieval by short binary codes from an attention-aware hashing network."""

__version__ = "0.1.0"
