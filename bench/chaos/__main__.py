"""Runs the fire test: every set-up this machine can run, or the one that is named. Exits 1 on any finding."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.chaos.databases import Keep, celery_missing, fresh_database, postgres_missing, queue_delete
from bench.chaos.environment import environment_set
from bench.chaos.options import ROOT, Options, parse
from bench.chaos.programs import manage
from bench.chaos.verdict import Result, table

SETUPS = (("sqlite", "embedded"), ("postgres", "embedded"), ("postgres", "celery"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status of a command line."""
    options = parse(arguments)
    # Whoever ends the run early still gets the processes stopped and the database dropped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.database:
        result = _here(options)
        print(table([result]), flush=True)
        return 0 if result.ok else 1
    results = []
    failed = False
    for database, engine in SETUPS:
        missing = _missing(database, engine)
        if missing:
            print(f"== {database}, {engine}: skipped, {missing}.", flush=True)
            continue
        found = _apart(options, database, engine)
        failed = failed or found is None or not found.ok
        results += [found] if found else []
    if options.blind:
        from bench.blind_retry import blind_clients

        results += blind_clients(options)
    times = ", ".join(f"{name} {value}" for name, value in options.times.items())
    print(f"\n{table(results)}\n\nShortened by the documented PSA settings: {times}.", flush=True)
    return 1 if failed else 0


def _missing(database: str, engine: str) -> str:
    """Return why a set-up cannot be run on this machine, "" when it can."""
    missing = postgres_missing() if database == "postgres" else ""
    return missing or (celery_missing() if engine == "celery" else "")


def _apart(options: Options, database: str, engine: str) -> Result | None:
    """Run one set-up in a process of its own, because Django knows one database a process."""
    with tempfile.TemporaryDirectory(prefix="chaos-report-") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "bench.chaos", "--database", database, "--engine", engine]
        child = subprocess.Popen([*command, *options.as_arguments(), "--report", str(report)], cwd=ROOT)
        try:
            child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
        if not report.exists():
            print(f"== {database}, {engine}: broke off, see above.", flush=True)
            return None
        return Result.from_dict(json.loads(report.read_text()))


def _here(options: Options) -> Result:
    """Run one set-up in this process."""
    assert options.database is not None
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    kept = Keep(options.keep)
    queue = folder.name if options.engine == "celery" else ""
    try:
        with fresh_database(options.database, folder, kept) as url:
            environment_set(url, options.times, queue)
            manage("migrate", "--noinput", "--verbosity", "0")
            result = _run(options, folder, kept)
    except Exception:
        kept.keep = True
        raise
    finally:
        if queue:
            queue_delete(queue)
        if kept.keep:
            print(f"Kept in {folder}", flush=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if options.report:
        options.report.write_text(json.dumps(result.as_dict(), default=str))
    return result


def _run(options: Options, folder: Path, kept: Keep) -> Result:
    """Set Django up, which reads the environment once and for all, and run."""
    import django

    django.setup()
    from bench.chaos.run import run

    return run(options, f"{options.database}, {options.engine}", folder, kept)


if __name__ == "__main__":
    sys.exit(main())
