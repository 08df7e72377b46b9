"""The published heads as small PyTorch modules, written from the specification (spec §3).

They load the published state dicts as they are. Masks are boolean and the recurrent layers see a
night's real steps alone, as this project does (spec §6): what the published code computes for one
night by itself.
"""

import torch
from torch import Tensor, nn

from conversion.reference import AttentionPooling, PatchEmbedding, PositionalEncoding


def pool_steps(pooling: AttentionPooling, tokens: Tensor, padded: Tensor | None) -> Tensor:
    """One token a step out of those of its modalities or channels.

    Args:
        pooling: over the set.
        tokens: (B, C, T, E).
        padded: (B, C, T), True where there is nothing; None if there is nothing like that.

    Returns:
        (B, T, E).
    """
    B, C, T, E = tokens.shape
    tokens = tokens.transpose(1, 2).reshape(B * T, C, E)
    if padded is None:
        return pooling(tokens).reshape(B, T, E)
    masked = padded.transpose(1, 2).reshape(B * T, C)
    empty = masked.all(dim=1, keepdim=True)  # attention over nothing would be NaN
    pooled = pooling(tokens, masked & ~empty)
    return pooled.masked_fill(empty, 0.0).reshape(B, T, E)


def run_lstm(lstm: nn.LSTM, tokens: Tensor, lengths: Tensor | None) -> Tensor:
    """Tokens (B, T, E), of which the first `lengths` (B,) are real, to (B, T, E)."""
    if lengths is None:
        return lstm(tokens)[0]
    packed = nn.utils.rnn.pack_padded_sequence(
        tokens, lengths, batch_first=True, enforce_sorted=False
    )
    out, _ = nn.utils.rnn.pad_packed_sequence(
        lstm(packed)[0], batch_first=True, total_length=tokens.shape[1]
    )
    return out


def bidirectional(embed_dim: int, num_layers: int, dropout: float) -> nn.LSTM:
    """Of half the width in either direction."""
    return nn.LSTM(
        embed_dim,
        embed_dim // 2,
        num_layers,
        batch_first=True,
        bidirectional=True,
        dropout=dropout if num_layers > 1 else 0.0,
    )


def demographic(inputs: int, embed_dim: int, dropout: float) -> nn.Sequential:
    """Linear, ReLU, dropout."""
    return nn.Sequential(nn.Linear(inputs, embed_dim // 4), nn.ReLU(), nn.Dropout(dropout))


class SleepEventLSTMClassifier(nn.Module):
    """The sleep stager; named as in its checkpoints."""

    def __init__(
        self,
        embed_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 1,
        num_classes: int = 5,
        pooling_head: int = 4,
        feed_forward: int = 2048,
        dropout: float = 0.3,
        max_seq_length: int = 8196,
    ) -> None:
        super().__init__()
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, feed_forward, dropout)
        self.positional_encoding = PositionalEncoding(embed_dim, max_seq_length)
        self.layer_norm = nn.LayerNorm(embed_dim)
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, feed_forward, dropout, batch_first=True, norm_first=True
        )
        self.transformer_encoder = nn.TransformerEncoder(
            layer, num_layers, enable_nested_tensor=False
        )
        self.lstm = bidirectional(embed_dim, num_layers, dropout)
        self.fc = nn.Linear(embed_dim, num_classes)

    def forward(
        self, tokens: Tensor, padded: Tensor | None = None, lengths: Tensor | None = None
    ) -> Tensor:
        """Nights to logits.

        Args:
            tokens: (B, M, T, E) of 5-s steps.
            padded: (B, M, T), True where a modality or a step is not there; None if all are.
            lengths: (B,), how many steps each night has; None if all are T.

        Returns:
            (B, T, 5).
        """
        pooled = pool_steps(self.spatial_pooling, tokens, padded)  # (B, T, E)
        hidden = self.layer_norm(self.positional_encoding(pooled))
        beyond = None
        if lengths is not None:
            beyond = torch.arange(tokens.shape[2]) >= lengths[:, None]  # (B, T)
        hidden = self.transformer_encoder(hidden, src_key_padding_mask=beyond)
        return self.fc(run_lstm(self.lstm, hidden, lengths))


class DiagnosisFinetuneFullLSTMCOXPH(nn.Module):
    """Disease risk from embeddings, without or (`demographics` > 0) with demographics."""

    def __init__(
        self,
        embed_dim: int = 128,
        num_layers: int = 2,
        num_classes: int = 1065,
        pooling_head: int = 8,
        feed_forward: int = 2048,
        dropout: float = 0.3,
        max_seq_length: int = 8196,
        demographics: int = 0,
    ) -> None:
        super().__init__()
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, feed_forward, dropout)
        self.positional_encoding = PositionalEncoding(embed_dim, max_seq_length)  # not used
        self.layer_norm = nn.LayerNorm(embed_dim)  # not used
        self.lstm = bidirectional(embed_dim, num_layers, dropout)
        width = embed_dim
        if demographics:
            self.demo_embedding = demographic(demographics, embed_dim, dropout)
            width += embed_dim // 4
        self.disease_heads = nn.Linear(width, num_classes)

    def forward(
        self,
        tokens: Tensor,
        padded: Tensor | None = None,
        lengths: Tensor | None = None,
        demographics: Tensor | None = None,
    ) -> Tensor:
        """Nights, as of the stager, and demographics (B, D) to log hazards (B, L)."""
        pooled = pool_steps(self.spatial_pooling, tokens, padded)  # (B, T, E)
        hidden = run_lstm(self.lstm, pooled, lengths)
        count = hidden.shape[1] if lengths is None else lengths[:, None]
        known = [hidden.sum(dim=1) / count]
        if demographics is not None:
            known.append(self.demo_embedding(demographics))
        return self.disease_heads(torch.cat(known, dim=-1))


class DiagnosisFullSupervisedLSTMCOXPHWithDemoEmbed(nn.Module):
    """Disease risk from raw signals, all channels as one set."""

    def __init__(
        self,
        embed_dim: int = 128,
        num_layers: int = 2,
        num_classes: int = 1065,
        pooling_head: int = 8,
        feed_forward: int = 2048,
        dropout: float = 0.3,
        demographics: int = 2,
    ) -> None:
        super().__init__()
        self.patch_embedding = PatchEmbedding(embed_dim)
        self.spatial_pooling = AttentionPooling(embed_dim, pooling_head, feed_forward, dropout)
        self.lstm = bidirectional(embed_dim, num_layers, dropout)
        self.demo_embedding = demographic(demographics, embed_dim, dropout)
        self.disease_heads = nn.Linear(embed_dim + embed_dim // 4, num_classes)

    def forward(self, signals: Tensor, demographics: Tensor) -> Tensor:
        """Signals (B, C, S·640) and demographics (B, D) to log hazards (B, L)."""
        tokens = self.patch_embedding(signals)  # (B, C, S, E)
        single = tokens.shape[1] == 1
        pooled = tokens[:, 0] if single else pool_steps(self.spatial_pooling, tokens, None)
        mean = run_lstm(self.lstm, pooled, None).mean(dim=1)  # (B, E)
        return self.disease_heads(torch.cat([mean, self.demo_embedding(demographics)], dim=-1))


class DiagnosisFinetuneDemoOnlyEmbed(nn.Module):
    """Disease risk from demographics alone."""

    def __init__(
        self,
        embed_dim: int = 128,
        num_classes: int = 1065,
        dropout: float = 0.3,
        demographics: int = 4,
    ) -> None:
        super().__init__()
        self.demo_embedding = demographic(demographics, embed_dim, dropout)
        self.disease_heads = nn.Linear(embed_dim // 4, num_classes)

    def forward(self, demographics: Tensor) -> Tensor:
        """Demographics (B, D) to log hazards (B, L)."""
        return self.disease_heads(self.demo_embedding(demographics))
