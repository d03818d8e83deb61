from __future__ import annotations

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.puppet.agent_windows import image_of, values


# Lines as Microsoft's page on tasklist shows them; the last one is German.
@pytest.mark.parametrize(
    ("lines", "image"),
    [
        (['"ruby.exe","4711","Services","0","48,712 K"'], "ruby.exe"),
        (["", '"a, b.exe","4711","Console","1","8 K"'], "a, b.exe"),
        (['"ruby.exe","47110","Services","0","48,712 K"'], ""),
        (["INFO: No tasks are running which match the specified criteria."], ""),
        (["INFORMATION: Es werden keine Aufgaben mit den angegebenen Kriterien ausgeführt."], ""),
        ([], ""),
    ],
)
def test_the_program_of_a_process_is_read_whatever_the_language(lines: list[str], image: str) -> None:
    assert image_of(lines, 4711) == image


def test_settings_are_read_with_windows_line_ends_and_nothing_else_is() -> None:
    told = "Notice: something\r\nlastrunreport = C:/a b/last = run.yaml\r\n\r\nlogdir = \r\n"
    assert values(told) == {"lastrunreport": "C:/a b/last = run.yaml", "logdir": ""}
