"""Rules of guidance: what models do beside, or instead of, classifier-free guidance.

Each is a function of `GuidanceInputs`, pure but for what it keeps in their memory. In the formulas c is the
positive and u the negative prediction of x0, w is `cfg`, g = u + w (c - u) is classifier-free guidance and
s is sigma.
"""
