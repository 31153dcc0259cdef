"""`GET /`: the page, and its files below an address that changes with any of them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

FOLDER: Final = Path(__file__).parents[1] / "page"
"""The files of the page."""

_VERSION: Final = b"VERSION/"
"""In the page's HTML, the folder of the other files."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)

HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Headers of each answer: nothing foreign is loaded, nothing is inline, no other page frames it."""

_MEDIA_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Media types by suffix; a file with another one is plain text."""

_IMMUTABLE: Final = "public, max-age=31536000, immutable"


class Page:
    """Answers the page and its files, which are read when this is made.

    The files have a common hash in their address, so that browsers may keep them and never mix two
    versions. Imports between them are relative and need not be rewritten.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }
        self.version = _hash(self._files)
        """Hash of all files."""
        html = self._files.pop("index.html")
        self._html = html.replace(_VERSION, f"page/{self.version}/".encode())

    def routes(self) -> Iterator[Route]:
        """Yield the routes of the page."""
        yield Route("/", self.answer)
        yield Route("/page/{version}/{name:path}", self.answer_file)

    async def answer(self, _request: Request) -> Response:
        """Answer the page itself, which browsers check for a newer one each time."""
        headers = {**HEADERS, "Cache-Control": "no-cache"}
        return Response(self._html, headers=headers, media_type="text/html")

    async def answer_file(self, request: Request) -> Response:
        """Answer a file; to be kept only if the address has its version.

        While servers are upgraded, one may be asked for files that another one's page names.
        """
        name = request.path_params["name"]
        content = self._files.get(name)
        if content is None:
            raise HTTPException(404)
        is_ours = request.path_params["version"] == self.version
        headers = {**HEADERS, "Cache-Control": _IMMUTABLE if is_ours else "no-cache"}
        media_type = _MEDIA_TYPES.get(Path(name).suffix, "text/plain")
        return Response(content, headers=headers, media_type=media_type)


def _hash(files: dict[str, bytes]) -> str:
    made = hashlib.sha256()
    for name, content in files.items():
        made.update(b"%s %d\n%b" % (name.encode(), len(content), content))
    return made.hexdigest()[:12]
