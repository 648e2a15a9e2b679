"""Owns what people do with a whole problem: retry all, discard all."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from integrations_ui.access import member_page
from integrations_ui.back import back_url
from integrations_ui.problem_rows import problem_rows, was_shown
from integrations_ui.shell import shell_of
from psa import services
from psa.exceptions import MissingError, PsaError, ServiceError
from psa.selectors import ProblemScope
from psa.types import Scope

GONE = "This problem was solved meanwhile."


@require_POST
@member_page
def problem_retry(request: HttpRequest, scope: Scope, problem_id: int) -> HttpResponse:
    """Try everything with one cause again, then lead back."""
    found = next((row for row in shell_of(request).problems if row.id == problem_id), None)
    try:
        changed = services.problem_retry(scope.tenant, problem_id, scope=scope)
    except MissingError:
        _gone(request, scope, problem_id)
    except ServiceError as exc:
        messages.error(request, exc.message)
    except PsaError as exc:
        messages.error(request, str(exc))
    else:
        _tell(request, changed, tested=found is not None and found.scope is not ProblemScope.DELIVERIES)
    return _back(request)


@require_http_methods(["GET", "HEAD", "POST"])
@member_page
def problem_discard(request: HttpRequest, scope: Scope, problem_id: int) -> HttpResponse:
    """Ask once, then give up everything with one cause and lead back."""
    rows = problem_rows(shell_of(request).problems, scope)
    row = next((row for row in rows if row.problem.id == problem_id and row.problem.can_discard), None)
    if request.method == "POST":
        reason = request.POST.get("reason", "")
        try:
            changed = services.problem_discard(scope.tenant, problem_id, scope=scope, reason=reason)
        except MissingError:
            _gone(request, scope, problem_id)
        except ServiceError as exc:
            messages.error(request, exc.message)
        else:
            messages.success(request, f"Done for {_posts(changed)}.")
        return _back(request)
    if row is None:
        raise MissingError(GONE)
    crumbs = [("Integrations", reverse("integrations_ui:connections")), (row.discard_label, "")]
    context = {"scope": scope, "row": row, "back": _back_url(request), "crumbs": crumbs}
    return render(request, "integrations_ui/problems/discard.html", context)


def _gone(request: HttpRequest, scope: Scope, problem_id: int) -> None:
    """Say that somebody was faster. Raises: MissingError, for a problem this tenant was never shown."""
    if not was_shown(scope, problem_id, request.POST.get("shown", "")):
        raise MissingError(GONE)
    messages.info(request, GONE)


def _tell(request: HttpRequest, changed: int, *, tested: bool) -> None:
    if not tested:
        verb = "goes" if changed == 1 else "go"
        messages.success(request, f"{_posts(changed)} {verb} out again.")
    elif changed:
        messages.success(request, "Tested: what waited goes out again.")
    else:
        messages.error(request, "Tested: it does not work yet.")


def _posts(count: int) -> str:
    return "1 post" if count == 1 else f"{count} posts"


def _back(request: HttpRequest) -> HttpResponse:
    return redirect(_back_url(request))


def _back_url(request: HttpRequest) -> str:
    return back_url(request, f"{reverse('integrations_ui:connections')}#problems")
