"""The hashing methods that the paper compares with, one file a method family."""
