"""The command line as a whole: its commands, and what their errors look like."""

import errno
import sys
from typing import NoReturn

import typer

from assistant.cli import (
    ask,
    bench,
    config,
    demo,
    devices,
    endurance,
    evaluate,
    model,
    mqtt,
    plugins,
    run,
    satellite,
    train,
    train_diffa,
)
from assistant.errors import AssistantError, UserError

app = typer.Typer(
    help="A streaming voice assistant: it listens, understands, and answers over MQTT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command("run", epilog=run.EXAMPLES)(run.run)
app.command("satellite", epilog=satellite.EXAMPLES)(satellite.satellite)
app.command("engine", epilog=satellite.ENGINE_EXAMPLES)(satellite.engine)
app.command("ask", epilog=ask.EXAMPLES)(ask.ask)
app.command("demo", epilog=demo.EXAMPLES)(demo.demo)
app.command("devices", epilog=devices.EXAMPLES)(devices.devices)
app.add_typer(plugins.app, name="plugins")
app.add_typer(config.app, name="config")
app.add_typer(mqtt.app, name="mqtt")
app.add_typer(model.app, name="model")
bench.app.command("soak")(endurance.soak)
bench.app.command("outbox")(endurance.outbox)
app.add_typer(bench.app, name="bench")
train.app.add_typer(train_diffa.app, name="diffa")
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")


def main() -> NoReturn:
    """Run the command; a mistake of the user's is one line and exit code 2."""
    try:
        app()
    except UserError as error:
        fail(str(error), 2)
    except AssistantError as error:
        fail(str(error), 1)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        fail("the output could not be written: the disk is full", 1)
    sys.exit(0)


def fail(message: str, code: int) -> NoReturn:
    """Say why on standard error and leave."""
    typer.echo(f"assistant: {message}", err=True)
    sys.exit(code)
