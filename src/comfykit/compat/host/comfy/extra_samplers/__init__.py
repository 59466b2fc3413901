"""`comfy.extra_samplers`: more samplers."""
