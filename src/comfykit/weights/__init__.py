"""Weights files: what is in them, how they are opened, which network they fill."""
