"""What the kettle says."""

from assistant.plugin import say_number


def done(cups: int) -> str:
    """Say that the water boils."""
    return f"The water for {say_number(cups)} cups boils."
