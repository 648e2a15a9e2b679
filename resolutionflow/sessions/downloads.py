"""Owns how a file of a ticket reaches a browser: streamed, to be saved, never to be shown in our origin."""

from __future__ import annotations

from collections.abc import Iterator

from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header

from psa.types import Download


class _Blocks:
    """The blocks of a download; Django closes what has `close`, also when the reader goes away."""

    def __init__(self, download: Download) -> None:
        self.download = download

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.download.blocks)

    def close(self) -> None:
        """Release the socket to the PSA."""
        self.download.close()


def download_response(download: Download) -> StreamingHttpResponse:
    """Return the answer that streams a file. Its kind is not told: we do not take the PSA's word for it."""
    document = download.document
    name = document.file_name or document.title or f"document-{document.id}"
    headers = {
        "Content-Disposition": content_disposition_header(True, name) or "attachment",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return StreamingHttpResponse(_Blocks(download), content_type="application/octet-stream", headers=headers)
