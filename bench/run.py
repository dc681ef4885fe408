"""Ask every scenario of a plan of every contestant, in turn, several times, and keep what came of it."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

from bench.contestants import CONTESTANTS, Contestant, ContestantError
from bench.machine import describe
from bench.plan import Entry, Turn, settings_of_results, turns
from bench.progress import Progress, in_words, seconds_left
from bench.report import Report, Round, Section, Terms
from bench.scenarios import SCENARIOS, Effort, Scenario, Stage


@dataclass(frozen=True, slots=True)
class _Part:
    """One section of the report to be, and who is to be asked for it."""

    scenario: Scenario
    effort: Effort
    repeat: int
    contestants: tuple[str, ...]
    once: tuple[str, ...]
    section: Section


class Run:
    """A plan under way. Its report is whole after every round."""

    def __init__(self, entries: Sequence[Entry], command: str, directory: Path, progress: Progress) -> None:
        self._directory = directory
        self._progress = progress
        terms, missing = _gather(dict.fromkeys(name for entry in entries for name in (*entry.contestants, *entry.once)))
        for name, why in missing.items():
            progress.say(f"{name} takes no part: {why}")
        self._parts = [
            part
            for entry in entries
            for results in settings_of_results(entry)
            if (part := _part(entry, results, set(missing))).contestants or part.once or part.section.lacking
        ]
        sections = tuple(part.section for part in self._parts)
        self.report = Report(describe(directory), terms, sections, command, missing)

    def go(self, keep: Callable[[Report], None], seconds: float = inf) -> None:
        """Ask what is not in the report yet, and hand the report out after each round; begin none after `seconds`."""
        until = time.monotonic() + seconds
        everything = list(turns([(part.contestants, part.once, part.repeat) for part in self._parts]))
        todo = [turn for turn in everything if not self._is_known(turn)]
        if len(todo) < len(everything):
            self._progress.say(f"{len(everything) - len(todo)} of {len(everything)} rounds are there already")
        took = {
            (at, each.contestant): each.seconds
            for at, section in enumerate(self.report.sections)
            for each in section.rounds
        }
        for at, turn in enumerate(todo):
            if time.monotonic() > until:
                self._progress.say(f"{len(todo) - at} rounds were not asked: the time is over")
                return
            part = self._parts[turn.section]
            what = f"{part.section.name}, round {turn.turn + 1} of {part.repeat}, {turn.contestant}"
            left = min(until - time.monotonic(), seconds_left(todo[at:], took))
            self._progress.running(at, len(todo), left, what)
            began = time.monotonic()
            one = self._ask(part, CONTESTANTS[turn.contestant])
            one = replace(one, turn=turn.turn, seconds=round(time.monotonic() - began, 1))
            took[turn.section, turn.contestant] = one.seconds
            self._add(turn.section, one)
            keep(self.report)
            after = in_words(min(until - time.monotonic(), seconds_left(todo[at + 1 :], took)))
            seen = _in_short(part.scenario, one)
            self._progress.say(f"{at + 1}/{len(todo)} {what}: {seen} ({one.seconds:.0f} s; {after} left)")

    def _is_known(self, turn: Turn) -> bool:
        rounds = self.report.sections[turn.section].rounds
        return any((each.contestant, each.turn) == (turn.contestant, turn.turn) for each in rounds)

    def _add(self, at: int, one: Round) -> None:
        sections = list(self.report.sections)
        sections[at] = replace(sections[at], rounds=(*sections[at].rounds, one))
        self.report = replace(self.report, sections=tuple(sections))

    def _ask(self, part: _Part, contestant: Contestant) -> Round:
        """One run, in a directory of its own that is gone afterwards."""
        with tempfile.TemporaryDirectory(prefix="bench-", dir=self._directory, ignore_cleanup_errors=True) as place:
            broker = None
            try:
                broker = contestant.broker(Path(place)) if contestant.broker is not None else None
                tasks = part.section.tasks or 1
                stage = Stage(contestant, Path(place), part.section.results, tasks, part.effort, broker)
                measured = part.scenario.run(stage)
            except ContestantError as error:
                return Round(contestant.name, failure=str(error))
            finally:
                if broker is not None:
                    broker.stop()
        return Round(contestant.name, dict(measured.values), measured.notes)


def _gather(names: Mapping[str, None]) -> tuple[dict[str, Terms], dict[str, str]]:
    """What each contestant promises; or what is to be done for it to take part."""
    terms: dict[str, Terms] = {}
    missing: dict[str, str] = {}
    for each in map(CONTESTANTS.__getitem__, names):
        try:
            each.prepare()
            terms[each.name] = Terms(each.versions(), each.durability, each.acknowledgement, each.caveat)
        except ContestantError as error:
            missing[each.name] = str(error)
    return terms, missing


def _part(entry: Entry, results: bool, missing: set[str]) -> _Part:
    scenario = SCENARIOS[entry.scenario]
    needs = scenario.needs | ({"results"} if results else set())
    present = [CONTESTANTS[name] for name in (*entry.contestants, *entry.once) if name not in missing]
    lacking = {
        each.name: f"it has no {what.replace('_', ' ')}: {each.lacks[what]}"
        for each in present
        for what in sorted(needs & each.lacks.keys())
    }
    section = Section(
        scenario.name,
        scenario.question,
        results,
        scenario.tasks and (entry.effort.tasks or scenario.tasks),
        scenario.figures,
        limit=entry.effort.limit,
        axis=scenario.axis,
        lacking=lacking,
    )
    able = {each.name for each in present} - lacking.keys()
    contestants, once = (tuple(filter(able.__contains__, names)) for names in (entry.contestants, entry.once))
    return _Part(scenario, entry.effort, entry.repeat, contestants, once, section)


def _in_short(scenario: Scenario, one: Round) -> str:
    if one.failure:
        return f"FAILED: {one.failure}"
    said = (
        f"{figure.title} {one.values[figure.key]:,.4g} {figure.unit}".rstrip()
        for figure in scenario.figures
        if figure.key in one.values
    )
    return ", ".join(said)
