from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.tidegate.delivery.plugins.action.nunit_results import ActionModule
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor
from ansible_collections.tidegate.delivery.plugins.plugin_utils.action.arguments import argument_spec


def judged(**args: object) -> dict[str, Any]:
    defaults = {name: option.get("default") for name, option in argument_spec("nunit_results").items()}
    defaults["categories"] = {"include": [], "exclude": []}
    call = SimpleNamespace(args=defaults | args, check=False, redactor=Redactor(()))
    return object.__new__(ActionModule).act(call)  # type: ignore[arg-type]


def test_a_path_that_is_none_is_told_with_its_option(tmp_path: Path) -> None:
    good = tmp_path / "good.xml"
    good.write_text('<testsuite><testcase name="A"/></testsuite>')
    assert judged(files=[str(good)])["outcome"] == "passed"
    for files in (["a\0b"], [str(good), "x" * 5000]):
        with pytest.raises(BadInput, match=r"the path has .* \(files: .*\)\. Give the path of a file"):
            judged(files=files)
    with pytest.raises(BadInput, match=r"the path has a NUL in it \(junit: a\\x00b\)"):
        judged(files=[str(good)], junit="a\0b")


@pytest.mark.parametrize(
    ("path", "told"), [("x" * 300, "can't be read: File name too long"), ("/dev/zero", "is no file")]
)
def test_what_can_not_be_read_is_told_with_where_and_remedy(path: str, told: str) -> None:
    with pytest.raises(BadInput, match=rf"{told} \({path}\)\. Look where the runner wrote its results"):
        judged(files=[path])
