"""comfykit: ComfyUI workflows as pictures, on a machine that has nothing installed yet."""

__version__ = "0.1.0"

__all__ = ["__version__"]
