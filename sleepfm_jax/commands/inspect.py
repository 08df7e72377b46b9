"""`sleepfm-jax inspect`: what a recording holds, what its channels were taken for."""

import argparse
import json
import shutil
import sys
import textwrap

from sleepfm_jax.commands import channel_flags
from sleepfm_jax.errors import InputError
from sleepfm_jax.input_pipeline.inspection import ChannelFound, Inspection, inspect

DESCRIPTION = """\
Shows what is in recordings (EDF, EDF+, BDF, the header of a WFDB record or this package's HDF5):
their length and gaps, what each channel was taken for and why, whether it is used, and which
modalities are missing.
"""
EPILOG = """\
examples:
  sleepfm-jax inspect night.edf
  sleepfm-jax inspect --channel "Foo=RESP" night.edf
  sleepfm-jax inspect --json nights/*.edf > channels.json

Only headers are read. BAS is brain activity (EEG and EOG), RESP breathing and oxygen, EKG the
heart, EMG muscle tone. A channel that was taken for the wrong thing is put right with --channel,
here and in the commands that use it.

exit status: 0 all files read, 1 some not, 2 none.
"""
COLUMNS = ("label", "rate", "unit", "modality", "site", "reference", "used", "why")
GAPS_SHOWN = 5
NARROWEST = 30  # letters of the last column, however narrow the terminal


def main(argv: list[str]) -> int:
    """Inspects recordings; 0 when all could be read, 1 when some, 2 when none."""
    flags = _parser().parse_args(argv)
    montage = channel_flags.read(flags)
    found: list[dict[str, object]] = []
    failed = 0
    for file in flags.files:
        try:
            inspection = inspect(file, montage)
        except InputError as error:
            failed += 1
            found.append({"file": file, "error": str(error)})
            print(f"sleepfm-jax inspect: {error}", file=sys.stderr)
        else:
            found.append(_plain(inspection))
            if not flags.json:
                print(_text(inspection, _width()), end="\n\n", flush=True)
    if flags.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    if not failed:
        return 0
    return 1 if failed < len(flags.files) else 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax inspect",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", metavar="FILE", nargs="+", help="a recording")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, a list with one entry a file"
    )
    channel_flags.add(parser)
    return parser


def _plain(inspection: Inspection) -> dict[str, object]:
    """What --json prints of a recording."""
    return {
        "file": str(inspection.path),
        "format": inspection.format,
        "duration_seconds": inspection.duration,
        "gaps_seconds": inspection.gaps,
        "missing": [modality.name for modality in inspection.missing],
        "notes": list(inspection.notes),
        "channels": [
            {
                "label": channel.label,
                "rate_hz": channel.rate,
                "unit": channel.unit,
                "modality": None if channel.modality is None else channel.modality.name,
                "site": channel.site,
                "reference": channel.reference,
                "taken_for": channel.reason,
                "used": channel.used,
                "why": channel.why,
            }
            for channel in inspection.channels
        ],
    }


def _text(inspection: Inspection, width: int | None) -> str:
    """What a terminal of `width` letters (None: endless) shows of a recording."""
    missing = ", ".join(modality.name for modality in inspection.missing)
    lines = [
        f"{inspection.path}: {inspection.format}, {_span(inspection.duration)}, "
        f"{_gaps(inspection.gaps)}",
        "",
        *_table([_row(channel) for channel in inspection.channels], width),
        "",
        f"used: {sum(channel.used for channel in inspection.channels)} of "
        f"{len(inspection.channels)} channels; "
        + (f"missing: no channel of {missing} is used" if missing else "no modality is missing"),
        *(f"note: {note}" for note in inspection.notes),
    ]
    return "\n".join(lines)


def _row(channel: ChannelFound) -> tuple[str, ...]:
    return (
        channel.label,
        f"{channel.rate:g} Hz",
        channel.unit,
        "" if channel.modality is None else channel.modality.name,
        channel.site or "",
        channel.reference or "",
        "yes" if channel.used else "no",
        channel.why,
    )


def _table(rows: list[tuple[str, ...]], width: int | None) -> list[str]:
    """Rows below their heads, aligned; the last column is folded to end at `width`."""
    rows = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    indent = 2 + sum(size + 2 for size in widths)
    lines = []
    for *cells, last in rows:
        start = "  " + "".join(
            f"{cell:<{size}}  " for cell, size in zip(cells, widths, strict=True)
        )
        room = max(NARROWEST, (width or sys.maxsize) - indent)
        folded = textwrap.wrap(last, room) or [""]
        lines += [start + folded[0], *(" " * indent + more for more in folded[1:])]
    return [line.rstrip() for line in lines]


def _gaps(gaps: tuple[tuple[float, float], ...] | None) -> str:
    if gaps is None:
        return "gaps not recorded"
    if not gaps:
        return "no gaps"
    shown = ", ".join(f"{_clock(start)} to {_clock(stop)}" for start, stop in gaps[:GAPS_SHOWN])
    more = ", …" if len(gaps) > GAPS_SHOWN else ""
    lost = sum(stop - start for start, stop in gaps)
    count = "1 gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
    return f"{count} of {_span(lost)} in all ({shown}{more} after the start)"


def _span(seconds: float) -> str:
    """1 h 30 min, 12.5 s."""
    hours, rest = divmod(round(seconds, 3), 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{value:g} {unit}" for value, unit in parts if value) or "0 s"


def _clock(seconds: float) -> str:
    """1:30:00, 0:00:12.5."""
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:" + (f"{rest:g}" if rest >= 10 else f"0{rest:g}")


def _width() -> int | None:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
