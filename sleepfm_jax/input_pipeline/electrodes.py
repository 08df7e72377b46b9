"""Electrodes on the scalp: the names of the 10-20, 10-10 and 10-5 systems and of references."""

import re

# Rows from front to back; the doubled letters are the half-way rows of the 10-5 system.
_ROWS = (
    "nfp|afp|aff|aft|ffc|ffp|fft|fcc|fct|ftt|ccp|cct|ttp|tpp|cpp|ppo|poo|oi"
    "|fp|af|fc|ft|cp|tp|po|cb|f|c|t|p|o"
)
ELECTRODE = re.compile(
    rf"(?:{_ROWS})(?:10|[1-9]|z\d?)h?|nz|iz|i[12]h?|[am][12]2?|sp[12]|e\d{{1,3}}"
)

MASTOIDS = frozenset({"A1", "A2", "M1", "M2"})
EYES = frozenset({"E1", "E2"})
_AASM = EYES | {"F3", "F4", "C3", "C4", "O1", "O2"}

# What may stand in the place of a reference without being an electrode.
REFERENCES = {
    "ref": "Ref",
    "reference": "Ref",
    "org": "Ref",
    "avg": "average",
    "average": "average",
    "aa": "average",
    "car": "average",
    "mast": "mastoids",
    "mastoids": "mastoids",
    "le": "linked ears",
    "ler": "linked ears",
    "cle": "linked ears",
    "lm": "linked mastoids",
    "linked": "linked ears",
    "ears": "linked ears",
    "x": "x",
    "g2": "G2",
}


def canonical(electrode: str) -> str:
    """The usual writing of an electrode found by `ELECTRODE` in lower-case text.

    >>> canonical("fp1"), canonical("cz2"), canonical("a22"), canonical("aff1h")
    ('Fp1', 'Cz', 'A2', 'AFF1h')
    """
    electrode = re.sub("([am][12])2", r"\1", electrode)  # "F3-A22": A2 and a running number
    name = re.sub(r"Z\d?", "z", electrode.upper()).replace("H", "h")
    return re.sub(r"^(N?|A?)FP", lambda match: match[1] + "Fp", name)


def unmistakable(electrode: str) -> bool:
    """Whether a name stands for an electrode in any company, unlike `P3` or `A1`.

    >>> unmistakable("TP9"), unmistakable("C3"), unmistakable("P3")
    (True, True, False)
    """
    return len(electrode.rstrip("0123456789")) > 1 or electrode in _AASM
