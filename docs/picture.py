"""Make docs/live-view.svg: the live view of a real run, as a terminal shows it.

Run it in a terminal, by `make picture`. It runs `sensorpipe up` for 90 s and keeps the last frame
before the run ends, so every figure in the picture was measured.
"""

import io
import re
import sys
from pathlib import Path
from typing import Any, Final

import rich.live
from rich.console import Console, RenderableType

TARGET: Final = Path(__file__).parent / "live-view.svg"
_COLUMNS: Final = 100
_LINES: Final = 26
_frames: Final[list[str]] = []
"""The last frame of a running pipeline, if there was one."""


class _Recorded(rich.live.Live):
    """A live display whose frames are kept as SVG."""

    def update(self, renderable: RenderableType, **options: Any) -> None:
        """Draw a frame, and keep it if the pipeline runs."""
        paper = Console(
            record=True,
            file=io.StringIO(),
            width=_COLUMNS,
            height=_LINES,
            force_terminal=True,
            color_system="truecolor",
        )
        paper.print(renderable)
        if "running" in paper.export_text(clear=False).partition("\n")[0]:
            _frames[:] = [paper.export_svg(title="make up", unique_id="view")]
        super().update(renderable, **options)


def main() -> None:
    """Run the demo and write the picture; raise SystemExit where there is none."""
    rich.live.Live = _Recorded  # type: ignore[misc]  # the command line takes it from there
    from sensorpipe_cli.__main__ import main as sensorpipe  # noqa: PLC0415  after the line above

    sys.argv = ["sensorpipe", "up", "--duration", "90s"]
    try:
        sensorpipe()
    except SystemExit as done:
        if done.code:
            raise
    if not _frames:
        sys.exit("no frame of a running pipeline: run this in a terminal")
    # the fonts of the template are on a server; every browser has a monospaced one of its own
    picture = re.sub(r"\s*@font-face \{.*?\}\n", "", _frames[0], flags=re.DOTALL)
    TARGET.write_text(picture.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
