"""Packed windows, read at random."""

from sleepfm_jax.input_pipeline import window_record
from sleepfm_jax.input_pipeline.packed_store import PackedStore
from sleepfm_jax.input_pipeline.store_index import NightEntry
from sleepfm_jax.input_pipeline.store_kinds import WINDOWS
from sleepfm_jax.input_pipeline.windows import Window


class WindowStore(PackedStore[Window]):
    """A source of the packed windows of one split."""

    kind = WINDOWS

    def _decode(self, record: bytes, night: NightEntry, _index: int, /) -> Window:
        return window_record.decode(record, night)
