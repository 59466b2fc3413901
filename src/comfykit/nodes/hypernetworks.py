"""The node that puts a hypernetwork on a model."""

from __future__ import annotations

from typing import Annotated

from comfykit.engine.define import combo, node, number
from comfykit.engine.schema import Listing
from comfykit.families.hypernetworks import add_hypernetwork
from comfykit.nodes.types import Context, Model
from comfykit.weights.hypernetwork import load_hypernetwork


@node("HypernetworkLoader", title="HypernetworkLoader", category="loaders")
def hypernetwork_loader(
    context: Context,
    model: Model,
    hypernetwork_name: Annotated[str, combo(Listing("models/hypernetworks"))],
    strength: Annotated[float, number(1.0, -10.0, 10.0)],
) -> Model:
    """Put a hypernetwork on a model; several loaders in a row work one after the other."""
    path = context.settings.home.find("hypernetworks", hypernetwork_name)
    return add_hypernetwork(model, load_hypernetwork(path), strength)
