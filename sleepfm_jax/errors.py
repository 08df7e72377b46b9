"""The error a user can act on: one sentence that names the file, the fault and the way out."""


class InputError(Exception):
    """Something the user gave cannot be used.

    The message is one sentence that names the file, what is wrong with it and what to do;
    commands print it without a traceback, batch jobs list it and go on.
    """
