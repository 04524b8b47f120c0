"""Numbers as people read them; an en dash where a figure is undefined."""

NONE = "–"


def percent(value: float | None) -> str:
    """A figure in percent, to two decimals, without the sign."""
    return NONE if value is None else f"{value:.2f}"


def plus_minus(value: float | None, spread: float | None) -> str:
    """A mean and its standard deviation."""
    return percent(value) if spread is None else f"{percent(value)} ± {percent(spread)}"


def signed(value: float | None) -> str:
    """A difference, with its sign (a real minus, as wide as a plus)."""
    return NONE if value is None else f"{value:+.2f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share of 1, in percent to one decimal."""
    return NONE if value is None else f"{100 * value:.1f} %".replace("-", "−")


def probability(value: float | None) -> str:
    """A p-value, to three decimals."""
    if value is None:
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def number(value: int | None) -> str:
    """A count to three digits: 512, 1.31 k, 22.9 M."""
    return NONE if value is None else _scaled(value, ("", "k", "M", "G"))


def size(value: int | None) -> str:
    """Bytes on disk to three digits, in powers of 1000."""
    return NONE if value is None else _scaled(value, ("B", "kB", "MB", "GB"))


def _scaled(value: int | float, units: tuple[str, ...]) -> str:
    place = 0
    while value >= 999.5 and place < len(units) - 1:
        value, place = value / 1000, place + 1
    digits = f"{value:.0f}" if place == 0 else f"{value:#.3g}".removesuffix(".")
    return f"{digits} {units[place]}".rstrip()
