"""The command `sensorpipe`."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from sensorpipe_cli.main import run  # noqa: PLC0415  its libraries are an extra
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich"):
            raise
        sys.exit(
            "sensorpipe needs its libraries: pip install 'sensorpipe[local]', or "
            "'sensorpipe[client]' for the commands that ask a server"
        )
    run()


if __name__ == "__main__":
    main()
