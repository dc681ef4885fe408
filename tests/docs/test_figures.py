"""The figures in the READMEs are those of the report."""

import pytest

from bench import record
from bench.readme import LANGUAGES, REPORT, Language, figures


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.path.name)
def test_the_figures_of_the_readme_are_the_reports(language: Language) -> None:
    assert f"<!-- figures -->\n{figures(record.load(REPORT), language)}<!-- /figures -->" in language.path.read_text()
