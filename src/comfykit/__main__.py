"""`python -m comfykit` is the command `comfykit`."""

from comfykit.cli.app import main

main()
