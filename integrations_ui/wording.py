"""Owns how a connection's state is said on a page: words and a tone for each."""

from __future__ import annotations

STATES = {
    "unverified": ("Not tested yet", "wait"),
    "connected": ("Connected", "good"),
    "degraded": ("Not answering right now", "wait"),
    "broken": ("Keys refused", "bad"),
    "disabled": ("Switched off", "off"),
}
"""State of a connection → words, tone (good, wait, bad or off; see elements/state.html)."""
