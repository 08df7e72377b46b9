"""How a label is spelled: one plain form of its text, whatever its case, accents and separators."""

import re
import unicodedata

# Greek and Cyrillic letters that look like Latin ones, and letters that accents do not explain.
_LOOKALIKES = str.maketrans(
    dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧϹ", "ABEZHIKMNOPTXC", strict=True))
    | dict(zip("АВЕКМНОРСТХЭГ", "ABEKMHOPCTXEG", strict=True))
    | {"Ø": "O", "Ł": "L", "Œ": "OE", "Æ": "AE"}
)

# Separators become single spaces, then words that mean one thing together become one word.
_JOINED = (
    (re.compile(r"\$"), " unused "),  # Nihon Kohden's mark of an unused input: POL $A1
    (re.compile(r"\b(?:[a-z]\.){2,}"), lambda letters: letters[0].replace(".", "")),  # H.R., T.A.
    (re.compile(r"[^a-z0-9]+"), " "),
    (re.compile(r"\b([hpr]) (to )?r\b"), r"\1r"),  # H-R, P-R, R to R
    (re.compile(r"\bn p\b"), "np"),
    (re.compile(r"\ba f\b"), "airflow"),  # New A/F
    (re.compile(r"\b(s[ap]?) [o0] ?2\b"), r"\1o2"),
    (re.compile(r"\b(et|tc|pet|ptc|p) ?c ?[o0] ?2\b"), r"\1co2"),
    (re.compile(r"\b(s[ap]?|p?etc|p?tcp?c?|c)02(?!\d)"), r"\1o2"),  # a zero for the letter O
    (re.compile(r"flow (th?)\b"), "flow therm"),  # thermistor, not thorax
    (re.compile(r"flow (pr?)\b"), "flow ptaf"),  # pressure, not pulse rate
    (re.compile(r"\bend tidal\b"), "endtidal"),
    (re.compile(r"\bresp(iratory)? rate\b"), "resprate"),
    (re.compile(r"\be[ck]g rate\b"), "heartrate"),
    (re.compile(r"\bphase angle\b"), "phase"),
    (re.compile(r"\btransit time\b"), "ptt"),
    (re.compile(r"\bext ?\d* in(put)?\b"), "input"),
    (re.compile(r"\bcap (phase|a\d?)\b"), "cyclic"),
    (re.compile(r"\bc (flow|press?)"), r"c\1"),  # of CPAP
    (re.compile(r"\b0([12z])(?= ?[amcf][1-4z])"), r"o\1"),  # 01-A2
)


def repaired(label: str) -> str:
    """The label as it was meant: UTF-8 read as Latin-1 is undone, however often it happened.

    >>> repaired("ImpÃ©dance")
    'Impédance'
    """
    for encoding in ("latin-1", "cp1252"):
        try:
            meant = label.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
        return label if meant == label else repaired(meant)
    return label


def words(label: str) -> list[str]:
    """The label's words in lower-case ASCII letters and digits.

    >>> words("EEG_C3-A2"), words("Körper  Lage"), words("H.R.")
    (['eeg', 'c3', 'a2'], ['korper', 'lage'], ['hr'])
    """
    text = unicodedata.normalize("NFKC", repaired(label)).upper().translate(_LOOKALIKES)
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(character for character in text if not unicodedata.combining(character))
    for pattern, joined in _JOINED:
        text = pattern.sub(joined, text)
    return text.split()
