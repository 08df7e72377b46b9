"""`sleepfm-jax retrieve`: does an embedding of one modality find its partner in another?"""

import argparse
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sleepfm_jax.commands import embedding_flags, job_flags, text_table

if TYPE_CHECKING:
    from sleepfm_jax.jobs.retrieve import Direction

EPILOG = """\
examples:
  sleepfm-jax retrieve --embeddings embeddings --output results --candidates 100
  sleepfm-jax retrieve --embeddings embeddings --output results --among night
  sleepfm-jax retrieve --embeddings embeddings --output results --rows epochs --split validation

Every row of one modality (query) is sought among rows of another (key), by cosine: its partner is
the row of the same time. Candidates are those of all nights of the split, or of its own night with
--among night; N of them drawn at random with --candidates N. `others` is the mean of all other
modalities. Rows are what the model was trained on: clips of 30 s for towers, windows of 5 minutes
for the foundation model; with --rows epochs also its 30-second means.

writes
  results/retrieval.csv    for each direction top-1, top-5, top-10 and median rank, each with a 95 %
                           interval from resampling subjects and what guessing gives; how many
                           candidates and queries; or the reason why there is none
  results/retrieval.png    the same as a matrix
  results/retrieval.json   what was used, and what was left out and why

Splits are those stored with the clips; --seed, --fractions or --splits give others. A subject in
two splits is refused. How each number is defined: docs/probe_and_retrieval.md.
"""


def main(argv: list[str]) -> int:
    """Seeks all modalities in each other; 0 if it could be done, 1 if nights were left out."""
    parser = _parser()
    flags = embedding_flags.parse(parser, argv)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    choice = embedding_flags.read(parser, flags, flags.rows)
    from sleepfm_jax.jobs.retrieve import Search, retrieve  # after the flags: it imports JAX

    search = Search(
        split=None if flags.split == "all" else flags.split,
        candidates=flags.candidates,
        among=flags.among,
        seed=flags.draw_seed,
        resamples=flags.resamples,
    )
    rows, found = retrieve(flags.embeddings, flags.output, choice, search)
    print(
        f"among {search.words}: {len(rows)} rows of {rows.seconds:g} s, {len(rows.nights)} nights, "
        f"{len(set(rows.subjects))} subjects"
    )
    print("\n".join(_table(found)))
    for one in found:
        if one.reason:
            print(f"{one.query} in {one.key}: {one.reason}")
    print(f"{flags.output}: retrieval.csv, retrieval.png, retrieval.json")
    return 1 if rows.left_out else 0


def _table(found: Sequence["Direction"]) -> list[str]:
    header = ["query in key", "top-1", "chance", "top-10", "chance", "median rank", "of", "queries"]
    cells = []
    for one in found:
        score = one.score
        tops = [
            text
            for name in ("top1", "top10")
            for text in (
                text_table.number(getattr(score, name), one.limits[name]),
                text_table.number(score.chance[name]),
            )
        ]
        rank = text_table.number(score.median_rank, digits=1)
        pair = f"{one.query} in {one.key}"
        cells.append([pair, *tops, rank, str(score.candidates), str(score.queries)])
    return text_table.lines(header, cells)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sleepfm-jax retrieve",
        description="Seeks the embeddings of each modality among those of the others.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--candidates",
        type=job_flags.count,
        metavar="N",
        help="that a row is sought among, drawn at random; rows that fill no group of N are left "
        "out (default: all there are)",
    )
    parser.add_argument(
        "--among",
        choices=("all", "night"),
        default="all",
        help="rows of all nights, or of its own night alone (default: %(default)s)",
    )
    parser.add_argument(
        "--split",
        default="test",
        metavar="SPLIT",
        help="whose nights are used; all: every night (default: %(default)s)",
    )
    parser.add_argument(
        "--rows",
        choices=("epochs", "windows"),
        help="30 s, or 5 minutes (default: what the model was trained on)",
    )
    embedding_flags.add(parser)
    return parser
