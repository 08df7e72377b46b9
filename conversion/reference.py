"""The published models as small PyTorch modules, written from the specification.

They load the published state dicts as they are and serve as the other side of parity checks and
benchmarks. A call sees one modality of recordings that share a channel count, as the published
training did; parity runs it on one recording alone (spec §6).
"""

import itertools

import torch
from torch import Tensor, nn

CHANNELS = (1, 4, 8, 16, 32, 64, 128)
PATCH = 640  # samples: 5 s at 128 Hz


class PatchEmbedding(nn.Module):
    """Tokenizer: each 5-second patch of each channel alone to one embedding (spec §1.1)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        length = PATCH
        for narrow, wide in itertools.pairwise(CHANNELS):
            length //= 2
            layers += [
                nn.Conv1d(narrow, wide, kernel_size=5, stride=2, padding=2),
                nn.BatchNorm1d(wide),
                nn.ELU(),
                nn.LayerNorm([wide, length]),
            ]
        layers += [nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(CHANNELS[-1], embed_dim)]
        self.tokenizer = nn.Sequential(*layers)

    def forward(self, signals: Tensor) -> Tensor:
        """Signals (B, C, S·640) to tokens (B, C, S, E)."""
        B, C, T = signals.shape
        tokens = self.tokenizer(signals.reshape(B * C * T // PATCH, 1, PATCH))  # (B·C·S, E)
        return tokens.reshape(B, C, T // PATCH, -1)


class AttentionPooling(nn.Module):
    """One post-norm encoder layer over a set of tokens, then the mean of the real ones."""

    def __init__(self, embed_dim: int, num_heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.transformer_layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, feed_forward, dropout, batch_first=True
        )

    def forward(self, tokens: Tensor, padded: Tensor | None = None) -> Tensor:
        """Tokens (N, C, E) and padded (N, C), True where empty, to pooled (N, E)."""
        hidden = self.transformer_layer(tokens, src_key_padding_mask=padded)  # (N, C, E)
        if padded is None:
            return hidden.mean(dim=1)
        real = (~padded).to(hidden.dtype).unsqueeze(-1)  # (N, C, 1)
        return (hidden * real).sum(dim=1) / real.sum(dim=1)


class PositionalEncoding(nn.Module):
    """Adds the stored sinusoidal table."""

    pe: Tensor

    def __init__(self, embed_dim: int, max_len: int) -> None:
        super().__init__()
        position = torch.arange(max_len, dtype=torch.float32).unsqueeze(1)  # (S, 1)
        rate = torch.exp(
            torch.arange(0, embed_dim, 2, dtype=torch.float32)
            * (-torch.log(torch.tensor(10000.0)) / embed_dim)
        )  # (E/2,)
        table = torch.zeros(1, max_len, embed_dim)
        table[0, :, 0::2] = torch.sin(position * rate)
        table[0, :, 1::2] = torch.cos(position * rate)
        self.register_buffer("pe", table)

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, S, E) plus positions, same shape."""
        return tokens + self.pe[:, : tokens.shape[1]]


class SetTransformer(nn.Module):
    """The foundation model, one modality a call; named as in its checkpoints (spec §1)."""

    def __init__(
        self,
        embed_dim: int = 128,
        num_heads: int = 8,
        num_layers: int = 6,
        pooling_head: int = 8,
        feed_forward: int = 2048,
        dropout: float = 0.3,
        max_seq_length: int = 128,
    ) -> None:
        super().__init__()
        self.patch_embedding = PatchEmbedding(embed_dim)
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, feed_forward, dropout)
        self.positional_encoding = PositionalEncoding(embed_dim, max_seq_length)
        self.layer_norm = nn.LayerNorm(embed_dim)
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, feed_forward, dropout, batch_first=True, norm_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, num_layers, enable_nested_tensor=False
        )
        self.temporal_pooling = AttentionPooling(embed_dim, pooling_head, feed_forward, dropout)

    def forward(self, signals: Tensor, padded: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One modality of B recordings to its embeddings.

        Args:
            signals: (B, C, S·640), z-scored, 128 Hz.
            padded: (B, C), True for empty slots; None if every slot is real.

        Returns:
            pooled (B, E) and sequence (B, S, E).
        """
        tokens = self.patch_embedding(signals)  # (B, C, S, E)
        B, C, S, E = tokens.shape
        if C == 1:
            pooled = tokens[:, 0]  # (B, S, E)
        else:
            tokens = tokens.transpose(1, 2).reshape(B * S, C, E)
            repeated = None if padded is None else padded.repeat_interleave(S, dim=0)
            pooled = self.spatial_pooling(tokens, repeated).reshape(B, S, E)
        hidden = self.layer_norm(self.positional_encoding(pooled))  # (B, S, E)
        sequence = self.transformer_encoder(hidden)  # (B, S, E)
        return self.temporal_pooling(sequence), sequence
