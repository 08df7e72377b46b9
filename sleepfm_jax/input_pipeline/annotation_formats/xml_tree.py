"""XML label files: the tree, and the numbers in it."""

import re
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from sleepfm_jax.input_pipeline.annotation_formats.document import Document

_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")


def has_root(document: Document, name: str) -> bool:
    """Whether the file is XML whose first element is `name`."""
    if not document.is_text or not document.text.lstrip("\ufeff \r\n\t").startswith("<"):
        return False
    first = re.search(r"<([A-Za-z_][\w.-]*)", document.text)
    return first is not None and first[1] == name


def parse(document: Document) -> Element:
    """The root of the tree.

    The encoding that the file declares is not trusted: archives hold UTF-8 that calls itself
    UTF-16.

    Raises:
        InputError: the XML is damaged.
    """
    text = _DECLARATION.sub("", document.text.lstrip("\ufeff"))
    try:
        return ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        raise document.fault(f"is damaged XML ({error}): export it again") from error


def number(document: Document, parent: Element, name: str, default: float | None = None) -> float:
    """The number in a child element.

    Raises:
        InputError: there is none and no default, or it is no number.
    """
    text = (parent.findtext(name) or "").strip()
    if not text and default is not None:
        return default
    try:
        return float(text)
    except ValueError:
        raise document.fault(
            f"has {text[:40]!r} for {name} in {parent.tag}, where a number should be: correct it"
        ) from None
