"""Model families: how the parts of a checkpoint become MODEL, CLIP and VAE.

A family is one entry that joins a network of `models/`, a parametrization and noise levels of
`sampling/`, a text encoder of `text/` and a latent format.
"""
