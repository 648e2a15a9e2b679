"""Owns the providers: `base` says what one must offer, `registry` finds it, each vendor has a package."""
