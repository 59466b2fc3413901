"""What custom-node packs import and are run by: views of our packages as ComfyUI's modules, the loader."""
