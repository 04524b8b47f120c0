"""What the user can fix: one exception, which says where, expected, found and the remedy."""


class InputError(Exception):
    """Bad input or parameters. The command line prints the message alone and exits with 2."""
