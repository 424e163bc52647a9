"""``penstock bench``."""


def bench() -> None:
    """Measure."""
