"""`comfy.taesd`: tiny autoencoders."""
