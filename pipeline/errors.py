"""What the user can fix: one exception, whose message says where, expected, found and what to do."""


class InputError(Exception):
    """Bad input or parameters. The command line prints the message alone and exits with 2."""
