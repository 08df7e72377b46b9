"""Compumedics Profusion XML, as in NSRR's `-profusion.xml`: a code for each epoch, and events."""

from xml.etree.ElementTree import Element

from sleepfm_jax.input_pipeline.annotation_formats import marks, xml_tree
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark
from sleepfm_jax.input_pipeline.annotation_formats.stage_words import PROFUSION

ROOT = "CMPStudyConfig"


def recognises(document: Document) -> bool:
    """Whether the file is XML of Profusion's kind."""
    return xml_tree.has_root(document, ROOT)


def read(document: Document) -> Annotations:
    """Reads stages 0 to 5 (4 joins N3), 6 movement and 9 unscored, and events.

    Raises:
        InputError: the XML is damaged, or has no epoch length, unknown stages or times.
    """
    root = xml_tree.parse(document)
    codes = [stage.text or "" for stage in root.iterfind("SleepStages/SleepStage")]
    length = xml_tree.number(document, root, "EpochLength") if codes else 0.0
    if codes and not 1 <= length <= 120:
        raise document.fault(
            f"has epochs of {length:g} s, which cannot be: correct EpochLength (mostly 30)"
        )
    found = [
        Mark(row * length, length, code, stage=_stage(document, code))
        for row, code in enumerate(codes)
    ]
    found += [_event(document, event) for event in root.iterfind("ScoredEvents/ScoredEvent")]
    return marks.gather(document, found)


def _stage(document: Document, code: str) -> int:
    try:
        return PROFUSION[int(code)]
    except (KeyError, ValueError):
        raise marks.unknown_stage(document, code) from None


def _event(document: Document, event: Element) -> Mark:
    return Mark(
        xml_tree.number(document, event, "Start"),
        xml_tree.number(document, event, "Duration", 0.0),
        (event.findtext("Name") or "").strip(),
        (event.findtext("Input") or "").strip() or None,
    )
