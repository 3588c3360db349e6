"""The "How good is it" tab."""
