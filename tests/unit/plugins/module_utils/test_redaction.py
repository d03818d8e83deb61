from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.ledger.events import Event, Outcome, Step
from ansible_collections.tidegate.delivery.plugins.module_utils.redaction import Redactor, looks_secret, secrets_in

SECRET = "s3cr&t/ö \"x'<y>"


@pytest.mark.parametrize(
    "name",
    [
        *("db_password", "PGPASSWORD", "ansible_become_pass", "ansible_ssh_pass", "MYSQLPASS", "dbPass", "pass"),
        *("api_token", "CI_JOB_TOKEN", "apiKey", "API-KEY", "AWS_SECRET_ACCESS_KEY", "private_key", "passwd"),
        *("credentials", "ldap_credential", "key_passphrase", "FOO_SECRET", "tokens"),
    ],
)
def test_names_that_look_secret(name: str) -> None:
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        *("ansible_ssh_private_key_file", "PASSWORD_STORE_DIR", "token_path", "secrets_folder", "SSH_ASKPASS"),
        *("bypass", "compass", "passenger_count", "PWD", "OLDPWD", "tidegate_secrets", "user", "version", "key"),
    ],
)
def test_names_that_do_not(name: str) -> None:
    assert not looks_secret(name)


def test_a_name_that_was_named_is_secret_whatever_it_looks_like() -> None:
    assert looks_secret("licence", ["licence"]) and looks_secret("dsn_file", {"dsn_file"})


def found(variables: dict[str, Any], *named: str) -> set[str]:
    return set(secrets_in(variables, named, lambda value: value))


def test_values_of_secret_names_at_any_depth() -> None:
    variables = {
        "db": {"user": "app", "password": "hunter2hunter2"},
        "hosts": [{"token": "abcdef"}, {"name": "n1"}],
        "credentials": {"a": ["first-one", {"b": "second-one"}]},
        "pin_secret": 12345678,
        "secret_enabled": True,
    }
    assert found(variables) == {"hunter2hunter2", "abcdef", "first-one", "second-one", "12345678"}


def test_only_secret_names_are_resolved() -> None:
    asked: list[object] = []

    def resolve(value: object) -> object:
        asked.append(value)
        return "the-value"

    variables = {"password": "{{ vault }}", "other": "{{ expensive }}", "below": {"token": "{{ t }}", "x": "{{ y }}"}}
    assert set(secrets_in(variables, (), resolve)) == {"the-value"}
    assert asked == ["{{ vault }}", "{{ t }}"]


def test_what_has_no_value_is_none() -> None:
    assert set(secrets_in({"password": "{{ x }}"}, (), lambda _value: None)) == set()


@pytest.mark.parametrize(
    "shown",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        re.sub("%..", lambda code: code[0].lower(), quote(SECRET, safe="")),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        json.dumps(json.dumps(SECRET)),
        escape(SECRET),
        escape(SECRET, {'"': "&quot;", "'": "&apos;"}),
        repr(SECRET),
        SECRET.replace("'", "'\"'\"'"),
    ],
)  # fmt: skip
def test_a_secret_is_found_in_every_form(shown: str) -> None:
    told = Redactor([SECRET]).text(f"before {shown} after")
    assert "s3cr" not in told and "***" in told
    assert told.startswith("before ") and told.endswith(" after")


def test_a_secret_of_many_lines_is_found_whole_and_line_by_line() -> None:
    key = "-----BEGIN KEY-----\nAAAABBBBCCCC\nshort\nDDDDEEEEFFFF\n-----END KEY-----\n"
    redactor = Redactor([key])
    assert redactor.text(f"a {key} b") in ("a *** b", "a ***\n b")
    assert redactor.text("read DDDDEEEEFFFF from it") == "read *** from it"
    assert redactor.text(json.dumps({"key": key})) == '{"key": "***"}'
    assert redactor.text("one short line") == "one short line"
    assert "AAAA" not in redactor.text(" ".join(key.split()))


def test_short_values_are_left_alone() -> None:
    assert Redactor(["12345"]).text("12345") == "12345"
    assert Redactor(["123456"]).text("123456") == "***"


def test_a_secret_within_another_does_not_spoil_it() -> None:
    assert Redactor(["abcdef", "abcdefghi"]).text("abcdefghi abcdef") == "*** ***"


def test_public_names_are_no_secrets() -> None:
    assert Redactor(["tradeapi"], {"tradeapi"}).text("tradeapi 1.1.0") == "tradeapi 1.1.0"


@pytest.mark.parametrize("length", range(6, 14))
def test_a_secret_that_was_cut_short_does_not_show_its_beginning(length: int) -> None:
    told = Redactor(["canary-4711-xyz"]).text(f"body is {'canary-4711-xyz'[:length]}… (n1)")
    assert told == "body is ***… (n1)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("postgresql://app:hunter2@db/x failed", "postgresql://***@db/x failed"),
        ("postgresql://app:p@ss@db:5432/x", "postgresql://***@db:5432/x"),
        ("https://TOKEN@repo.example.com/a", "https://***@repo.example.com/a"),
        ("found 'http://me:hunter2@{node}:8080/'", "found 'http://***@{node}:8080/'"),
        ("http://n1:8080/health?to=a@b.c", "http://n1:8080/health?to=a@b.c"),
        ("http://n1/a, ask ann@example.com", "http://n1/a, ask ann@example.com"),
    ],
)
def test_users_in_urls_never_show(text: str, told: str) -> None:
    assert Redactor([]).text(text) == told


def test_structures_keep_their_shape() -> None:
    value = {"a": ["x hunter22", {"hunter22": 1}], "n": 5, "t": True, "none": None, "tuple": ("hunter22",)}
    assert Redactor(["hunter22"]).value(value) == {
        "a": ["x ***", {"***": 1}],
        "n": 5,
        "t": True,
        "none": None,
        "tuple": ["***"],
    }


def test_what_was_redacted_once_stays_as_it_is() -> None:
    redactor = Redactor([SECRET, "hunter22"])
    once = redactor.text(f"{SECRET} and hunter22 and postgresql://a:b@c/d")
    assert redactor.text(once) == once


def event(**details: Any) -> Event:
    return Event(
        service="s",
        environment="lab",
        deployment="d1",
        attempt=1,
        step=Step.HEALTH,
        outcome=Outcome.OK,
        details=details,
    )


def test_an_event_loses_the_secrets_in_its_details_and_nothing_else() -> None:
    dirty = event(msg="it said hunter22", places=["hunter22", "n1"], number=5)
    clean = Redactor(["hunter22"]).event(dirty)
    assert clean.details == {"msg": "it said ***", "places": ["***", "n1"], "number": 5}
    assert clean.id == dirty.id


def test_a_detail_that_the_event_cut_shows_no_beginning_of_a_secret() -> None:
    cut = event(msg="x" * 1_965 + "canary-4711-xyz" * 10)
    assert "canary" not in str(Redactor(["canary-4711-xyz"]).event(cut).details["msg"])


def test_a_clean_event_is_the_same_one() -> None:
    clean = event(msg="fine")
    assert Redactor(["hunter22"]).event(clean) is clean
