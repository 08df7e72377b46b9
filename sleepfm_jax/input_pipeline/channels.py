"""What a channel label means: its modality, electrode and reference, decided by a small grammar."""

import enum


class Modality(enum.IntEnum):
    """The four modalities, numbered as the model's slots are tagged (spec §1)."""

    BAS = 0  # brain activity signals: EEG and EOG
    RESP = 1
    EKG = 2
    EMG = 3
