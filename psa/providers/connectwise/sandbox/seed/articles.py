"""Articles of the knowledge base, about what the seeded tickets are about."""

from __future__ import annotations

from psa.providers.connectwise.sandbox.seed.planting import Planter

ARTICLES = (
    # board, title, issue, resolution
    (
        1,
        "Outlook asks for the password again and again",
        "Outlook shows the password prompt every few minutes after a password change.",
        "Close Outlook, remove the stored credentials in Credential Manager, sign in again. "
        "If it comes back, create a new profile.",
    ),
    (
        1,
        "Printer shows offline",
        "The printer is on and has an address, but Windows shows it as offline.",
        "Turn off SNMP status on the port of the printer, then restart the spooler.",
    ),
    (
        2,
        "Site-to-site VPN drops at regular intervals",
        "The tunnel goes down every hour and comes back after a minute.",
        "Set the same phase 2 lifetime on both firewalls and turn on dead peer detection.",
    ),
    (
        3,
        "User received a mail with a malicious attachment",
        "A user reports a suspicious mail, or opened its attachment.",
        "Take the device off the network, reset the password, revoke sessions, purge the mail.",
    ),
    (
        1,
        "Shared drive is not reachable",
        "The mapped drive shows a red cross, others can still reach it.",
        "Map the drive by the full DNS name and check that the device uses the internal DNS servers.",
    ),
    (
        2,
        "Switch reports high temperature",
        "Monitoring alerts for the temperature of a switch.",
        "Check the fan trays and the room. Replace the tray if a fan stands still.",
    ),
    (
        1,
        "No sound in Teams calls",
        "The user hears nothing, or is not heard, in Teams.",
        "Choose the device under Settings > Devices, update the audio driver, make a test call.",
    ),
    (
        3,
        "MFA prompts the user did not ask for",
        "Prompts arrive at night although the user did not sign in.",
        "The password is known to somebody: reset it, revoke sessions, turn on number matching.",
    ),
    (
        2,
        "Backup of a file server failed",
        "The nightly backup ends with a VSS error.",
        "Restart the VSS writers and free at least 15 % of the volume, then run the job again.",
    ),
    (
        1,
        "Set up a laptop for a new employee",
        "A new employee starts and needs a laptop.",
        "Enrol the device, assign the licence group, hand over by the checklist.",
    ),
)


def fill_articles(planter: Planter) -> None:
    for number, (board, title, issue, resolution) in enumerate(ARTICLES, start=1):
        row = {
            "title": title,
            "issue": issue,
            "resolution": resolution,
            "board": planter.ref("BoardReference", board),
            "dateCreated": "2026-01-05T09:00:00Z",
            "createdBy": "bkeller",
        }
        planter.add("service/knowledgeBaseArticles", row, number)
