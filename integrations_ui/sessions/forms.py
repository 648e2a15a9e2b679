"""Owns the forms of the session pages. What a text may hold is decided by the services, not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms

from psa.exceptions import ServiceError
from resolutionflow.accounts.models import Account
from resolutionflow.flows import selectors as flow_selectors
from resolutionflow.sessions import rendering
from resolutionflow.sessions.models import TITLE_MAX_CHARS, FlowSession, Outcome

SUMMARY_HINT = "The only text of a session that a customer reads."


class TextField(forms.CharField):
    """A text as it was typed. Control characters are let through: services drop them and say so."""

    widget = forms.Textarea

    def __init__(self, *, rows: int, prose: bool = True, **options: Any) -> None:
        attributes = {"rows": rows, **({"class": "prose"} if prose else {})}
        super().__init__(strip=False, widget=forms.Textarea(attributes), **options)
        self.validators = []

    def to_python(self, value: Any) -> str:
        """Return the text with the line ends of this side of a browser."""
        return (super().to_python(value) or "").replace("\r\n", "\n")


class SessionForm(forms.Form):
    """A new session: what it is about, and the flow that guides it."""

    title = forms.CharField(max_length=TITLE_MAX_CHARS)
    flow = forms.TypedChoiceField(required=False, coerce=int, empty_value=None)

    def __init__(self, account: Account, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        flows = flow_selectors.flows(account).prefetch_related(None).values_list("pk", "title")
        self.fields["flow"].choices = [("", "No flow"), *flows]  # type: ignore[attr-defined]


class SessionEditForm(SessionForm):
    """What may be changed of an open session."""

    resolution = TextField(rows=6, required=False, label="Closing summary", help_text=SUMMARY_HINT)


class StepForm(forms.Form):
    """One step."""

    title = forms.CharField(max_length=TITLE_MAX_CHARS, required=False)
    body = TextField(rows=3, label="What did you do?")
    result = TextField(rows=2, required=False, label="What did it show?")


class NoteForm(forms.Form):
    """The text of a note. Its kind stands in the address of the page."""

    text = TextField(rows=14, prose=False)
    notify = forms.BooleanField(required=False)


class EditDeliveryForm(forms.Form):
    """The new text of a note that could not be posted."""

    text = TextField(rows=14, prose=False)


class CompleteForm(forms.Form):
    """How a session ends."""

    outcome = forms.ChoiceField(choices=Outcome.choices, widget=forms.RadioSelect)
    resolution = TextField(rows=6, required=False, label="Closing summary")
    status = forms.CharField(max_length=100, required=False)
    notify = forms.ChoiceField(
        choices=[
            ("", "As the status rule says; without one, nobody"),
            ("no", "Nobody"),
            ("yes", "Whoever the board's settings name, the customer included"),
        ],
        required=False,
        widget=forms.RadioSelect,
        label="Who is mailed",
    )

    def clean_status(self) -> str:
        """Return an id or a name in one line."""
        return rendering.one_line(self.cleaned_data["status"])


class LinkForm(forms.Form):
    """What a person says yes to when a session is linked."""

    other_company = forms.BooleanField(required=False)
    discard_open = forms.BooleanField(required=False)


def errors_add(form: forms.Form, exc: ServiceError, names: Mapping[str, str] | None = None) -> None:
    """Put what a service refused into a form: beside the fields it names, else above the form.

    Shape: names maps a service's field to the form's, where they differ.
    """
    placed = False
    for field, sentences in exc.fields.items():
        name = (names or {}).get(field, field)
        if name in form.fields:
            form.add_error(name, _sentences(exc, sentences))
            placed = True
    if not placed:
        form.add_error(None, exc.message)


def _sentences(exc: ServiceError, sentences: Sequence[str]) -> list[str]:
    # Of an unknown status the field lists the names there are, and the message is the sentence.
    return [exc.message] if exc.code == "unknown-status" else list(sentences)


def summary_of(session: FlowSession) -> dict[str, Any]:
    """Return the values an edit form starts from."""
    return {"title": session.title, "flow": session.flow_id, "resolution": session.resolution}
