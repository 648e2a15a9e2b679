"""The context of a session's ticket, made ready for an AI: redacted, fenced, within a budget."""
