"""NSRR's harmonised XML (`-nsrr.xml`): every stage and event with its start and duration."""

from xml.etree.ElementTree import Element

from sleepfm_jax.input_pipeline.annotation_formats import marks, stage_words, xml_tree
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

ROOT = "PSGAnnotation"


def recognises(document: Document) -> bool:
    """Whether the file is XML of NSRR's kind."""
    return xml_tree.has_root(document, ROOT)


def read(document: Document) -> Annotations:
    """Reads stages (`Stages|Stages`, `Wake|0` to `REM sleep|5`, `Unscored|9`) and events.

    Raises:
        InputError: the XML is damaged, or has unknown or overlapping stages, or no times.
    """
    events = xml_tree.parse(document).iterfind("ScoredEvents/ScoredEvent")
    found = (_mark(document, event) for event in events)
    return marks.gather(document, [mark for mark in found if mark is not None])


def _mark(document: Document, event: Element) -> Mark | None:
    words, _, code = (event.findtext("EventConcept") or "").strip().partition("|")
    if words == "Recording Start Time":
        return None
    stage = None
    if (event.findtext("EventType") or "").startswith("Stages"):
        stage = _stage(document, words, code)
    return Mark(
        xml_tree.number(document, event, "Start"),
        xml_tree.number(document, event, "Duration", 0.0),
        words,
        (event.findtext("SignalLocation") or "").strip() or None,
        stage,
    )


def _stage(document: Document, words: str, code: str) -> int:
    number = stage_words.PROFUSION.get(int(code)) if code.isdecimal() else stage_words.stage(words)
    if number is None:
        raise marks.unknown_stage(document, f"{words}|{code}")
    return number
