"""Lets processes of emulated devices compile each program once: the first does, for all.

On CPU the name of a process is part of the key under which JAX looks for a compiled program, so
each would compile its own; what they compile is the same.
"""

import jax
from jax._src import cache_key


def share(folder: str) -> None:
    """To be called before the first program.

    Args:
        folder: where programs are kept, for further starts too.
    """
    cache_key._hash_accelerator_config = lambda *_: None
    jax.config.update("jax_share_binary_between_hosts", True)
    jax.config.update("jax_share_binary_between_hosts_timeout_ms", 120_000)
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
