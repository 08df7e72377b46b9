"""The networks of the ICML 2024 system as small PyTorch modules, written from the specification."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

POOLED = ("stage3", "stage6")  # stages that a max-pool follows


class Bottleneck(nn.Module):
    """1×1 convolution to a larger width, depthwise convolution, 1×1 convolution (spec §5)."""

    def __init__(
        self, inputs: int, outputs: int, expansion: int, stride: int, dropout: float
    ) -> None:
        super().__init__()
        wide = expansion * inputs
        self.conv1 = nn.Conv1d(inputs, wide, 1)
        self.conv2 = nn.Conv1d(wide, wide, 3, stride, padding=1, groups=wide)
        self.conv3 = nn.Conv1d(wide, outputs, 1)
        self.b0 = nn.BatchNorm1d(wide)
        self.b1 = nn.BatchNorm1d(wide)
        self.relu = nn.ReLU6()
        self.dropout = nn.Dropout(dropout)
        self.is_residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, L) to (B, O, L / stride)."""
        y = self.relu(self.b0(self.conv1(x)))
        y = self.conv3(self.relu(self.b1(self.conv2(y))))
        return x + self.dropout(y) if self.is_residual else y


class Stage(nn.Module):
    """Residual bottlenecks, one that halves the length, batch norm."""

    def __init__(
        self, inputs: int, outputs: int, depth: int, expansion: int, dropout: float
    ) -> None:
        super().__init__()
        self.stack = nn.Sequential()
        for n in range(depth - 1):
            self.stack.add_module(f"s{n}", Bottleneck(inputs, inputs, expansion, 1, dropout))
        last = Bottleneck(inputs, outputs, expansion, 2, dropout)
        self.stack.add_module(f"s{depth + 1}", last)
        self.bn = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, L) to (B, O, L/2)."""
        return self.bn(self.stack(x))


class EffNet(nn.Module):
    """One tower; named as in its checkpoints. The sizes are those of `TowerSizes`."""

    def __init__(
        self,
        channels: int,
        outputs: int,
        widths: Sequence[int],
        depths: Sequence[int],
        expansion: int,
        features: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.stage1 = nn.Conv1d(channels, widths[0], 3, stride=2, padding=1)
        self.b0 = nn.BatchNorm1d(widths[0])
        self.stages = len(depths)
        for n, depth in enumerate(depths):
            stage = Stage(widths[n], widths[n + 1], depth, expansion, dropout)
            self.add_module(f"stage{n + 2}", stage)
        self.stage9 = nn.Conv1d(widths[-1], features, 1)
        self.pool = nn.MaxPool1d(3, stride=1, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(features, outputs)

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, 7680) to embeddings or logits (B, O)."""
        x = self.b0(self.stage1(clips))  # (B, W, 3840)
        for n in range(self.stages):
            x = self.stage(n, x)  # (B, W, L/2)
        return self.head(x)

    def stage(self, number: int, x: Tensor) -> Tensor:
        """One stage with the max-pool that may follow it; (B, I, L) to (B, O, L/2)."""
        name = f"stage{number + 2}"
        x = self.get_submodule(name)(x)
        return self.pool(x) if name in POOLED else x

    def head(self, x: Tensor) -> Tensor:
        """What follows the last stage; (B, W, 30) to (B, O)."""
        x = torch.relu(self.stage9(x).mean(dim=2))  # (B, features)
        return self.fc(self.dropout(x))


class EffNets(nn.Module):
    """One tower a modality; the sizes are those of `TowerSizes`, the same for all."""

    def __init__(self, channels: Mapping[str, int], embed_dim: int, **sizes: Any) -> None:
        super().__init__()
        self.channels = dict(channels)
        for name, count in channels.items():
            self.add_module(name, EffNet(count, embed_dim, **sizes))

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, 7680), the towers' channels one after the other, to (B, M, E)."""
        parts = clips.split(list(self.channels.values()), dim=1)
        towers = [self.get_submodule(name) for name in self.channels]
        return torch.stack([tower(x) for tower, x in zip(towers, parts, strict=True)], dim=1)
