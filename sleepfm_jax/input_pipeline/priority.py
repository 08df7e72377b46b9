"""Which channel matters more: what a better version makes needless, and the order of use."""

from collections import Counter
from collections.abc import Sequence

from sleepfm_jax.input_pipeline.channels import Channel, Modality
from sleepfm_jax.input_pipeline.electrodes import MASTOIDS

# AASM manual: F4-M1, C4-M1, O2-M1, their backups on the left, then the eyes; then what is common.
_BRAIN = (
    *("F4", "C4", "O2", "F3", "C3", "O1", "E1", "E2", "HEOG", "EOG", "VEOG"),
    None,  # "EEG", without a site
    *("Cz", "Fz", "Fpz", "Pz", "Oz", "Fp1", "Fp2", "P3", "P4", "F7", "F8"),
    *("T3", "T4", "T7", "T8", "T5", "T6", "P7", "P8"),
)
_BREATH = (
    *("nasal pressure", "thermal airflow", "thorax", "abdomen", "oxygen saturation", "airflow"),
    *("sum of both efforts", "heart rate", "plethysmogram", "snoring", "breathing"),
    *("flow of the PAP device", "oral airflow", "carbon dioxide", "oesophageal pressure"),
    "respiratory rate",
)
_HEART = ("II", None, "I", "III", "AVF", "AVL", "AVR", "V1", "V2", "V3", "V4", "V5", "V6")
_MUSCLE = ("chin", None, "left leg", "right leg", "leg", "left arm", "right arm", "arm")
_SITES = {
    Modality.BAS: _BRAIN,
    Modality.RESP: _BREATH,
    Modality.EKG: _HEART,
    Modality.EMG: _MUSCLE,
}
_ODD, _EVEN = frozenset({"M1", "A1"}), frozenset({"M2", "A2"})


def urgency(modality: Modality, channels: Sequence[Channel]) -> list[tuple]:
    """Sort keys of the channels of one modality: the smaller the earlier.

    The first channel of every site comes before the second of any, except in the EEG, where
    derivations against the mastoids come first, then those between two sites, then the mastoids.
    """
    order = {site: place for place, site in enumerate(_SITES[modality])}
    place = [order.get(channel.site, len(order)) for channel in channels]
    if modality is Modality.BAS:
        kinds = [_kind(channel) for channel in channels]
        return [(k, p, _version(c)) for k, p, c in zip(kinds, place, channels, strict=True)]
    turn = _turns(channels)
    return list(zip(turn, place, strict=True))


def _turns(channels: Sequence[Channel]) -> list[int]:
    """For each channel, how many of the same site come before it by label."""
    seen: Counter[str | None] = Counter()
    turn = [0] * len(channels)
    for index in sorted(range(len(channels)), key=lambda i: (channels[i].label.casefold(), i)):
        turn[index] = seen[channels[index].site]
        seen[channels[index].site] += 1
    return turn


def _kind(channel: Channel) -> int:
    if channel.site in MASTOIDS or channel.site == "mastoid":
        return 2
    return int(_bipolar(channel) and channel.site not in ("E1", "E2"))


def _bipolar(channel: Channel) -> bool:
    """Recorded between two active sites, like Fpz-Cz: a signal of its own, no version of Fpz."""
    return channel.reference is not None and _version(channel) == 4


def _version(channel: Channel) -> int:
    """How good a version of its site a channel is: 0 against the other side's mastoid."""
    reference = set((channel.reference or "").split("+"))
    if reference <= MASTOIDS:
        return 0 if _contralateral(channel.site or "", reference) else 1
    if channel.reference in ("linked ears", "mastoids", "average"):
        return 2
    if channel.reference in (None, "Ref", "x", "G2"):
        return 3
    return 4


def _contralateral(site: str, reference: set[str]) -> bool:
    if site in ("E1", "E2"):
        return reference <= _EVEN
    left = site[-1:] in "13579" or site.endswith("z")
    return reference <= (_EVEN if left else _ODD)


def superseded(channels: Sequence[Channel]) -> dict[int, str]:
    """The channels of one modality that a better version of the same signal makes needless.

    Returns:
        By place in `channels`, the reason in words, naming the better one.
    """
    reasons: dict[int, str] = {}
    best: dict[tuple, int] = {}
    order = sorted(range(len(channels)), key=lambda i: (_rank(channels[i]), i))
    for index in order:
        channel = channels[index]
        same = _same_signal(channel)
        if same is None:
            continue
        first = best.setdefault(same, index)
        if first != index:
            reasons[index] = (
                f"another version of the same signal, “{channels[first].label}”, is used"
            )
    return reasons | _needless_mastoids(channels)


def _rank(channel: Channel) -> tuple:
    return (_version(channel), channel.label.casefold())


def _same_signal(channel: Channel) -> tuple | None:
    """What channels must share to be versions of one signal; None if nothing tells."""
    if channel.modality is not Modality.BAS or channel.site in (None, "EOG"):
        return None
    return (channel.site, channel.reference if _bipolar(channel) else None)


def _needless_mastoids(channels: Sequence[Channel]) -> dict[int, str]:
    """Mastoids recorded by themselves, where derivations already contain them."""
    derived = next((c.label for c in channels if c.site not in MASTOIDS and _version(c) <= 1), None)
    if derived is None:
        return {}
    return {
        index: f"a reference electrode that derivations such as “{derived}” already contain"
        for index, channel in enumerate(channels)
        if channel.modality is Modality.BAS and _kind(channel) == 2
    }
