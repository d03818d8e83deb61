from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.tidegate.delivery.plugins.module_utils.catalog.catalog import (
    find_service,
    load_catalog,
    load_service,
    survey_catalog,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput

LAB = Path(__file__).resolve().parents[5] / "services"
Edit = Callable[[dict[str, Any]], object]


def edited(folder: Path, edit: Edit) -> Path:
    described = yaml.safe_load((LAB / "tradeapi.yml").read_text())
    edit(described)
    path = folder / "tradeapi.yml"
    path.write_text(yaml.safe_dump(described))
    return path


def test_the_labs_descriptors_are_valid() -> None:
    assert set(load_catalog(str(LAB), "lab")) == {"tradeapi", "pricefeed"}


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.update(min_online="160%"), "min_online: '160%' is neither a count of nodes nor a share"),
        (lambda d: d.pop("min_online"), "min_online: Field required"),
        (lambda d: d.update(min_onlin="60%"), "min_onlin: Extra inputs are not permitted; found '60%'"),
        (lambda d: d["drain"].update(soft="30"), "drain.soft: '30' is not a duration"),
        (lambda d: d["drain"].update(sticky="stay"), "drain.sticky: Input should be 'move' or 'wait'"),
        (lambda d: d["drain"].update(soft="2m"), "drain: soft must not be later than hard"),
        (lambda d: d["waves"].append(0), "a wave of 0 nodes would never end"),
        (lambda d: d["verify"]["health"].update(url="http://{nod}/"), "unknown placeholder {nod}; allowed are {node}"),
        (lambda d: d["verify"]["health"].update(url="ftp://{node}/"), "is not an http or https URL"),
        (lambda d: d["pools"].clear(), "pools: List should have at least 1 item"),
        (lambda d: d.update(name="other"), "name: is 'other', but the file is called tradeapi.yml"),
        (lambda d: d.update(environments={"prod": {"min_online": "x"}}), "environments.prod.min_online: 'x'"),
        (lambda d: d.update(environments={"prod": 3}), "environments.prod.environments"),
        (lambda d: d.update(environments=[1]), "environments: must be a mapping"),
        (lambda d: d["sites"].append(d["sites"][0]), "each site needs a name of its own"),
        (lambda d: d["verify"]["health"].update(timeout=1.5), "verify.health.timeout: 1.5 is not a duration"),
        (lambda d: d["verify"]["health"].update(timeout=-5.0), "verify.health.timeout: -5.0 is not a duration"),
        (lambda d: d["verify"]["health"].update(timeout=float("inf")), "verify.health.timeout: inf is not a duration"),
        (lambda d: d["verify"]["health"].update(timeout=float("nan")), "verify.health.timeout: nan is not a duration"),
        (lambda d: d["verify"]["health"].update(timeout=30), "verify.health.timeout: 30 is not a duration"),
        (lambda d: d["verify"]["health"].update(timeout="0s"), "timeout: Input should be greater than 0; found '0s'"),
        (lambda d: d["verify"]["health"].update(expect={"$.a": None}), "expect.$.a: must be a text, a number, true or"),
        (lambda d: d["drain"].update(soft=["1s"]), "drain.soft: must be a single value, not a list or mapping"),
        (lambda d: d.update(min_online={"a": 1}), "min_online: must be a single value, not a list or mapping"),
        (
            lambda d: d["verify"]["health"].update(expect={"$.a..b": "ok"}),
            "'$.a..b' is not a path to one place in JSON",
        ),
        (lambda d: d["verify"]["health"].update(expect={"$": "ok"}), "'$' is the whole document"),
        (
            lambda d: d["verify"]["health"].update(expect={"$.a": float("nan")}),
            "verify.health.expect.$.a: nan is no value",
        ),
        (lambda d: d["verify"]["release"].update(version="$.*"), "verify.release.version: '$.*' is not a path"),
        (lambda d: d["verify"]["release"].update(started="$.a"), "verify.release.started: Extra inputs"),
        (lambda d: d["verify"]["nunit"].update(assemblies=["tests/x.dll"]), "'tests/x.dll' is not a plain file name"),
        (
            lambda d: d["verify"]["nunit"].update(timeout="0s"),
            "nunit.timeout: Input should be greater than or equal to 1",
        ),
        (lambda d: d["deploy"]["puppet"].update(timeout="500ms"), "puppet.timeout: Input should be greater than or"),
        (lambda d: d["verify"]["nunit"].update(assemblies=["X.dll", "x.dll"]), "assemblies: names a file twice"),
        (lambda d: d["verify"]["nunit"].update(url='http://lb/"'), "the URL has '\"', which must be percent-encoded"),
        (lambda d: d["verify"]["nunit"].update(url="http://lb/a b"), "the URL has ' ', which must be"),
        (lambda d: d["verify"]["nunit"].update(url="http://u:p@lb/"), "the URL carries a user or password"),
        (lambda d: d["verify"]["nunit"].update(assemblies=["..", "x.dll"]), "'..' is not a plain file name"),
        (
            lambda d: d["verify"]["nunit"].update(aim={"header": "X Node"}),
            "nunit.aim.header: 'X Node' is not a header's",
        ),
        (lambda d: d["verify"]["nunit"].update(aim={"served_by": "X:"}), "nunit.aim.served_by: 'X:' is not a header's"),
        (lambda d: d["deploy"]["puppet"].update(key="Trade API"), "deploy.puppet.key: 'Trade API' is not a Hiera key"),
        (
            lambda d: d["deploy"]["puppet"].update(digest_key="a::"),
            "deploy.puppet.digest_key: 'a::' is not a Hiera key",
        ),
        (
            lambda d: d["pools"][0].update(online="a;shutdown frontend x"),
            "pools.0.online: 'a;shutdown frontend x' is not",
        ),
        (lambda d: d["pools"][0].update(maintenance="a\n"), "pools.0.maintenance: 'a\\n' is not a backend's name"),
    ],
)
def test_a_malformed_descriptor_names_file_key_and_what_is_allowed(tmp_path: Path, edit: Edit, said: str) -> None:
    path = edited(tmp_path, edit)
    with pytest.raises(BadInput) as error:
        load_service(path, "lab")
    assert said in str(error.value)
    assert error.value.where == str(path)
    assert "docs/descriptor.md" in error.value.remedy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\na: 2", "key 'a' is given twice"),
        ("on: testbox", "YAML 1.1 reads on, off, yes and no as true and false"),
        ("a: [1", "line 1"),
        ("[1]", "must be a mapping"),
        ("", "must be a mapping"),
        ("a: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("a: " + "x" * 300_000, "larger than"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "the whole file: is nested too deeply"),
        ("a: &a {b: *a}\nenvironments: {prod: {a: &c {b: *c}}}", "the whole file: is nested too deeply"),
        ("a: " + "9" * 5_000, "not valid YAML"),
        ("a: 2026-13-45", "not valid YAML"),
    ],
)
def test_what_is_no_descriptor_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tradeapi.yml"
    path.write_text(text)
    with pytest.raises(BadInput) as error:
        load_service(path, "lab")
    assert said in str(error.value)


@pytest.mark.parametrize("url", ["http://me:s3cr'et@{node}/", "ftp://me:s3cr'et@{node}/", "http://s3cr'et@n1/"])
def test_a_password_in_a_url_is_not_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(BadInput, match=r"verify\.health\.url") as error:
        load_service(edited(tmp_path, lambda d: d["verify"]["health"].update(url=url)), "lab")
    assert "s3cr" not in str(error.value)


def test_a_value_that_aliases_make_endless_is_not_written_out(tmp_path: Path) -> None:
    path = tmp_path / "tradeapi.yml"
    path.write_text("a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)))
    with pytest.raises(BadInput) as error:
        load_service(path, "lab")
    assert len(str(error.value)) < 500


def test_one_malformed_file_is_an_error_for_the_whole_catalog(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("name: a")
    (tmp_path / "tradeapi.yml").write_text((LAB / "tradeapi.yml").read_text())
    with pytest.raises(BadInput, match=r"a\.yml"):
        load_catalog(str(tmp_path), "lab")


def test_an_environment_overrides_single_keys(tmp_path: Path) -> None:
    override = {"prod": {"waves": [1, "10%"], "drain": {"hard": "5m"}, "verify": {"health": {"in_a_row": 9}}}}
    path = edited(tmp_path, lambda d: d.update(environments=override))
    prod, lab = load_service(path, "prod"), load_service(path, "lab")
    assert ([str(wave) for wave in prod.waves], prod.drain.hard, prod.verify.health.in_a_row) == (["1", "10%"], 300, 9)
    assert prod.drain.soft == lab.drain.soft
    assert (lab.drain.hard, lab.verify.health.in_a_row) == (60, 3)


def test_an_unknown_service_lists_the_known_ones() -> None:
    with pytest.raises(BadInput) as error:
        find_service(load_catalog(str(LAB), "lab"), "tradapi", "services")
    assert "service 'tradapi' is unknown (services). Known services: pricefeed, tradeapi" in str(error.value)


def test_a_missing_folder_names_the_variable() -> None:
    with pytest.raises(BadInput, match="tidegate_services"):
        load_catalog("/nowhere", "lab")


def test_a_survey_tells_of_every_file_and_keeps_the_sound_ones(tmp_path: Path) -> None:
    sound = (LAB / "tradeapi.yml").read_text()
    (tmp_path / "tradeapi.yml").write_text(sound)
    (tmp_path / "a.yml").write_text("name: a")
    (tmp_path / "b.yml").write_text("[1")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / ".hidden").write_text("")
    survey = survey_catalog(str(tmp_path), "lab")
    assert list(survey.services) == ["tradeapi"]
    assert list(survey.files) == ["a", "b", "tradeapi"]
    assert {Path(problem.file).name for problem in survey.problems} == {"a.yml", "b.yml", "notes.txt"}
    assert len([problem for problem in survey.problems if problem.file.endswith("a.yml")]) > 3


def test_a_service_with_two_files_is_told_and_refused(tmp_path: Path) -> None:
    for suffix in ("yml", "yaml"):
        (tmp_path / f"tradeapi.{suffix}").write_text((LAB / "tradeapi.yml").read_text())
    [problem] = survey_catalog(str(tmp_path), "lab").problems
    assert problem.problem == "tradeapi is described twice"
    with pytest.raises(BadInput, match="described twice"):
        load_catalog(str(tmp_path), "lab")


def test_an_empty_folder_is_a_problem(tmp_path: Path) -> None:
    [problem] = survey_catalog(str(tmp_path), "lab").problems
    assert problem.problem == "holds no descriptor"
