"""What follows a task in a real worker: callbacks, errbacks, and what its calls may ask for."""

import asyncio

import pytest

from celery_rs.errors import TimeLimitExceeded, WorkerLostError
from tests.deadlines import DEADLINE_S, eventually
from tests.worker.process import Project

pools = pytest.mark.parametrize("pool", ["prefork", "solo"])


@pools
def test_a_callback_runs_with_the_value_and_is_a_child(project: Project, pool: str) -> None:
    add = project.proj.add
    with project.worker("-c", "2", "-P", pool):
        result = add.apply_async((1, 2), link=[add.s(10), add.si(0, 7)])

        assert result.get(timeout=DEADLINE_S) == 3
        eventually(lambda: all(child.ready() for child in result.children))

        assert [child.get(timeout=DEADLINE_S) for child in result.children] == [13, 7]
        assert [value for _, value in result.collect(timeout=DEADLINE_S)] == [3, 13, 7]
        assert len(result.graph) == 3


@pools
def test_errbacks_of_both_styles_hear_of_a_failure(project: Project, pool: str) -> None:
    proj = project.proj
    errbacks = [proj.hear_of_id.s(), proj.hear_of_error.s()]
    with project.worker("-c", "2", "-P", pool):
        result = proj.fails.apply_async(link=proj.noted.si("never"), link_error=errbacks)

        with pytest.raises(ValueError, match="boom"):
            result.get(timeout=DEADLINE_S)
        project.saw("errbacks", 2)

    assert sorted(project.lines("errbacks")) == sorted(
        [f"id {result.id}", f"error {result.id} ValueError('boom', 1) ValueError: ('boom', 1)"]
    )
    assert project.lines("never") == []


@pytest.mark.parametrize(("task", "error"), [("hardly", TimeLimitExceeded), ("dies", WorkerLostError)])
def test_errbacks_hear_of_a_task_whose_process_died(project: Project, task: str, error: type[Exception]) -> None:
    proj = project.proj
    errbacks = [proj.hear_of_id.s(), proj.hear_of_error.s()]
    with project.worker("-c", "1"):
        result = getattr(proj, task).apply_async(link_error=errbacks)

        with pytest.raises(error):
            result.get(timeout=DEADLINE_S)
        project.saw("errbacks", 2)

    heard = sorted(project.lines("errbacks"))
    assert heard[1] == f"id {result.id}"
    assert heard[0].startswith(f"error {result.id} {error.__name__}(")


def test_compressed_arguments_arrive(project: Project) -> None:
    with project.worker("-c", "1"):
        results = [project.proj.add.apply_async((2, 3), compression=method) for method in ("zlib", "bzip2", "xz")]

        assert [result.get(timeout=DEADLINE_S) for result in results] == [5, 5, 5]


def test_many_results_are_awaited_at_once(project: Project) -> None:
    async def main() -> list[int]:
        async def one(x: int) -> int:
            value: int = await project.proj.add.delay(x, 1)
            return value

        return list(await asyncio.wait_for(asyncio.gather(*map(one, range(50))), DEADLINE_S))

    with project.worker("-c", "2"):
        assert asyncio.run(main()) == list(range(1, 51))
