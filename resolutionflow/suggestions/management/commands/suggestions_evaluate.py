"""`manage.py suggestions_evaluate`: how often the ranking is right, on the labelled set."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from resolutionflow.suggestions.evaluation import evaluate, labelled


class Command(BaseCommand):
    """Print top-1 and top-3 accuracy of each way of ranking."""

    help = "Evaluate the ranking of flows on the labelled set of tickets."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print one line a way."""
        found = labelled()
        self.stdout.write(f"{len(found['tickets'])} tickets, {len(found['flows'])} flows")
        for way in evaluate():
            self.stdout.write(
                f"{way.name:40} top-1 {way.top1:6.1%}   top-3 {way.top3:6.1%}   nothing {way.silent:6.1%}"
            )
