"""A record of a packed store, a serialized `tf.train.Example`, taken apart."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError
from tensorflow_datasets.proto import tf_example_pb2

from sleepfm_jax.input_pipeline.store_kinds import Kind

# Here, once, and not where records are read: what TFDS imports at first use takes locks in an order
# in which two reading threads wait for each other for ever.
Example = tf_example_pb2.Example


def fields(record: bytes, kind: Kind, night: str) -> Mapping[str, Any]:
    """The fields of a record.

    Args:
        record: its bytes.
        kind: of the store.
        night: name of the night that it must be of.

    Raises:
        ValueError, LookupError: the record is damaged, or another night's.
    """
    try:
        found: Mapping[str, Any] = Example.FromString(record).features.feature
    except DecodeError as error:
        raise ValueError(str(error)) from error
    name = found["night"].bytes_list.value[0].decode()
    if name != night:
        raise ValueError(f"a {kind.one} of {name} stands there")
    return found
