"""The Splunk app's files fit each other and the event that is shipped."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from configparser import RawConfigParser
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from defusedxml import ElementTree

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Outcome, Step, json_schema
from lab.layout import PROJECT
from tests.unit.extras.spl import Macro, Unreadable, check, expanded

APP = PROJECT / "extras" / "splunk" / "tidegate"
VIEWS = sorted((APP / "default" / "data" / "ui" / "views").glob("*.xml"))
# Splunk's own, and those of props.conf.
GIVEN = {"_time", "index", "host", "source", "sourcetype"}
DERIVED = {"duration_s": "duration_ms", "who": "by"}


def conf(name: str) -> RawConfigParser:
    """A .conf file: a line that ends with a backslash goes on in the next one (Admin Manual, «How to edit»)."""
    read = RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True)
    read.optionxform = str  # type: ignore[assignment, method-assign]
    read.read_string((APP / "default" / name).read_text(encoding="utf-8").replace("\\\n", " "))
    return read


def macros() -> dict[str, Macro]:
    read = conf("macros.conf")
    return {name.partition("(")[0]: Macro("(" in name, read[name]["definition"]) for name in read.sections()}


def details() -> set[str]:
    """Every text in the plugins that could be a detail's name."""
    texts = [path.read_text(encoding="utf-8") for path in (PROJECT / "plugins").rglob("*.py")]
    return {f"details.{name}" for text in texts for name in re.findall(r'"([a-z_0-9]+)"', text)}


def event_fields() -> frozenset[str]:
    schema = {*json_schema()["properties"], "hash", "start", "node"}
    assert set(DERIVED.values()) <= schema
    return frozenset((schema - {"nodes", "details", "by"}) | {"nodes{}"} | details() | GIVEN | set(DERIVED))


def view(path: Path) -> Element:
    root = ElementTree.parse(path, forbid_dtd=True).getroot()
    assert root is not None
    return root


def searches_of(path: Path) -> list[str]:
    """A panel's search with that which it is based on before it."""
    root = view(path)
    found = {one.get("id"): one.findtext("query") or "" for one in root.iter("search") if one.get("id")}
    return [
        f"{found[base]} | {one.findtext('query')}" if (base := one.get("base")) else one.findtext("query") or ""
        for one in root.iter("search")
    ]


def all_searches() -> list[tuple[str, str]]:
    saved, types = conf("savedsearches.conf"), conf("eventtypes.conf")
    found = [(name, saved[name]["search"]) for name in saved.sections()]
    found += [(name, types[name]["search"]) for name in types.sections()]
    return found + [(path.stem, search) for path in VIEWS for search in searches_of(path)]


SEARCHES = all_searches()


@pytest.mark.parametrize("search", [search for _, search in SEARCHES], ids=[name for name, _ in SEARCHES])
def test_a_search_reads_only_fields_that_are_there(search: str) -> None:
    check(expanded(search, macros()), event_fields())


@pytest.mark.parametrize("search", [search for _, search in SEARCHES], ids=[name for name, _ in SEARCHES])
def test_steps_and_outcomes_are_the_schemas(search: str) -> None:
    text = expanded(search, macros())
    for field, allowed in (("step", set(Step)), ("outcome", set(Outcome))):
        lists = re.findall(rf"\b{field} IN \(([^)]*)\)|\bin\({field},([^)]*)\)", text)
        named = [word for pair in lists for words in pair for word in re.findall(r"\w+", words)]
        named += re.findall(rf'(?<![.\w]){field}\s*!?==?\s*"?(\w+)', text)
        assert set(named) - {"any"} <= {str(one) for one in allowed}


def test_every_search_of_events_removes_duplicates() -> None:
    raw = [name for name, search in SEARCHES if "`tidegate_" not in search and not name.startswith("tidegate_")]
    assert raw == []
    assert "dedup id" in macros()["tidegate_events"].definition


def test_a_rollback_is_told_apart_from_a_deployment_and_is_no_lead_time() -> None:
    """What tells them apart is in the event of every end; the words of its message are nobody's to search in."""
    definition = macros()["tidegate_deployments"].definition
    assert 'word=="close" AND kind=="rollback", "rolled back"' in definition
    assert "details.superseded_by" in definition and "details.msg" not in definition
    lead = [search for name, search in SEARCHES if "lead_hours" in search]
    assert len(lead) == 4 and all('state="done"' in search for search in lead)


@pytest.mark.parametrize(
    ("search", "problem"),
    [
        ('`tidegate_events("step=plan")` | stats count BY serivce', "serivce"),
        ('`tidegate_events("stpe=plan")`', "stpe"),
        ('`tidegate_events("*")` | stats count BY service | search environment=lab', "environment"),
        ('`tidegate_events("*")` | eval a=if(step=="plan", \'details.no_such_detail\', 1)', "details.no_such_detail"),
        ("`tidegate_events`", "no such macro"),
        ('`tidegate_event("*")`', "no such macro"),
        ('`tidegate_events("*")` | transaction deployment', "transaction"),
    ],
)
def test_a_wrong_search_is_found(search: str, problem: str) -> None:
    with pytest.raises(Unreadable, match=problem):
        check(expanded(search, macros()), event_fields())


@pytest.mark.parametrize("path", VIEWS, ids=[path.stem for path in VIEWS])
def test_a_dashboard_is_well_formed(path: Path) -> None:
    root = view(path)
    assert (root.tag, root.get("version")) == ("form", "1.1")
    assert root.findtext("label") and root.findtext("description")
    tokens = {one.get("token") for one in root.iter("input")}
    text = path.read_text(encoding="utf-8")
    used = {name.partition(".")[0] for name in re.findall(r"\$([\w.]+)(?:\|u)?\$", text)} - {"row"}
    assert used <= tokens
    # A drilldown's row has the columns of its table.
    for table in root.iter("table"):
        columns = (table.findtext("search/query") or "").rpartition("| table ")[2].split()
        link = table.findtext("drilldown/link") or ""
        row = set(re.findall(r"\$row\.([\w.]+)\|u\$", link))
        assert not link or row
        assert row <= set(columns)


def test_links_lead_to_dashboards_and_their_inputs() -> None:
    tokens = {path.stem: {one.get("token") for one in view(path).iter("input")} for path in VIEWS}
    for path in VIEWS:
        for link in view(path).iter("link"):
            target, _, query = (link.text or "").partition("?")
            assert {name.split(".")[0] for name in re.findall(r"form\.([\w.]+)=", query)} <= tokens[target]


def test_the_navigation_has_every_dashboard() -> None:
    nav = view(APP / "default" / "data" / "ui" / "nav" / "default.xml")
    named = [one.get("name", "") for one in nav.iter("view")]
    assert sorted(name for name in named if name != "search") == [path.stem for path in VIEWS]
    assert [one.get("name") for one in nav.iter("view") if one.get("default")] == ["deployments"]


def test_source_types_and_what_is_derived() -> None:
    props = conf("props.conf")
    assert props.sections() == ["tidegate:event", "tidegate:task", "tidegate:custom"]
    derived = {key.removeprefix("EVAL-"): text for key, text in props["tidegate:event"].items() if "EVAL-" in key}
    assert set(derived) == set(DERIVED)
    assert all(DERIVED[name] in text for name, text in derived.items())
    assert all(props[name]["KV_MODE"] == "json" for name in props.sections())


def test_tags_are_of_event_types() -> None:
    types = conf("eventtypes.conf").sections()
    assert {name.removeprefix("eventtype=") for name in conf("tags.conf").sections()} <= set(types)


def test_nothing_runs_by_itself() -> None:
    saved = conf("savedsearches.conf")
    keys = [key for name in saved.sections() for key in saved[name]]
    assert [key for key in keys if key.startswith(("cron", "action", "enable"))] == []


def test_the_licence_is_the_projects() -> None:
    assert (APP / "LICENSE.txt").read_bytes() == (PROJECT / "LICENSE").read_bytes()


def test_the_package_is_the_same_again_and_has_everything(tmp_path: Path) -> None:
    made = []
    for folder in ("a", "b"):
        argv = [sys.executable, str(PROJECT / "tools" / "splunk_app.py"), str(tmp_path / folder)]
        made.append(Path(subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()))
    assert made[0].read_bytes() == made[1].read_bytes()
    with tarfile.open(made[0]) as package:
        names = {entry.name for entry in package if entry.isfile()}
    assert names == {f"tidegate/{path.relative_to(APP)}" for path in APP.rglob("*") if path.is_file()}
    assert {"tidegate/static/appIcon.png", "tidegate/static/appIcon_2x.png"} <= names
