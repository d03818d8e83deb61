from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field

import pytest

from ansible_collections.tidegate.delivery.plugins.module_utils.errors import BadInput, Unreachable
from ansible_collections.tidegate.delivery.plugins.module_utils.node.node import Completed
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.command_line import CommandLine, split
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.node import (
    Started,
    WindowsNode,
    how_started,
)
from ansible_collections.tidegate.delivery.plugins.module_utils.windows.tar_archive import archive_of

# What bsdtar 3.6.2 says of a file that isn't there, and what it says after cmd.exe has read its arguments.
DIRECT = Completed(1, b"", b"tar.exe: Error opening archive: Failed to open '%OS%'\n")
BY_CMD = Completed(1, b"", b"tar.exe: Error opening archive: Failed to open 'Windows_NT'\n")
ABSENT = Completed(1, b"", b"tar.exe: ./a: Cannot stat: No such file or directory\ntar.exe: Error exit delayed\n")
DENIED = Completed(1, b"", b"tar.exe: ./a: Cannot open: Permission denied\n")
DONE = Completed(0, b"", b"")


@dataclass
class Answers:
    """A `WindowsExecute` that has its answers ready; an exception among them is raised."""

    answers: list[Completed | Exception]
    asked: list[str] = field(default_factory=list)

    def __call__(
        self, line: CommandLine, stdin: bytes | None, timeout: float, limit: int, *, patience: float = 0
    ) -> Completed:
        self.asked.append(str(line))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("done", "started"),
    [
        (DIRECT, Started.DIRECTLY),
        (BY_CMD, Started.BY_CMD),
        (Completed(1, b"", b"'C:\\Windows\\System32\\tar.exe' is not recognized"), None),
        (Completed(0, b"'%OS%'", b""), None),
        (DONE, None),
    ],
)
def test_how_a_node_starts_programs_is_read_from_what_tar_says(done: Completed, started: Started | None) -> None:
    assert how_started(done) is started


def test_a_node_is_asked_once_and_not_at_all_for_batch_files() -> None:
    answers = Answers([DONE, DIRECT, DONE, DONE])
    node = WindowsNode("w1", answers)
    for argv in ([r"C:\a.bat"], [r"C:\a.exe", "%"], [r"C:\a.exe", "&"]):
        node.run(argv)
    assert [line.rpartition(" ")[2] for line in answers.asked] == [r'""C:\a.bat""', "%OS%", "%", "&"]


def test_a_node_that_was_not_heard_is_asked_again() -> None:
    answers = Answers([Unreachable("broke off"), DIRECT, DONE])
    node = WindowsNode("w1", answers)
    with pytest.raises(Unreachable):
        node.run([r"C:\a.exe"])
    assert node.run([r"C:\a.exe"]) == DONE


def test_what_is_no_answer_of_tars_is_not_guessed_at() -> None:
    with pytest.raises(BadInput, match=r"gives no answer that is known: exit code 5.*Server 2019"):
        WindowsNode("w1", Answers([Completed(5, b"", b"")])).run([r"C:\a.exe"])


def test_nothing_is_sent_for_a_line_that_can_not_be_written() -> None:
    answers = Answers([])
    with pytest.raises(BadInput):
        WindowsNode("w1", answers).run([r"C:\a.exe", "a\0"])
    assert answers.asked == []


def test_a_file_is_absent_only_if_tar_says_so() -> None:
    assert WindowsNode("w1", Answers([DIRECT, ABSENT])).read(r"C:\a") is None
    for act in (WindowsNode("w1", Answers([DIRECT, DENIED])).read, WindowsNode("w1", Answers([DIRECT, DENIED])).exists):
        with pytest.raises(BadInput, match="Permission denied"):
            act(r"C:\a")


def test_a_file_that_shrank_while_it_was_read_is_an_error() -> None:
    shrank = Completed(1, archive_of("./a", b"x\0\0"), b"tar.exe: ./a: File shrank by 2 bytes, padding with zeros\n")
    with pytest.raises(BadInput, match="File shrank"):
        WindowsNode("w1", Answers([DIRECT, shrank])).read(r"C:\a")


def test_a_write_is_a_new_name_first_and_then_a_move() -> None:
    answers = Answers([DIRECT, DONE, DONE])
    WindowsNode("w1", answers).write(r"C:\Program Files\a b", b"x")
    _, extract, move = answers.asked
    assert split(extract)[1:] == ["-xmPf", "-", "-C", "C:\\"]
    new, old = split(move.partition("/c ")[2][1:-1])[2:]
    assert new.startswith("C:\\Program Files\\.tidegate.")
    assert old == r"C:\Program Files\a b"


@pytest.mark.parametrize("answers", [[DENIED], [DONE, DENIED]], ids=["extract", "move"])
def test_a_write_that_fails_takes_its_new_file_away(answers: list[Completed]) -> None:
    asked = Answers([DIRECT, *answers, DONE])
    with pytest.raises(BadInput, match=r"can't write.*Permission denied"):
        WindowsNode("w1", asked).write(r"C:\a", b"x")
    assert "del /q" in asked.asked[-1]


def test_a_path_that_move_can_not_be_told_is_refused_before_anything_is_sent() -> None:
    answers = Answers([])
    with pytest.raises(BadInput, match="may take for more than a character"):
        WindowsNode("w1", answers).write(r"C:\R&D\a", b"x")
    assert answers.asked == []


def archived(**files: bytes) -> bytes:
    """What tar makes of several files."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


def sparse(size: int) -> bytes:
    """An archive of ten kilobytes with a file `./a` of so many bytes, all of them a hole."""
    headers = {"major": "1", "minor": "0", "name": "./a", "realsize": str(size)}
    member = tarfile.TarInfo("./a")
    member.size, member.pax_headers = 512, {f"GNU.sparse.{key}": value for key, value in headers.items()}
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(b"0\n".ljust(512, b"\0")))
    return whole.getvalue()


def test_a_sparse_file_is_read_no_further_than_its_limit() -> None:
    answers = Answers([DIRECT, *[Completed(0, sparse(1 << 50), b"")] * 2, Completed(0, sparse(3), b"")])
    node = WindowsNode("w1", answers)
    with pytest.raises(BadInput, match=r"C:\\a is larger than 1000 bytes"):
        node.read(r"C:\a", limit=1000)
    with pytest.raises(BadInput, match=r"C:\\a, C:\\b is larger than 1000 bytes"):
        node.read_all([r"C:\a", r"C:\b"], limit=1000)
    assert node.read(r"C:\a") == b"\0\0\0"


def test_several_files_are_read_at_once_and_absent_ones_are_none() -> None:
    answers = Answers([DIRECT, Completed(1, archived(b=b"1", c=b""), ABSENT.stderr)])
    paths = [r"C:\a", r"C:\b", r"C:\c"]
    assert WindowsNode("w1", answers).read_all(paths) == {r"C:\a": None, r"C:\b": b"1", r"C:\c": b""}
    assert len(answers.asked) == 2


def test_files_of_several_drives_are_read_in_one_command_each() -> None:
    answers = Answers([DIRECT, Completed(0, archived(a=b"1"), b""), Completed(0, archived(a=b"2"), b"")])
    assert WindowsNode("w1", answers).read_all([r"C:\a", r"D:\a"]) == {r"C:\a": b"1", r"D:\a": b"2"}


@pytest.mark.parametrize("stderr", [DENIED.stderr, b"", ABSENT.stderr + DENIED.stderr])
def test_a_file_that_can_not_be_read_is_not_taken_for_an_absent_one(stderr: bytes) -> None:
    answers = Answers([DIRECT, Completed(1, archived(c=b""), stderr)])
    with pytest.raises(BadInput, match="can't read"):
        WindowsNode("w1", answers).read_all([r"C:\a", r"C:\b", r"C:\c"])
