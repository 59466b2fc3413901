"""`comfy.k_diffusion`: samplers by the names of k-diffusion."""
