"""Which channel matters more: what a better version makes needless, and the order of use."""

from collections import Counter
from collections.abc import Sequence

from sleepfm_jax.input_pipeline.channels import Channel, Modality
from sleepfm_jax.input_pipeline.electrodes import EYES, MASTOIDS

_ORDER: dict[Modality, tuple[str | None, ...]] = {
    # AASM manual: the right side is recommended, the left is its backup, then the eyes.
    Modality.BAS: (
        *("F4", "C4", "O2", "F3", "C3", "O1", "E1", "E2", "HEOG", "EOG", "VEOG", None),
        *("Cz", "Fz", "Fpz", "Pz", "Oz", "Fp1", "Fp2", "P3", "P4", "F7", "F8"),
        *("T3", "T4", "T7", "T8", "T5", "T6", "P7", "P8"),
    ),
    Modality.RESP: (
        *("nasal pressure", "thermal airflow", "airflow", "flow of the PAP device", "thorax"),
        *("abdomen", "oxygen saturation", "sum of both efforts", "heart rate", "plethysmogram"),
        *("snoring", "breathing", "oral airflow", "carbon dioxide", "oesophageal pressure"),
    ),
    Modality.EKG: ("II", None, "ECG1", "I", "LA", "RA", "LL", "III", "V5", "V2", "ECG2"),
    Modality.EMG: ("chin", None, "leg", "ribs", "diaphragm", "face and neck", "arm"),
}


def urgency(modality: Modality, channels: Sequence[Channel]) -> list[tuple[int, int]]:
    """Sort keys of the channels of one modality: the smaller, the earlier it is used.

    Args:
        modality: what all the channels are used as.
        channels: in any order; equal keys are told apart by the caller.
    """
    sites = _ORDER[modality]
    order = {site: position for position, site in enumerate(sites)}
    rounds = (
        [_brain_round(channel) for channel in channels]
        if modality is Modality.BAS
        else _rounds(channels)
    )
    return [
        (turn, order.get(_kind_of_site(channel), len(sites)))
        for turn, channel in zip(rounds, channels, strict=True)
    ]


def _rounds(channels: Sequence[Channel]) -> list[int]:
    """For each channel, how many of its site come before it: every site has its turn."""
    before: Counter[str | None] = Counter()
    rounds = [0] * len(channels)
    for index in sorted(range(len(channels)), key=lambda i: (channels[i].label, i)):
        site = channels[index].site
        site = "chin" if site and site.endswith("chin") else site
        rounds[index] = before[site]
        before[site] += 1
    return rounds


def _kind_of_site(channel: Channel) -> str | None:
    """The site without its side: the left and the right leg matter alike."""
    site = channel.site
    if channel.modality is not Modality.EMG or site is None:
        return site
    return site.removeprefix("left").removeprefix("right").strip() or None


def _brain_round(channel: Channel) -> int:
    """Derivations against the mastoids first, then those between two sites, mastoids last."""
    if _is_mastoid(channel):
        return 2
    return int(_is_bipolar(channel) and channel.site not in EYES)


def _is_mastoid(channel: Channel) -> bool:
    return channel.site in MASTOIDS or channel.site == "mastoid"


def _is_bipolar(channel: Channel) -> bool:
    """Recorded between two active sites, like Fpz-Cz: a signal of its own, no version of Fpz."""
    return _version(channel) == 4


def _version(channel: Channel) -> int:
    """How good a version of its site a channel is: 0 against the mastoid of the other side."""
    references = set(channel.reference.split("+")) if channel.reference else set()
    if references and references <= MASTOIDS:
        return 0 if references <= _far_mastoid(channel.site or "") else 1
    if channel.reference in ("linked ears", "linked mastoids", "mastoids", "average"):
        return 2
    return 3 if channel.reference in (None, "Ref", "x", "G2") else 4


def _far_mastoid(site: str) -> set[str]:
    """The mastoid that the AASM manual refers a site to; both eyes are referred to the right."""
    right = site[-1:] in set("2468") and site not in EYES
    return {"M1", "A1"} if right else {"M2", "A2"}


def superseded(channels: Sequence[Channel]) -> dict[int, str]:
    """The channels of one modality that a better version of the same signal makes needless.

    Returns:
        By place in `channels`, the reason in words, naming the better one.
    """
    reasons: dict[int, str] = {}
    best: dict[tuple[str | None, ...], int] = {}
    order = sorted(
        range(len(channels)),
        key=lambda i: (_version(channels[i]), channels[i].label, i),
    )
    for index in order:
        signal = _same_signal(channels[index])
        better = best.setdefault(signal, index) if signal else index
        if better != index:
            reasons[index] = _how_the_same(channels[index].label, channels[better].label)
    return reasons | _contained_electrodes(channels)


def _how_the_same(label: str, better: str) -> str:
    if label == better:
        return "an earlier channel has the same label"
    return f"“{better}” is a better version of the same signal"


def _same_signal(channel: Channel) -> tuple[str | None, ...] | None:
    """What versions of one EEG or EOG signal share; None where the label does not tell."""
    if channel.modality is not Modality.BAS or channel.site in (None, "EOG"):
        return None
    return (channel.site, channel.reference if _is_bipolar(channel) else None)


def _contained_electrodes(channels: Sequence[Channel]) -> dict[int, str]:
    """Single electrodes beside derivations of them: M1 and C4-M1, Chin1 and Chin1-Chin2."""
    derived: dict[str, str] = {}
    for channel in sorted(channels, key=lambda c: c.label):
        pole = _pole(channel)
        if pole and not _is_single(channel):
            derived.setdefault(pole, channel.label)
    return {
        index: f"a single electrode, which derivations such as “{derived[pole]}” contain"
        for index, channel in enumerate(channels)
        if (pole := _pole(channel)) in derived and pole and _is_single(channel)
    }


def _pole(channel: Channel) -> str | None:
    """What single electrodes and their derivations have in common, if anything."""
    match channel.modality:
        case Modality.BAS if _is_mastoid(channel) or _version(channel) < 2:
            return "mastoid"
        case Modality.EMG:
            return "chin" if (channel.site or "").endswith("chin") else channel.site or "EMG"
        case Modality.EKG if channel.reference or (channel.site or "").startswith("ECG"):
            return "ECG"
    return None


def _is_single(channel: Channel) -> bool:
    return _is_mastoid(channel) or channel.reference in (None, "Ref", "x", "G2")
