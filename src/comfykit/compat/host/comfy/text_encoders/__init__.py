"""`comfy.text_encoders`: text encoders of models that comfykit does not run, by name."""
