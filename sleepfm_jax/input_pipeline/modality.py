"""The four modalities of a sleep recording, numbered as the model's slots are tagged."""

import enum


class Modality(enum.IntEnum):
    """The modalities in the order of the published model (spec §1)."""

    BAS = 0  # brain activity signals: EEG and EOG
    RESP = 1
    EKG = 2
    EMG = 3
