"""Owns what `seed_demo` fills a database with: people, flows and a half-done session."""

from __future__ import annotations

from dataclasses import dataclass

from resolutionflow.accounts.models import Role
from resolutionflow.flows.services import StepDraft

ACCOUNT_SLUG = "resolutionflow-demo"
ACCOUNT_NAME = "Acme Managed Services"
TOKEN_NAME = "seed_demo"  # noqa: S105  a name, not a token
CONNECTION_NAME = "ConnectWise sandbox"


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One person of the demo; the password is new with each run."""

    username: str
    role: Role
    first_name: str
    last_name: str
    email: str
    time_zone: str


PEOPLE = (
    DemoPerson("admin", Role.ADMIN, "Alice", "Monroe", "admin@acme-msp.example", "America/New_York"),
    DemoPerson("lead", Role.LEAD, "Ben", "Keller", "bkeller@acme-msp.example", "America/Chicago"),
    DemoPerson("engineer", Role.ENGINEER, "Erin", "Owens", "eowens@acme-msp.example", "America/New_York"),
)
"""Their addresses are those of members of the sandbox, so that mapping by e-mail finds them."""


@dataclass(frozen=True, slots=True)
class DemoFlow:
    """One flow of the demo."""

    title: str
    description: str
    keywords: tuple[str, ...]
    steps: tuple[StepDraft, ...]


FLOWS = (
    DemoFlow(
        "Outlook keeps asking for a password",
        "Outlook on Windows asks again and again although the password is right.",
        ("outlook", "password", "prompt", "sign-in", "exchange", "mfa", "credential"),
        (
            StepDraft(
                "Sign in on the web",
                "Open outlook.office.com in a private window with the user. Works? Then the account is fine.",
            ),
            StepDraft(
                "Look for a blocked sign-in",
                "Entra ID → Sign-in logs, last hour. Note the error code and the policy.",
            ),
            StepDraft(
                "Clear stored credentials",
                "Close Outlook. In Credential Manager remove the MicrosoftOffice and outlook entries.",
            ),
            StepDraft(
                "Check the clock", "w32tm /query /status. More than five minutes off breaks the token."
            ),
            StepDraft(
                "Make a new profile",
                "Control Panel → Mail → Show Profiles → Add. Keep the old one until the user has confirmed.",
            ),
        ),
    ),
    DemoFlow(
        "VPN connects but nothing is reachable",
        "The tunnel comes up, file shares and internal pages do not open.",
        ("vpn", "tunnel", "remote", "dns", "share", "unreachable", "firewall"),
        (
            StepDraft(
                "Is it the name or the way?",
                "Ping the file server by name, then by address. Only the name fails: DNS. Both: the way.",
            ),
            StepDraft(
                "Check DNS inside the tunnel",
                "Get-DnsClientServerAddress on the tunnel adapter; it must list the domain controllers.",
            ),
            StepDraft(
                "Look for a route that clashes",
                "route print. A home network with the office's range swallows the packets.",
            ),
            StepDraft(
                "Ask the firewall",
                "Filter the live log by the tunnel address of the user. Note the rule that drops.",
            ),
            StepDraft(
                "Test with the user", "Open the share and the intranet, then let the user do both again."
            ),
        ),
    ),
    DemoFlow(
        "Printer is offline for one person",
        "Others print, one person's jobs stay in the queue.",
        ("printer", "print", "offline", "queue", "spooler", "driver"),
        (
            StepDraft("See the queue", "Settings → Printers → Open queue. Note the state of the oldest job."),
            StepDraft("Restart the spooler", "Restart-Service Spooler, then print a test page."),
            StepDraft(
                "Compare the port",
                "Printer properties → Ports. Compare the address with the printer's own status page.",
            ),
            StepDraft(
                "Reinstall from the print server",
                "Remove the printer, then add it again from the server's list.",
            ),
        ),
    ),
)

SESSION_TITLE = "Outlook password prompts after MFA change"
SESSION_FLOW = FLOWS[0].title


@dataclass(frozen=True, slots=True)
class DemoStep:
    """One step of the half-done session."""

    title: str
    body: str
    result: str


SESSION_STEPS = (
    DemoStep(
        "Reproduced with the user",
        "Screen share at 09:10. Outlook 16.0 asks for the password every two minutes; Teams is signed in.",
        "Reproduced.",
    ),
    DemoStep(
        "Signed in on the web",
        "outlook.office.com in a private window with the user's own password and authenticator.",
        "Works at once: the account itself is fine.",
    ),
    DemoStep(
        "Looked for a blocked sign-in",
        "Entra ID sign-in log of the last hour, filtered by the user.",
        "Error 50076 from the desktop client: MFA is required since yesterday's policy change.",
    ),
    DemoStep(
        "Cleared stored credentials",
        "Closed Outlook, removed four MicrosoftOffice16 entries in Credential Manager, started Outlook.",
        "One modern sign-in window, then quiet for ten minutes.",
    ),
)
