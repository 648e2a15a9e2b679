"""The wheel in somebody else's project: another tenant model, Django's own user, no DRF, no checkout."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ["psa", "docs/connectwise", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md"]
"""What a build reads; copied, so that it leaves nothing in the tree and two runs do not meet."""

SETTINGS = """
SECRET_KEY = "only-for-this-test-" + "x" * 50
DEBUG = False
ALLOWED_HOSTS = ["testserver"]
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
ROOT_URLCONF = "store.urls"
INSTALLED_APPS = [
    "psa",
    "shop",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "static/"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "store.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
PSA_TENANT_MODEL = "shop.Customer"
PSA = {
    "ENCRYPTION_KEYS": ["dGVzdHMtb25seS10ZXN0cy1vbmx5LXRlc3RzLW9ubHk="],
    "TRUSTED_HOSTS": ["127.0.0.1"],
}
"""

PROJECT = {
    "store/__init__.py": "",
    "store/settings.py": SETTINGS,
    "store/urls.py": (
        "from django.contrib import admin\n"
        "from django.urls import path\n"
        "urlpatterns = [path('admin/', admin.site.urls)]\n"
    ),
    "shop/__init__.py": "",
    "shop/migrations/__init__.py": "",
    "shop/models.py": (
        "from django.db import models\n"
        "class Customer(models.Model):\n"
        "    code = models.CharField(max_length=20, primary_key=True)\n"
    ),
    "missing.py": '''
import sys

NAMES = (
    "rest_framework", "drf_spectacular", "django_filters", "prometheus_client", "celery", "resolutionflow"
)

class Missing:
    """Makes packages look as if they were not installed."""

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Missing())
''',
    "manage.py": """
import os
import sys

import missing

os.environ["DJANGO_SETTINGS_MODULE"] = "store.settings"
from django.core.management import execute_from_command_line

execute_from_command_line(sys.argv)
""",
    "post_note.py": """
import dataclasses
import json
import os
import sys

import missing

os.environ["DJANGO_SETTINGS_MODULE"] = "store.settings"
import django

django.setup()

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client

import psa
from psa import selectors, services
from psa.providers.connectwise.sandbox.server import SandboxServer
from psa.types import Actor, NoteKind, NotePart
from shop.models import Customer

user = get_user_model().objects.create_superuser("root", "root@shop.example", "x")
customer = Customer.objects.create(code="C-1")
actor = Actor(user.pk, "Rita Root")
with SandboxServer() as sandbox:
    connection = services.connection_create(
        customer,
        actor=actor,
        provider="connectwise",
        name="Shop PSA",
        site=sandbox.url,
        credentials=dataclasses.asdict(sandbox.credentials),
    )
    number = sandbox.tickets()[0]["id"]
    before = len(sandbox.notes(number))
    link = services.ticket_link(customer, connection.pk, str(number))
    part = NotePart(NoteKind.ANALYSIS, "Replaced the toner.")
    unit = services.unit_enqueue(customer, link.pk, [part], actor=actor, origin="order:1")
    call_command("psa_worker", once=True)
    notes = sandbox.notes(number)[before:]
    posts = [call for call in sandbox.requests if call["method"] == "POST"]

browser = Client()
browser.force_login(user)
page = browser.get("/admin/psa/connection/", secure=True)
print(
    json.dumps(
        {
            "psa": psa.__file__,
            "connection": connection.state,
            "unit": selectors.unit_get(customer, unit.pk).state,
            "notes": notes,
            "posts": [json.loads(call["body"]) for call in posts],
            "secret": sandbox.credentials.private_key,
            "admin": [page.status_code, page.content.decode()],
            "modules": sorted(sys.modules),
        }
    )
)
""",
}


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a program, return what it printed; a failure shows both of its streams."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    run(
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(folder),
        str(source),
        cwd=folder,
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def project(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with another host, the wheel installed in its `site`."""
    folder = tmp_path_factory.mktemp("host")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    run(*pip, "--target", str(folder / "site"), str(wheel), cwd=folder, PIP_DISABLE_PIP_VERSION_CHECK="1")
    for name, text in PROJECT.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    manage(folder, "makemigrations", "shop")
    manage(folder, "migrate")
    return folder


def manage(folder: Path, *arguments: str) -> str:
    # -W error: a warning of ours would be one in every host's log.
    command = [sys.executable, "-W", "error", "manage.py", *arguments]
    return run(*command, cwd=folder, PYTHONPATH=str(folder / "site"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_wheel_holds_the_app_and_nothing_else(wheel: Path) -> None:
    found = names(wheel)
    assert {name.partition("/")[0].partition("-")[0] for name in found} == {"psa", "resolutionflow_psa"}
    assert not [name for name in found if "/tests/" in name or "conftest" in name or name.endswith(".pyc")]


def test_wheel_holds_every_module_of_the_tree(wheel: Path) -> None:
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "psa").rglob("*.py")
        if "tests" not in path.parts and path.name != "conftest.py"
    }
    assert wanted <= set(names(wheel))


def test_wheel_holds_every_template(wheel: Path) -> None:
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "psa/templates").rglob("*.html")}
    assert wanted
    assert wanted <= set(names(wheel))


def test_wheel_says_that_it_is_typed(wheel: Path) -> None:
    assert "psa/py.typed" in names(wheel)


def test_wheel_holds_the_reference_once(wheel: Path) -> None:
    found = [name for name in names(wheel) if name.endswith(".json")]
    assert found == ["psa/providers/connectwise/reference.json"]
    with zipfile.ZipFile(wheel) as archive:
        packaged = archive.read(found[0])
    tree = ROOT / "docs/connectwise/connectwise-psa-resolutionflow-reference.json"
    assert packaged == tree.read_bytes()


def test_wheel_needs_what_it_imports_and_no_drf(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        needs = message_from_string(archive.read(name).decode()).get_all("Requires-Dist", [])
    always = {re.split(r"[^\w.-]", need)[0].lower() for need in needs if "extra ==" not in need}
    assert always == third_party_imports()
    assert "djangorestframework" not in always


def third_party_imports() -> set[str]:
    """Return the distributions whose packages psa imports, those of its extras left out."""
    found: set[str] = set()
    for path in (ROOT / "psa").rglob("*.py"):
        if {"tests", "api", "celery.py", "metrics.py"} & set(path.relative_to(ROOT).parts):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    found -= set(sys.stdlib_module_names) | {"psa"}
    return {name.replace("_", "-") for name in found}


def test_other_host_passes_its_checks(project: Path) -> None:
    assert "no issues" in manage(project, "check")


def test_other_host_misses_no_migration(project: Path) -> None:
    assert "No changes detected" in manage(project, "makemigrations", "--check", "--dry-run")


def test_other_host_rotates_keys(project: Path) -> None:
    assert " 0 unreadable" in manage(project, "psa_rotate_keys", "--dry-run")


def test_other_host_prunes(project: Path) -> None:
    assert "attempts: 0 to remove" in manage(project, "psa_prune", "--dry-run")


def test_other_host_without_the_package_is_told_so_only_when_it_asks_for_metrics(project: Path) -> None:
    code = "from psa.metrics import PrometheusMissingError, exposition\ntry:\n    exposition()\n"
    code += "except PrometheusMissingError as exc:\n    print(exc)\n"
    told = manage(project, "shell", "--no-imports", "--command", code)
    assert told.startswith("prometheus-client is not installed.")


def test_other_host_posts_a_note(project: Path) -> None:
    command = [sys.executable, "-W", "error", "post_note.py"]
    found: dict[str, Any] = json.loads(run(*command, cwd=project, PYTHONPATH=str(project / "site")))
    assert Path(found["psa"]).is_relative_to(project)
    assert (found["connection"], found["unit"]) == ("connected", "delivered")
    (sent,) = found["posts"]
    assert [sent[flag] for flag in ("processNotifications", "internalFlag", "externalFlag")] == [
        False,
        True,
        False,
    ]
    (note,) = found["notes"]
    assert "Replaced the toner." in note["text"]
    assert "Rita Root" in note["text"]
    flags = ("internalAnalysisFlag", "resolutionFlag", "detailDescriptionFlag")
    assert [note[flag] for flag in flags] == [True, False, False]
    assert not [name for name in found["modules"] if name.startswith(("rest_framework", "resolutionflow"))]
    status, page = found["admin"]
    assert (status, "Shop PSA" in page, found["secret"] in page) == (200, True, False)
