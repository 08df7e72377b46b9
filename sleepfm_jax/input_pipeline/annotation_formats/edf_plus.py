"""EDF+ and BDF+ annotations: stages of Rechtschaffen and Kales or the AASM, `text@@channel`."""

from sleepfm_jax.input_pipeline import edf
from sleepfm_jax.input_pipeline.annotation_formats import marks
from sleepfm_jax.input_pipeline.annotation_formats.document import Document
from sleepfm_jax.input_pipeline.annotation_formats.marks import Annotations, Mark

BEGINNINGS = (b"0       ", b"\xffBIOSEMI")


def recognises(document: Document) -> bool:
    """Whether the file begins as EDF or BDF."""
    return document.head.startswith(BEGINNINGS)


def read(document: Document) -> Annotations:
    """Reads all annotations.

    Raises:
        InputError: the file is damaged, or has unknown or overlapping stages.
    """
    with edf.open_recording(document.path) as recording:
        rows = recording.annotations()
    return marks.gather(document, [_mark(document, *row) for row in rows])


def _mark(document: Document, onset: float, duration: float, text: str) -> Mark:
    words, _, channel = (part.strip() for part in text.partition("@@"))
    return Mark(onset, duration, words, channel or None, marks.recognise(document, words))
