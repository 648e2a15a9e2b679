"""Owns the workers of a run: started, killed at random, replaced at once, asked to stop at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from bench.chaos.programs import Program

STOP_WITHIN_S = 20.0
FALLEN_MAX = 10
"""So many workers that end by themselves end the run: they cannot even start."""
ATTEMPTS_A_KILL = 10
"""Attempts between two kills at least. A run at full speed makes several times as many."""
CELERY = ("-m", "celery", "-A", "resolutionflow")
POOL = 4
"""Processes of one Celery worker."""


class Fleet:
    """The workers of one engine. Call `step` again and again; it kills and replaces when it is time."""

    def __init__(
        self, engine: str, workers: int, folder: Path, *, run_name: str, kill_every_s: float, seed: int
    ) -> None:
        self._start: Callable[[], Program] = self._embedded if engine == "embedded" else self._celery
        self._folder = folder
        self._run_name = run_name
        self._rng = random.Random(seed)
        self._kill_every_s = kill_every_s
        self._next_kill = time.monotonic() + self._pause_s()
        self._attempts_at_kill = 0
        self._number = 0
        self.kills = 0
        self.fallen = 0
        """Workers that ended although nobody killed them."""
        self._beat = self._celery_beat() if engine == "celery" else None
        self._workers = [self._start() for _ in range(workers)]

    def step(self, attempts: int) -> None:
        """Replace who fell; kill one at random when it is time.

        Nobody is killed before ATTEMPTS_A_KILL attempts were written down since the last kill, nor the one
        that started last: on a machine too slow for the pace, workers would die before they did anything.
        """
        for place, worker in enumerate(self._workers):
            if worker.exit_code is not None:
                self.fallen += 1
                if self.fallen >= FALLEN_MAX:
                    raise RuntimeError(
                        f"{self.fallen} workers ended by themselves; the last one:\n{worker.tail()}"
                    )
                print(f"{worker.name} ended by itself ({worker.exit_code}):\n{worker.tail()}", flush=True)
                self._workers[place] = self._start()
        is_time = self._kill_every_s > 0 and time.monotonic() >= self._next_kill
        if is_time and attempts - self._attempts_at_kill >= ATTEMPTS_A_KILL:
            oldest_first = sorted(self._workers, key=lambda worker: worker.started_at)
            victim = self._rng.choice(oldest_first[:-1] or oldest_first)
            place = self._workers.index(victim)
            victim.kill()
            self.kills += 1
            self._attempts_at_kill = attempts
            self._workers[place] = self._start()
            self._next_kill = time.monotonic() + self._pause_s()

    def stop(self) -> int:
        """Ask all to end, and return how many had to be killed because they did not."""
        programs = [*self._workers, *([self._beat] if self._beat else [])]
        return sum(not program.stop(STOP_WITHIN_S) for program in programs)

    def kill(self) -> None:
        """End all at once."""
        for program in [*self._workers, *([self._beat] if self._beat else [])]:
            program.kill()

    def _pause_s(self) -> float:
        return self._kill_every_s * self._rng.uniform(0.5, 1.5)

    def _next(self) -> str:
        self._number += 1
        return f"worker-{self._number:03d}"

    def _embedded(self) -> Program:
        return Program(self._next(), ["manage.py", "psa_worker"], self._folder)

    def _celery(self) -> Program:
        name = self._next()
        node = f"{self._run_name}-{name}@%h"
        arguments = [*CELERY, "worker", "--concurrency", str(POOL), "--loglevel", "WARNING", "-n", node]
        return Program(name, arguments, self._folder)

    def _celery_beat(self) -> Program:
        schedule = str(self._folder / "celerybeat-schedule")
        return Program("beat", [*CELERY, "beat", "--loglevel", "WARNING", "-s", schedule], self._folder)
