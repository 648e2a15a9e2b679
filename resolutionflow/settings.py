"""Owns the host's settings, all read from the environment. Each variable is explained where it is read.

A `.env` beside manage.py fills in what the environment does not set; `ENV_FILE` names another file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from resolutionflow.logs import logging_config

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(os.environ.get("ENV_FILE", BASE_DIR / ".env"))


def _csv(name: str, default: str = "") -> list[str]:
    """Return a comma-separated variable as a list without blanks."""
    return [part.strip() for part in env.str(name, default).split(",") if part.strip()]


def _secret(name: str, hint: str) -> str:
    """Return a variable that production cannot do without."""
    value: str = env.str(name, "").strip()
    if not value:
        raise ImproperlyConfigured(f"Set {name} in the environment or in .env ({hint}).")
    return value


DEBUG: bool = env.bool("DEBUG", False)
SECRET_KEY = _secret("SECRET_KEY", "50 or more random characters")
ALLOWED_HOSTS = _csv("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")

_secret(
    "PSA_ENCRYPTION_KEYS",
    "Fernet keys, newest first, from cryptography.fernet.Fernet.generate_key",
)
PSA_BASE_URL: str = env.str("PSA_BASE_URL", "").rstrip("/")
"""Public address of this site: callbacks of a PSA arrive there."""

TRUSTED_PROXY_COUNT: int = env.int("TRUSTED_PROXY_COUNT", 0)
"""Reverse proxies in front of us. Above 0 their X-Forwarded-For and X-Forwarded-Proto are believed."""

# What is installed

INSTALLED_APPS = [
    "psa",
    "resolutionflow.apps.HostConfig",
    "resolutionflow.accounts",
    "resolutionflow.flows",
    "resolutionflow.sessions.apps.SessionsConfig",
    "resolutionflow.suggestions.apps.SuggestionsConfig",
    "integrations_ui",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_object_actions",
    "lucide",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]

MIDDLEWARE = [
    "resolutionflow.middleware.RequestIdMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "resolutionflow.middleware.ContentSecurityPolicyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "resolutionflow.middleware.TimeZoneMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "resolutionflow.accounts.second_factor.SecondFactorMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "integrations_ui.shell.shell",
            ],
        },
    },
]
ROOT_URLCONF = "resolutionflow.urls"
WSGI_APPLICATION = "resolutionflow.wsgi.application"

# Database and cache


def _database() -> dict[str, Any]:
    config: dict[str, Any] = env.db_url("DATABASE_URL", f"sqlite:///{BASE_DIR / 'db.sqlite3'}")
    if config["ENGINE"] == "django.db.backends.sqlite3":
        # IMMEDIATE takes the write lock when a transaction opens. Otherwise one that reads, then writes,
        # fails with "database is locked" at once, without waiting for `timeout` seconds.
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        } | config.get("OPTIONS", {})
    # On SQLite, too: opening and closing costs a third of a short request.
    config |= {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}
    return config


def _cache() -> dict[str, Any]:
    config: dict[str, Any] = env.cache_url("CACHE_URL", "locmemcache://")
    if config["BACKEND"] == "django.core.cache.backends.locmem.LocMemCache":
        config["OPTIONS"] = {"MAX_ENTRIES": 20_000} | config.get("OPTIONS", {})
    if config["BACKEND"] == "django_redis.cache.RedisCache":
        config["BACKEND"] = "django.core.cache.backends.redis.RedisCache"
    return config


DATABASES = {"default": _database()}
CACHES = {"default": _cache()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# People

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/integrations/"

ACCOUNT_ADAPTER = "resolutionflow.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "login": "resolutionflow.accounts.forms.LoginForm",
    "reauthenticate": "resolutionflow.accounts.forms.ReauthenticateForm",
    "change_password": "resolutionflow.accounts.forms.ChangePasswordForm",
    "reset_password": "resolutionflow.accounts.forms.ResetPasswordForm",
    "reset_password_from_key": "resolutionflow.accounts.forms.ResetPasswordKeyForm",
}
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
"""Accounts are made by an admin, who vouches for the address."""
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_RATE_LIMITS = {
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/300s/key",
    "reset_password": "20/m/ip,5/300s/key",
}
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR = "django.contrib.auth.tokens.PasswordResetTokenGenerator"  # noqa: S105
"""Signed over password, address and last sign-in. allauth's own keeps addresses in a table, old ones, too."""
PASSWORD_RESET_TIMEOUT = 3600
"""Seconds the link of a reset is good for."""
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_FORMS = {
    "activate_totp": "resolutionflow.accounts.forms.ActivateForm",
    "authenticate": "resolutionflow.accounts.forms.CodeForm",
    "reauthenticate": "resolutionflow.accounts.forms.CodeAgainForm",
}
MFA_TOTP_ISSUER = "ResolutionFlow PSA"
MFA_TOTP_TOLERANCE = 1
"""Steps of 30 seconds the clock of a phone may be wrong."""
MFA_ALLOW_UNVERIFIED_EMAIL = True
"""Nobody verifies an address here, see ACCOUNT_EMAIL_VERIFICATION."""
ADMIN_SECOND_FACTOR_REQUIRED: bool = env.bool("ADMIN_SECOND_FACTOR_REQUIRED", False)
"""On: admins and superusers without a second factor can do nothing but set it up. Tokens go on working."""

API_TOKEN_FAILURES_PER_MINUTE = 20
"""Wrong tokens one address may send in a minute before it gets 429 without a look at the database."""

# Mail

_MAIL: dict[str, Any] = env.email_url("EMAIL_URL", "consolemail://" if DEBUG else "smtp://localhost:25")
EMAIL_BACKEND: str = _MAIL["EMAIL_BACKEND"]
EMAIL_HOST: str = _MAIL.get("EMAIL_HOST") or "localhost"
EMAIL_PORT: int = _MAIL.get("EMAIL_PORT") or 25
EMAIL_HOST_USER: str = _MAIL.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD: str = _MAIL.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS: bool = _MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
"""Seconds; whoever invites or asks for a reset waits for the mail server."""
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", "ResolutionFlow <noreply@localhost>")

# Language and time

LANGUAGE_CODE = "en-us"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Static files

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATIC_MANIFEST: bool = env.bool("STATIC_MANIFEST", not DEBUG)
"""On: files carry a hash in their name and come compressed from STATIC_ROOT. Off: straight from the tree."""
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not STATIC_MANIFEST
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "whitenoise.storage.CompressedManifestStaticFilesStorage"
            if STATIC_MANIFEST
            else "django.contrib.staticfiles.storage.StaticFilesStorage"
        )
    },
}

# Browser security

SECURE_SSL_REDIRECT: bool = env.bool("SECURE_SSL_REDIRECT", not DEBUG)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
"""Probes of a load balancer speak plain HTTP."""
_HTTPS = not DEBUG and (SECURE_SSL_REDIRECT or PSA_BASE_URL.startswith("https://"))
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if _HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = _HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SECURE = _HTTPS
CSRF_FAILURE_VIEW = "integrations_ui.views.errors.csrf_failure"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_TRUSTED_ORIGINS = [PSA_BASE_URL] if PSA_BASE_URL.startswith("https://") else []
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""No inline script or style. `data:` images: icons of Swagger's stylesheet, QR code of the second factor."""
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # HSTS for subdomains is the owner of the domain's decision, not this host's
    "security.W021",  # and so is the preload list
]

# REST

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        # First, because it names the challenge: a request without a login is answered 401, not 403.
        "resolutionflow.accounts.authentication.TokenAuthentication",
        "resolutionflow.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "psa.api.pagination.Pagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "psa.api.problems.exception_handler",
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "ResolutionFlow PSA",
    "DESCRIPTION": "Troubleshooting sessions on one side, tickets of a PSA on the other.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# PSA

CELERY_BROKER_URL: str = env.str("CELERY_BROKER_URL", "")
"""Empty runs the embedded worker, `manage.py psa_worker`. Set, Celery delivers: see docs/operations.md."""
CELERY_QUEUE: str = env.str("CELERY_QUEUE", "psa")
"""Queue of the broker that web processes, workers and beat share."""

PSA_TENANT_MODEL = "accounts.Account"
PSA = {
    "ENCRYPTION_KEYS": _csv("PSA_ENCRYPTION_KEYS"),
    "TRUSTED_HOSTS": _csv("PSA_TRUSTED_HOSTS"),
    "CA_BUNDLE": env.str("PSA_CA_BUNDLE", "") or env.str("REQUESTS_CA_BUNDLE", "") or None,
    "BASE_URL": PSA_BASE_URL,
    "PROVIDERS": {"connectwise": "psa.providers.connectwise.provider.ConnectWiseProvider"},
    "SCOPE": "resolutionflow.accounts.scope.scope",
    "PEOPLE": "resolutionflow.accounts.people.people",
    "PAST_WORK": "resolutionflow.sessions.past_work.past_work",
    "ENGINE": "celery" if CELERY_BROKER_URL else "embedded",
    "DEFAULT_CREDENTIALS": {"connectwise": {"client_id": env.str("CONNECTWISE_CLIENT_ID", "")}},
}
DEMO_SANDBOX: dict[str, Any] = {
    "site": f"http://127.0.0.1:{env.int('SANDBOX_PORT', 8001)}",
    "credentials": {
        name: env.str(f"CONNECTWISE_SANDBOX_{name.upper()}", "")
        for name in ("company_id", "public_key", "private_key", "client_id")
    },
}
"""Where `seed_demo` points its connection. Only development uses it."""
METRICS_TOKEN: str = env.str("METRICS_TOKEN", "").strip()
"""What a scraper of /metrics sends as `Authorization: Bearer …`. Empty: there is no such page."""

# Logs

LOGGING = logging_config(json=not DEBUG, level="INFO")
