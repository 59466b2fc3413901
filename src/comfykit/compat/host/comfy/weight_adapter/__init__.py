"""`comfy.weight_adapter`: adapters of weights by name, to compare with."""

from __future__ import annotations

from comfykit.weights.adapters import Adapted, Adapter, Hadamard, Kronecker, LowRank

WeightAdapterBase = Adapter
LoRAAdapter, LoHaAdapter, LoKrAdapter = LowRank, Hadamard, Kronecker
adapters = [LoRAAdapter, LoHaAdapter, LoKrAdapter]

__all__ = ["Adapted", "LoHaAdapter", "LoKrAdapter", "LoRAAdapter", "WeightAdapterBase", "adapters"]
