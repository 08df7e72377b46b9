"""`python -m conversion COMMAND …`: published PyTorch checkpoints in, out, and compared."""

import argparse
import sys
from pathlib import Path

from sleepfm_jax.errors import InputError

KINDS = (  # `published.BY_KIND`, which needs PyTorch
    "base",
    "staging",
    "diagnosis",
    "diagnosis-of-night-alone",
    "diagnosis-of-demographics-alone",
    "diagnosis-of-signals",
    "effnet",
    "supervised-effnet",
)
DESCRIPTION = """\
Moves SleepFM between PyTorch's checkpoints and the model folders used here, without changing a
bit, and measures how far the two implementations are apart.
"""
EPILOG = """\
examples:
  python -m conversion import --checkpoint best.pt --config config.json --output MODEL
  python -m conversion parity --model MODEL --recording night.edf

python -m conversion COMMAND --help explains a command, docs/conversion.md the figures.
"""
IMPORT_EPILOG = """\
examples:
  python -m conversion import --checkpoint best.pt --config config.json --output MODEL
  python -m conversion import --checkpoint best.pth --config config.json \
      --labels label_mapping.csv --output DIAGNOSIS
  python -m conversion import --checkpoint towers.pt --output TOWERS
  python -m conversion import --release sleepfm-clinical --output MODELS

The class of the model, base or head, stands in config.json; a checkpoint of the ICML 2024 system
needs none. The checkpoint is read as tensors and never executed. Entries that are unknown, missing
or of another shape are all named. The other way round: python -m conversion export --help
"""
EXPORT_EPILOG = """\
example:
  python -m conversion export --model MODEL --checkpoint best.pt --config config.json

Every entry is bit for bit what was imported, with its `module.` prefix if it had one. The
state of an optimiser is not kept.
"""
PARITY_EPILOG = """\
examples:
  python -m conversion parity --model MODEL --recording night.edf
  python -m conversion parity --model MODEL --float64
  python -m conversion parity --release sleepfm-clinical

Each layer is fed what reaches it in PyTorch; the outputs are those of the whole networks. The
exit status is 0 if all differences are within 4 times PyTorch's own float32 error (in float64:
within 1e-12 of the largest value), else 1.
"""
CREATE_EPILOG = """\
examples:
  python -m conversion create --seed 0 --output untrained
  python -m conversion create --kind staging --output untrained-stager
  python -m conversion create --kind effnet --output untrained-towers

makes untrained/best.pt and untrained/config.json: PyTorch's initial values in the published
layout, to try everything without the released weights. Of a head the file is best.pth; the networks
of the ICML 2024 system, effnet and supervised-effnet, have no config.json.
"""


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    0: done. 1: something is not equal, or a part of a release failed. 2: wrong use or unusable
    input. 130: interrupted.
    """
    flags = _parser().parse_args(argv)
    try:
        return _run(flags)
    except InputError as error:
        fault, status = str(error), 2
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        fault, status = "needs PyTorch; run pip install 'sleepfm-jax[torch]'", 2
    except KeyboardInterrupt:
        fault, status = "interrupted", 130
    print(f"python -m conversion {flags.command}: {fault}", file=sys.stderr)
    return status


def _run(flags: argparse.Namespace) -> int:
    from conversion import commands  # late: --help needs no PyTorch

    run = {
        "import": commands.import_,
        "export": commands.export,
        "parity": commands.compare,
        "create": commands.create,
    }
    return run[flags.command](flags)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conversion",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, summary: str, epilog: str) -> argparse.ArgumentParser:
        return commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    _add_import(command("import", "a published checkpoint to a model folder", IMPORT_EPILOG))
    _add_export(command("export", "a model folder to a PyTorch checkpoint", EXPORT_EPILOG))
    _add_parity(command("parity", "how far JAX is from PyTorch, layer by layer", PARITY_EPILOG))
    _add_create(command("create", "an untrained model in the published layout", CREATE_EPILOG))
    return parser


def _add_import(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--checkpoint",
        type=Path,
        help="best.pt of a base model or of three towers, best.pth of a head",
    )
    source.add_argument(
        "--release",
        type=Path,
        metavar="CLONE",
        help="of the published repository: convert and check everything in it",
    )
    parser.add_argument("--config", type=Path, help="config.json beside the checkpoint")
    parser.add_argument(
        "--labels", type=Path, help="label_mapping.csv: what the outputs of a diagnosis head are of"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder; a model is replaced")
    parser.set_defaults(windows=2, seed=0, dtype="float32")


def _add_export(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="folder that import wrote")
    parser.add_argument("--checkpoint", type=Path, required=True, help="file to write")
    parser.add_argument("--config", type=Path, help="config.json to write beside it")
    _add_overwrite(parser)


def _add_parity(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="folder that import wrote")
    source.add_argument(
        "--release", type=Path, metavar="CLONE", help="of the published repository: check all of it"
    )
    parser.add_argument(
        "--recording", type=Path, help="EDF, BDF or HDF5 to compare on beside noise"
    )
    parser.add_argument(
        "--windows",
        type=_positive,
        default=2,
        metavar="N",
        help="5-minute windows of noise, and of the recording (default: %(default)s)",
    )
    parser.add_argument("--seed", type=_whole, default=0, help="of the noise (default: 0)")
    parser.add_argument(
        "--float64",
        dest="dtype",
        action="store_const",
        const="float64",
        default="float32",
        help="compute in float64, where hardly any rounding hides a difference",
    )


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", choices=KINDS, default="base", help="of model (default: %(default)s)"
    )
    parser.add_argument("--seed", type=_whole, default=0, help="of the values (default: 0)")
    parser.add_argument("--output", type=Path, required=True, help="folder for the two files")
    _add_overwrite(parser)


def _add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files of other content that are there"
    )


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _positive(text: str) -> int:
    if _whole(text) == 0:
        raise argparse.ArgumentTypeError("0 is too few")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
