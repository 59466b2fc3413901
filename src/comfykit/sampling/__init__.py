"""From noise to a latent: noise levels, schedules, samplers, guidance.

The network is a function `Predict` (see `denoiser.py`); everything around it is a wrapper. Nothing
here knows a model family, a file or a node. `docs/sampling.md` shows how the parts fit.
"""
