"""`sleepfm-jax COMMAND …`: dispatch only; each command's flags live in `sleepfm_jax/commands`."""

import importlib
import logging
import os
import sys

from sleepfm_jax.errors import InputError
from sleepfm_jax.version import __version__

COMMANDS = {
    "inspect": "what is in a recording, and what each channel was taken for",
    "preprocess": "EDF, BDF or WFDB nights to recordings at the model's rate (one HDF5 a night)",
    "pack": "recordings to a store of 5-minute windows, split by subject",
    "clip": "recordings to a store of 30-second clips with their stages (ICML 2024)",
    "pretrain": "contrastive pretraining, on one device, a node or several",
    "embed": "recordings, EDFs or clips to embeddings",
    "finetune": "train a head on labelled nights: sleep stages or disease risk",
    "stage": "sleep stages of nights: hypnograms, probabilities, pictures",
    "risk": "log hazards of many diseases, from a night and age and sex",
    "evaluate": "how good stages or risks are against labels",
    "probe": "what a linear classifier reads out of frozen embeddings, by few subjects too",
    "retrieve": "does a modality's embedding find the same moment in another modality",
    "plot": "a picture of each night's embeddings over its hypnogram",
    "simulate": "nights of simulated polysomnography with stages and outcomes",
}

USAGE = "\n".join(
    [
        "usage: sleepfm-jax COMMAND [--help] …",
        "",
        "SleepFM for polysomnography: from a folder of EDF files to embeddings, stages and risks.",
        "",
        *(f"  {name:<12}{summary}" for name, summary in COMMANDS.items()),
        "",
        "sleepfm-jax COMMAND --help explains a command; sleepfm-jax --version prints the version.",
    ]
)


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns the exit status.

    0: done. 1: done in part, what failed is listed. 2: wrong use or unusable input.
    130: interrupted.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if arguments else 2
    command, *rest = arguments
    if command == "--version":
        print(f"sleepfm-jax {__version__}")
        return 0
    if command not in COMMANDS:
        print(f"sleepfm-jax: no command {command!r}\n\n{USAGE}", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # logs of a cluster
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    logging.getLogger("sleepfm_jax").setLevel(logging.INFO)  # libraries speak up only to warn
    try:
        return importlib.import_module(f"sleepfm_jax.commands.{command}").main(rest)
    except InputError as error:
        print(f"sleepfm-jax {command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"sleepfm-jax {command}: interrupted; run it again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output (`| head`) has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
