"""Inline images of iTerm2, which WezTerm, mintty and others show as well.

https://iterm2.com/documentation-images.html
"""

from __future__ import annotations

import base64
import io

from PIL import Image

from comfykit.cli.pictures.box import Box


def draw(picture: Image.Image, box: Box) -> str:
    """The sequence that shows a picture in a box whose first cell the cursor is in; it moves the cursor."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = buffer.getvalue()
    keys = f"inline=1;size={len(data)};width={box.columns};height={box.rows};preserveAspectRatio=1"
    return f"\x1b]1337;File={keys}:{base64.standard_b64encode(data).decode('ascii')}\x07"
