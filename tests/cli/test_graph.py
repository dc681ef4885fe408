"""graph workers: text for Graphviz."""

from tests.cli.conftest import Run, error_of
from tests.cli.test_asking_workers import answering

STATS = {"pool": {"processes": [11, 12]}}


def test_the_workers_that_answer_are_drawn(run: Run, broker: str) -> None:
    with answering(broker, "w1@h", reply=STATS):
        drawn = run("-b", broker, "--result-backend", broker, "graph", "workers").stdout

    assert drawn.startswith("digraph workers {\n")
    assert drawn.endswith("}\n")
    assert '"broker" -> "w1@h";' in drawn
    assert '"w1@h" -> "backend";' in drawn
    assert '"w1@h" -> "w1@h/12";' in drawn
    assert f'label="{broker} (in process' in drawn


def test_workers_may_be_named_instead(run: Run, broker: str) -> None:
    words = ("nodes:b,a", "threads:3", "tmax:2", "broker:redis://h", "backend:rpc://", "generic:1", "enumerate:1")

    drawn = run("-b", broker, "graph", "workers", *words).stdout

    assert '"a" [label="Worker 1"' in drawn
    assert '"b/2" [label="2"' in drawn
    assert '"b/more" [label="1 more"' in drawn
    assert '"broker" [label="redis://"' in drawn


def test_many_workers_are_cut(run: Run, broker: str) -> None:
    drawn = run("-b", broker, "graph", "workers", "nodes:a,b,c", "wmax:1").stdout

    assert '"broker/more" [label="2 more"' in drawn
    assert '"b"' not in drawn


def test_mistakes_are_told(run: Run, broker: str) -> None:
    assert "expected KEY:VALUE" in error_of(run("-b", broker, "graph", "workers", "nodes"), 2)
    assert "no key 'node'; did you mean 'nodes'?" in error_of(run("-b", broker, "graph", "workers", "node:a"), 2)
    assert "expected a number" in error_of(run("-b", broker, "graph", "workers", "wmax:few"), 2)
    assert "bootsteps is not supported" in error_of(run("-b", broker, "graph", "bootsteps"), 2)
    assert "did you mean 'workers'?" in error_of(run("-b", broker, "graph", "worker"), 2)
