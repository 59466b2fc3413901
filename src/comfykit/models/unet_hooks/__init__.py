"""Functions for the places of `comfykit.models.hooks`: what is done to a U-Net without training it anew."""
