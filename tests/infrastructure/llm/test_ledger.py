"""The ledger's file, thread, bounds and retention."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from faultmaven.infrastructure.llm import ledger as ledgers
from faultmaven.infrastructure.llm.db.call_store import COLUMNS, CallStore
from faultmaven.infrastructure.llm.errors import ConfigurationError
from faultmaven.infrastructure.llm.ledger import (
    MAX_WAITING,
    SWEEP_S,
    Ledger,
    Retention,
    make_ledger,
    path_of_url,
)
from faultmaven.infrastructure.llm.secret import remember_secret

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]


def row(number=0, *, at=NOW, **fields):
    known = dict.fromkeys(COLUMNS) | {
        "time_ms": int(at.timestamp() * 1000), "request_id": f"req_{number:x}", "front": "f",
        "caller": "key1", "provider": "p", "model": "m", "rule": "exact", "attempts": 1,
        "status": 200, "outcome": "ok", "streamed": 0, "duration_ms": 5, "usage_source": "none",
    }  # fmt: skip
    return tuple((known | fields).values())


def read(path, query="SELECT request_id FROM calls ORDER BY id"):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def make(path):
    made = []

    def making(**retention):
        ledger = Ledger(CallStore(path), Retention(**retention), now=lambda: NOW)
        made.append(ledger)
        return ledger

    yield making
    for ledger in made:
        ledger.close()
        ledger._store.close()


@pytest.mark.parametrize("count", [1, 9, 10, 11, 99, 100, 101, 2345])
def test_rows_of_any_number_are_written_in_order(make, path, count):
    ledger = make()
    for number in range(count):
        ledger.add(row(number))

    assert ledger.flush()
    assert read(path) == [(f"req_{number:x}",) for number in range(count)]
    assert (ledger.written, ledger.waiting) == (count, 0)


def test_the_thread_writes_and_ends_with_everything_written(make, path):
    ledger = make()
    ledger.start()
    for number in range(50):
        ledger.add(row(number))
    ledger.close()

    assert len(read(path)) == 50
    assert not path.with_name("ledger.db-wal").exists()


def test_file_and_folder_are_their_owner_s(make, path):
    os.umask(os.umask(0))
    ledger = make()
    ledger.add(row())
    ledger.flush()

    files = sorted(path.parent.iterdir())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_file_that_others_may_read_is_closed_to_them(make, path):
    path.parent.mkdir()
    path.touch(mode=0o644)
    path.chmod(0o644)
    make().flush()
    ledger = make()
    ledger.add(row())
    ledger.flush()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_symbolic_link_is_not_followed(make, path):
    path.parent.mkdir()
    elsewhere = path.with_name("elsewhere")
    path.symlink_to(elsewhere)
    ledger = make()
    ledger.add(row())

    assert not ledger.flush()
    assert "symbolic link" in ledger.problem
    assert not elsewhere.exists()


def test_a_file_that_cannot_be_written_is_written_when_it_can(make, path):
    path.parent.write_text("no folder")
    ledger = make()
    for number in range(3):
        ledger.add(row(number))

    assert not ledger.flush()
    assert ledger.problem
    assert ledger.waiting == 3
    path.parent.unlink()
    assert ledger.flush()
    assert (ledger.problem, ledger.waiting, len(read(path))) == ("", 0, 3)


def test_a_full_disk_loses_nothing_until_too_much_waits(make, path, caplog):
    ledger = make()
    ledger.add(row())
    ledger.flush()
    ledger._store._connection.execute("PRAGMA max_page_count = 8")
    accepted = 0
    for number in range(MAX_WAITING + 5):
        accepted += ledger.add(row(number))

    assert not ledger.flush()
    assert "full" in ledger.problem
    assert accepted == MAX_WAITING
    assert not ledger.add(row())
    assert ledger.flush()  # opened anew, without the bound
    assert len(read(path)) == MAX_WAITING + 1
    assert sum("cannot be written" in record.message for record in caplog.records) == 1


def test_a_broken_file_is_set_aside(make, path, caplog):
    path.parent.mkdir()
    path.write_bytes(b"SQLite format 3\0" + b"and then nothing that it can be" * 1000)
    ledger = make()
    ledger.add(row())

    assert ledger.flush()
    assert len(read(path)) == 1
    assert len(list(path.parent.glob("ledger.db.broken-*"))) == 1
    assert "is broken" in caplog.text


def test_a_file_that_is_no_database_is_left_as_it_is(make, path):
    path.parent.mkdir()
    path.write_text("root:x:0:0:root:/root:/bin/sh\n")
    path.chmod(0o644)
    ledger = make()
    ledger.add(row())

    assert not ledger.flush()
    assert "it holds something else" in ledger.problem
    assert path.read_text() == "root:x:0:0:root:/root:/bin/sh\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert not list(path.parent.glob("*.broken-*"))


def test_another_program_s_database_is_left_as_it_is(make, path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photographs (name TEXT)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    ledger = make()
    ledger.add(row())

    assert not ledger.flush()
    assert "another program's tables" in ledger.problem
    assert path.read_bytes() == before


def test_a_newer_version_s_file_is_left_alone(make, path):
    ledger = make()
    ledger.add(row())
    ledger.flush()
    ledger._store.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    ledger.add(row())

    assert not ledger.flush()
    assert "newer version" in ledger.problem
    assert not list(path.parent.glob("*.broken-*"))


def test_what_is_older_than_the_days_is_swept(make, path):
    ledger = make(days=1)
    ledger.add(row(1, at=NOW - timedelta(days=1, seconds=1)))
    ledger.add(row(2, at=NOW - timedelta(hours=23)))
    ledger.flush()

    assert ledger.sweep() == 1
    assert read(path) == [("req_2",)]


def test_the_newest_rows_are_kept(make, path):
    ledger = make(rows=3)
    for number in range(8):
        ledger.add(row(number))
    ledger.flush()

    assert ledger.sweep() == 5
    assert read(path) == [("req_5",), ("req_6",), ("req_7",)]
    assert ledger.sweep() == 0


def test_nothing_is_swept_unless_it_is_said(make, path):
    ledger = make()
    ledger.add(row(1, at=NOW - timedelta(days=9999)))
    ledger.flush()

    assert ledger.sweep() == 0


def test_a_sweep_is_due_at_the_start_and_every_hour(make, path):
    ledger = make(rows=1)
    swept = []
    for at in (0.0, 1.0, SWEEP_S - 1, SWEEP_S, SWEEP_S + 1):
        ledger.add(row())
        ledger.add(row())
        ledger.flush()
        ledger.sweep_if_due(at)
        swept.append(len(read(path)) == 1)

    assert swept == [True, False, False, True, False]


def test_contents_are_bounded_redacted_and_swept(make, path):
    remember_secret("canary-0123456789")
    ledger = make(days=1, content=True)
    old = int((NOW - timedelta(days=2)).timestamp() * 1000)
    ledger.add_exchange(old, "req_1", b"old words", b"old answer")
    long = b"my key is canary-0123456789 " + b"x" * 1_000_000
    ledger.add_exchange(int(NOW.timestamp() * 1000), "req_2", long, b"answer \xff")
    ledger.flush()
    ledger.sweep()
    ledger._store.close()

    found = read(path, "SELECT request_id, request, answer FROM exchanges")
    assert [(f[0], f[2]) for f in found] == [("req_2", "answer \ufffd")]
    assert len(found[0][1]) <= ledgers.MAX_CONTENT_BYTES
    assert "canary" not in found[0][1]
    # What was swept is not left in the file either.
    assert b"old words" not in b"".join(f.read_bytes() for f in path.parent.iterdir())


@pytest.mark.parametrize("name", ["request_id", "model"])
def test_a_secret_in_a_client_s_words_is_redacted(make, path, name):
    remember_secret("canary-0123456789")
    ledger = make()
    ledger.add(row(**{name: "x-canary-0123456789"}))
    ledger.flush()

    assert read(path, f"SELECT {name} FROM calls") == [("x-[redacted]",)]


@pytest.mark.parametrize(
    ("section", "url", "is_kept"),
    [
        ({}, None, False),
        ({"days": 1}, None, True),
        ({"rows": 10}, None, True),
        ({"days": 0}, None, False),
        ({"rows": 0}, "sqlite:///x.db", False),
        ({}, "sqlite:///x.db", True),
        ({"days": 1, "content": True}, None, True),
    ],
)
def test_nothing_is_kept_unless_it_is_said(section, url, is_kept, tmp_path):
    assert (make_ledger(section, url, lambda: tmp_path / "l.db") is not None) is is_kept


def test_contents_are_not_kept_for_ever(tmp_path):
    with pytest.raises(ConfigurationError, match="days or rows"):
        make_ledger({"content": True}, "sqlite:///x.db", lambda: tmp_path / "l.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:////var/lib/l.db", "/var/lib/l.db"),
        ("sqlite:///l.db", "l.db"),
        ("sqlite:///a%20b.db", "a b.db"),
    ],
)
def test_a_url_names_a_file(url, path):
    assert path_of_url(url) == Path(path)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secretword@h/db", "kept in SQLite, postgresql:// is not supported"),
        ("postgres://h/db", "kept in SQLite"),
        ("sqlite://host/l.db", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("l.db", "kept in SQLite"),
        ("http://[", "kept in SQLite"),
    ],
)
def test_other_addresses_are_refused_without_being_shown(url, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        path_of_url(url)

    assert "secretword" not in str(caught.value)


def test_processes_share_a_file(path):
    program = (
        "import sys; from pathlib import Path; from tests.infrastructure.llm import test_ledger as t\n"
        "ledger = t.Ledger(t.CallStore(Path(sys.argv[1])))\n"
        "ledger.start()\n"
        "for number in range(500): ledger.add(t.row(number))\n"
        "ledger.close()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=ROOT) for _ in range(3)
    ]
    codes = [process.wait(60) for process in processes]

    assert codes == [0, 0, 0]
    assert read(path, "SELECT count(*) FROM calls") == [(1500,)]
    assert read(path, "PRAGMA integrity_check") == [("ok",)]


def test_the_file_has_no_place_for_contents_of_calls():
    names = json.dumps([*COLUMNS])

    assert "prompt" not in names
    assert "key" not in names


def crash(ledger):
    """Leave a ledger as a killed process does: nothing written, its files unlocked."""
    ledger._journal.leave()
    ledger._store.close()


def open_another(path):
    other = Ledger(CallStore(path))
    assert other.flush()
    other._journal.remove()
    other._store.close()


def test_what_a_killed_process_had_not_written_is_written_by_the_next(make, path):
    ledger = make()
    for number in range(3):
        ledger.add(row(number))
    ledger.flush()
    for number in range(3, 6):
        ledger.add(row(number))
    crash(ledger)
    open_another(path)
    open_another(path)

    assert read(path) == [(f"req_{number:x}",) for number in range(6)]
    assert [file.name for file in path.parent.iterdir()] == ["ledger.db"]
    ledger._rows.clear()


def test_calls_that_had_begun_are_incomplete(make, path):
    ledger = make()
    ledger.flush()
    first = ledger.begin(1, "req_1", "f", "key1")
    ledger.begin(2, "req_2", "f", "key1")
    ledger.flush()
    ledger.add(row(1), first)
    crash(ledger)
    open_another(path)

    query = "SELECT request_id, time_ms, outcome, status FROM calls ORDER BY request_id"
    found = read(path, query)
    assert [(f[0], f[2]) for f in found] == [("req_1", "ok"), ("req_2", "incomplete")]
    assert found[1][1:] == (2, "incomplete", 0)
    ledger._rows.clear()


def test_a_journal_that_has_grown_is_turned_and_still_knows_what_is_open(make, path, monkeypatch):
    monkeypatch.setattr(ledgers, "TURN_BYTES", 500)
    ledger = make()
    ledger.flush()
    ledger.begin(7, "req_open", "f", "key1")
    for number in range(40):
        ledger.add(row(number))
        if number % 5 == 4:
            ledger.flush()
    sizes = [file.stat().st_size for file in path.parent.glob("*-open-*")]
    crash(ledger)
    open_another(path)

    written = [name for (name,) in read(path)]
    assert sorted(written) == sorted([*(f"req_{n:x}" for n in range(40)), "req_open"])
    assert max(sizes) < 3000


def test_a_line_that_was_cut_off_spoils_no_other(make, path):
    ledger = make()
    ledger.flush()
    ledger.add(row(1))
    journal = next(path.parent.glob("*-open-*-a"))
    with journal.open("ab") as file:
        file.write(b'\n["e",2,0,[17')
    ledger.add(row(3))
    crash(ledger)
    open_another(path)

    assert read(path) == [("req_1",), ("req_3",)]
    ledger._rows.clear()


def test_a_row_is_in_the_journal_before_the_file_is_open(path):
    may_open = threading.Event()

    class SlowStore(CallStore):
        def open(self):
            may_open.wait(20)
            super().open()

    ledger = Ledger(SlowStore(path), now=lambda: NOW)
    ledger.start()
    ledger.add(row(7))
    journals = [journal.read_text() for journal in path.parent.glob("*-open-*")]
    may_open.set()
    ledger.close()

    assert any("req_7" in text for text in journals)
    assert read(path) == [("req_7",)]


def test_a_journal_in_use_is_left_alone(make, path):
    ledger = make()
    ledger.flush()
    ledger.add(row(1))
    open_another(path)

    assert read(path) == []
    assert ledger.flush()
    assert read(path) == [("req_1",)]


def test_a_row_that_no_file_can_hold_is_refused_and_spoils_nothing(make, path):
    ledger = make()
    with pytest.raises((TypeError, ValueError)):
        ledger.add(row(1, model="half \ud800 a pair"))
    ledger.add(row(2))

    assert ledger.flush()
    assert read(path) == [("req_2",)]


def test_a_fault_of_the_thread_is_told(make, caplog):
    ledger = make()
    ledger._store.write = None
    ledger.start()
    ledger.add(row(1))
    ledger._thread.join(60)

    assert ledger.problem
    assert "fault of its own" in caplog.text
