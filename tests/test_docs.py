"""What the documents name exists: tests, files, make targets, hooks."""

import ast
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DIFFERENCES = (ROOT / "docs" / "differences.md").read_text()
DOCUMENTS = [*sorted((ROOT / "docs").glob("*.md")), *sorted(ROOT.glob("*.md"))]
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PLACES = ("conversion/", "docs/", "sleepfm_jax/", "tests/")


def differences() -> list[str]:
    """Rows of the tables, without their heads."""
    lines = [line for line in DIFFERENCES.splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(("| published |", "|---"))]


def functions(path: Path) -> set[str]:
    return {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)}


def test_every_difference_has_its_test_or_says_when_it_comes() -> None:
    rows = differences()
    assert len(rows) >= 20
    for row in rows:
        assert row.count("|") == 4, row
        last = row.split("|")[-2]
        assert TEST.search(last) or re.fullmatch(r" comes with [a-z ]+ ", last), row


@pytest.mark.parametrize(("file", "name"), sorted(set(TEST.findall(DIFFERENCES))))
def test_tests_that_are_named_exist(file: str, name: str) -> None:
    assert (ROOT / file).is_file()
    assert name in functions(ROOT / file)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_files_that_are_named_exist(document: Path) -> None:
    text = document.read_text()
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    for link in links:
        assert not link or "://" in link or (document.parent / link).exists(), link
    for name in re.findall(r"`([\w./-]+\.(?:py|json|npz))`", text):
        if name.startswith(PLACES) and "NAME" not in name:
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_headings_that_are_linked_to_exist(document: Path) -> None:
    for link, heading in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", document.read_text()):
        target = document.parent / link if link else document
        titles = re.findall(r"^#+ (.+)$", target.read_text(), flags=re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        assert heading in anchors, f"{link}#{heading}"


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, flags=re.MULTILINE))
    for document in DOCUMENTS:
        text = document.read_text()
        named = set(re.findall(r"(?:`|^ {4})make ([a-z]+)", text, flags=re.MULTILINE))
        assert named <= targets, document.name
    assert {"venv", "test", "lint"} <= targets


def test_hooks_are_what_make_lint_runs() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    lines = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe.splitlines()]
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert [hook["entry"] for hook in hooks] == lines
    for hook in hooks:
        assert hook["language"] == "system"
        assert hook["pass_filenames"] is False
