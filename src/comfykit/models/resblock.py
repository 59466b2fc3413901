"""The residual block of the U-Nets, with the timestep added in the middle."""

from __future__ import annotations

from torch import Tensor, nn

from comfykit.models.layers import GROUPS


class ResBlock(nn.Module):
    """[B, in, H, W] and an embedding [B, emb] -> [B, out, H, W].

    Two GroupNorm-SiLU-convolution stages; the embedding is projected and added between them. The
    numbers in the names of the children count the dropout and activation layers of the code that
    trained the weights, hence the gap from `out_layers.0` to `out_layers.3`.
    """

    def __init__(self, channels: int, emb_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, channels),
            nn.SiLU(),
            nn.Conv2d(channels, out_channels, 3, padding=1),
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(GROUPS, out_channels),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)
        )

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """Add what the block has to say to `x`."""
        h: Tensor = self.in_layers(x)
        h = h + self.emb_layers(emb)[:, :, None, None]
        skip: Tensor = self.skip_connection(x)
        h = self.out_layers(h)
        return skip + h
