"""A file on one ticket, and how large files may be."""

from __future__ import annotations

from psa.providers.connectwise.reference import JsonObject
from psa.providers.connectwise.sandbox.documents import DOCUMENTS, LIMITS
from psa.providers.connectwise.sandbox.seed.planting import Planter, at

TICKET, HOURS = 57001, 2.5
CONTENT = b"Switch: 10.20.0.2\nPrinter: 10.20.0.41\n"


def fill_limits(planter: Planter) -> None:
    planter.add(LIMITS, {"restrictFileTypesFlag": False, "globalFileSizeLimit": 200}, 1)


def fill_files(planter: Planter) -> None:
    row: JsonObject = {
        "title": "Addresses of the front office",
        "fileName": "front-office.txt",
        "serverFileName": "8c1f5d0e-0000-4000-8000-000000000001.txt",
        "owner": "nwhitfield",
        "linkFlag": False,
        "imageFlag": False,
        "publicFlag": True,
        "htmlTemplateFlag": False,
        "readOnlyFlag": False,
        "size": len(CONTENT),
        "urlFlag": False,
        "createdOnDate": at(HOURS),
        "guid": "8c1f5d0e-0000-4000-8000-000000000002",
    }
    record = planter.add(DOCUMENTS, row, hours=HOURS)
    planter.state.files[record.id] = ("Ticket", TICKET, CONTENT)
