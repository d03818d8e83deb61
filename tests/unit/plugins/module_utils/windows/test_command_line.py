from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import (
    CMD_LINE_LIMIT,
    LINE_LIMIT,
    command_line,
    direct,
    is_batch,
    quote,
    split,
    through_cmd,
)

CMD = r"C:\Windows\System32\cmd.exe /d /e:on /v:off /s /c "
# What means something to the rules, more often than chance has it.
CHARACTERS = st.one_of(st.sampled_from('\\" \t'), st.characters(exclude_categories=["Cc", "Cs", "Cn"]))
ARGUMENTS = st.lists(st.text(CHARACTERS, max_size=12), max_size=6)
PROGRAMS = st.sampled_from(["a.exe", r"C:\Program Files\a.exe", r"C:\a\\b c.exe", r"\\host\share\a b.exe"])


@pytest.mark.parametrize(
    ("argument", "quoted"),
    [
        ("", '""'),
        ("a", "a"),
        ("a b", '"a b"'),
        ("a\tb", '"a\tb"'),
        ('"', r'"\""'),
        ('a"b', r'"a\"b"'),
        ('""', r'"\"\""'),
        ("\\", "\\"),
        (r"C:\a b" + "\\", r'"C:\a b\\"'),
        (r"C:\a" + "\\", r"C:\a" + "\\"),
        (r"a\\b", r"a\\b"),
        (r"a\"b", r'"a\\\"b"'),
        (r"a\\"[:-1] + '"', r'"a\\\""'),
        ("%PATH% & ^ | <x>", '"%PATH% & ^ | <x>"'),
        ("é漢😀", "é漢😀"),
    ],
)
def test_arguments_are_quoted_by_the_rules_of_the_c_runtime(argument: str, quoted: str) -> None:
    assert quote(argument) == quoted


# The first eight are Microsoft's examples ("main function and command-line arguments", "Results of parsing command
# lines"); the last one is where the C runtime and CommandLineToArgvW differ.
LINES = [
    (r'"a b c" d e', ["a b c", "d", "e"]),
    (r'"ab\"c" "\\" d', ['ab"c', "\\", "d"]),
    (r'a\\\b d"e f"g h', [r"a\\\b", "de fg", "h"]),
    (r"a\\\"b c d", [r"a\"b", "c", "d"]),
    (r'a\\\\"b c" d e', [r"a\\b c", "d", "e"]),
    ('a"b"" c d', ['ab" c d']),
    ("", []),
    (" \t ", []),
    ('""', [""]),
    ('a"" ""b', ["a", "b"]),
    ('"a b', ["a b"]),
    ("a\nb", ["a\nb"]),
    ("a\\", ["a\\"]),
    ('"a\\\\', ["a\\\\"]),
]


@pytest.mark.parametrize(("line", "arguments"), LINES)
def test_lines_are_split_as_microsoft_documents_it(line: str, arguments: list[str]) -> None:
    assert split(f"program.exe {line}") == ["program.exe", *arguments]


def test_two_quotes_inside_a_quoted_part_end_it_before_2008() -> None:
    assert split('p "a""b c" d') == ["p", 'a"b c', "d"]
    assert split('p "a""b c" d', before_2008=True) == ["p", 'a"b', "c d"]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("p", "p"),
        (r'"C:\Program Files\p.exe" a', r"C:\Program Files\p.exe"),
        (r'"C:\a\" a', "C:\\a\\"),
        ('C:\\a\\"b c"d e', "C:\\a\\b cd"),
        (' "a', ""),
        ("", ""),
    ],
)
def test_backslashes_mean_themselves_in_the_programs_name(line: str, name: str) -> None:
    assert split(line)[0] == name


@given(PROGRAMS, ARGUMENTS, st.booleans())
def test_what_is_quoted_is_read_back(program: str, arguments: list[str], before_2008: bool) -> None:
    line = direct([program, *arguments])
    assert split(str(line), before_2008=before_2008) == [program, *arguments]


@given(st.text(st.sampled_from('\\" \tab'), max_size=16))
def test_any_line_is_split_without_losing_a_word(line: str) -> None:
    found = split(f"p {line}")
    assert "".join(found).count("a") == 1 * line.count("a")
    assert all(quote(argument) is not None for argument in found)


def test_a_program_is_quoted_if_it_has_a_space() -> None:
    assert str(direct([r"C:\Program Files\p.exe", "a b"])) == r'"C:\Program Files\p.exe" "a b"'
    assert str(direct([r"C:\p.exe"])) == r"C:\p.exe"


@pytest.mark.parametrize(
    ("program", "batch"),
    [
        (r"C:\p.exe", False),
        (r"C:\p.bat.exe", False),
        (r"C:\p", False),
        (r"C:\p.bat", True),
        (r"C:\P.BAT", True),
        (r"C:\p.cmd", True),
        # Windows drops spaces and dots at a name's end, so that these start cmd.exe, too.
        ("C:\\p.bat ", True),
        ("C:\\p.bat. .", True),
    ],
)
def test_batch_files_are_known_by_their_name(program: str, batch: bool) -> None:
    assert is_batch(program) is batch


def test_cmd_is_used_for_batch_files_only() -> None:
    script = r"C:\Program Files (x86)\Tools\check.bat"
    assert str(command_line([script, "run", "a b", "--x=1", ""])) == CMD + f'""{script}" run "a b" "--x=1" """'
    assert str(command_line([r"C:\check.exe", "a&b"])) == r"C:\check.exe a&b"


HARMLESS = st.text(st.sampled_from("abzAZ09_./\\:+@~=, -"), max_size=12).filter(lambda text: not text.endswith("\\"))


@given(st.lists(HARMLESS, max_size=6))
def test_cmd_and_the_c_runtime_read_the_same_arguments(arguments: list[str]) -> None:
    """By `cmd /?`, /s removes the first and the last double quote; a program behind it reads the rest as it is."""
    line = str(through_cmd([r"C:\a b\p.exe", *arguments])).removeprefix(CMD)
    assert (line[0], line[-1]) == ('"', '"')
    assert split(line[1:-1]) == [r"C:\a b\p.exe", *arguments]
    assert not set(line) & set("%^&|<>!;()")


@pytest.mark.parametrize("character", list("%\"^&|<>!();*?'`$#[]{}\n\r\0\té\uff02"))
def test_what_cmd_or_a_batch_file_could_interpret_is_refused(character: str) -> None:
    with pytest.raises(BadInput, match="may take for more than a character") as raised:
        command_line([r"C:\check.bat", f"a{character}b"])
    assert raised.value.where
    assert "executable instead of a batch file" in raised.value.remedy


def test_a_quoted_argument_of_cmd_must_not_end_in_a_backslash() -> None:
    assert str(through_cmd([r"C:\check.bat", "C:\\a\\"])).endswith('"C:\\check.bat" C:\\a\\"')
    with pytest.raises(BadInput, match="ends in a backslash"):
        through_cmd([r"C:\check.bat", "C:\\a b\\"])


@pytest.mark.parametrize(
    "script",
    [
        "check.bat",
        r".\check.bat",
        "C:/check.bat",
        r"C:\a&b\check.bat",
        r"C:\%x%\check.bat",
        "C:\\check.bat ",
        '"C:\\a.bat',
    ],
)
def test_cmd_starts_only_what_is_named_by_a_plain_full_path(script: str) -> None:
    with pytest.raises(BadInput, match="can't be trusted with this program's name"):
        through_cmd([script])


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1b", "\ud800", "\uffff"])
def test_what_no_command_line_carries_is_refused(character: str) -> None:
    for argv in (["p.exe", f"a{character}"], [f"p{character}.exe"]):
        with pytest.raises(BadInput, match=f"U\\+{ord(character):04X}") as raised:
            direct(argv)
        assert "Write it to a file" in raised.value.remedy


@pytest.mark.parametrize("argv", [[], [""], ["", "a"], [" . "]])
def test_there_must_be_a_program(argv: list[str]) -> None:
    with pytest.raises(BadInput, match="no program"):
        command_line(argv)


def test_a_folder_a_batch_file_and_a_name_with_a_quote_are_not_started() -> None:
    with pytest.raises(BadInput, match="names a folder"):
        direct(["C:\\Program Files\\"])
    with pytest.raises(BadInput, match="double quote"):
        direct(['"C:\\p.exe" a'])
    with pytest.raises(BadInput, match="batch file"):
        direct([r"C:\p.bat. "])


def test_lines_are_as_long_as_windows_takes_them() -> None:
    program = "p.exe"
    longest = "a" * (LINE_LIMIT - len(program) - 1)
    assert len(str(direct([program, longest]))) == LINE_LIMIT
    with pytest.raises(BadInput, match=f"{LINE_LIMIT + 1} characters, and Windows takes {LINE_LIMIT}"):
        direct([program, longest + "a"])
    # Characters beyond U+FFFF are two units of UTF-16.
    with pytest.raises(BadInput, match="characters, and Windows"):
        direct([program, "😀" * (LINE_LIMIT // 2)])
    with pytest.raises(BadInput, match=f"cmd.exe takes {CMD_LINE_LIMIT}"):
        through_cmd([r"C:\check.bat", "a" * CMD_LINE_LIMIT])
