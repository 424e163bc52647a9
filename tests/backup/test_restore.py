"""What a backup holds, what a restore refuses, and going back to a time."""

from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from penstock.backup.manifest import Manifest
from penstock.backup.restore import restore
from penstock.backup.target import keep_newest, manifests, open_target
from penstock.destinations.delivery.file import DeliveryFile
from penstock.errors import AlreadyRunning, BackupError, FormatTooNew, NotFound
from penstock.journal.contract import COUNTS, EVENTS, RECEIVED
from penstock.profiles.stream.file import ProfileFile, file_of
from penstock.workspace.store import Workspace
from tests.backup.small import Small, at, record


@pytest.fixture
def small(tmp_path: Path) -> Small:
    made = Small(tmp_path / "data")
    made.state()
    return made


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


def restored(tmp_path: Path, target: Path, until: float | None = None) -> Small:
    """A new folder from a target, caught up."""
    data = tmp_path / f"restored-{until}"
    restore(str(target), data, until=None if until is None else at(until))
    again = Small(data)
    again.now = 1e6
    again.catch_up()
    return again


def test_everything_comes_back_and_what_waited_is_loaded_once(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("loaded", 1))
    small.catch_up()
    small.receive(record("processed", 2))
    small.process()
    small.receive(record("received", 3), record("loaded", 3))
    small.backup(target)
    again = restored(tmp_path, target)
    assert again.ids() == ["loaded", "processed", "received"]
    workspace = Workspace(again.settings.state_file)
    assert [source.slug for source in workspace.sources()] == ["web"]
    workspace.close()


def test_deliveries_and_the_code_of_users_come_back(
    small: Small, tmp_path: Path, target: Path
) -> None:
    file = DeliveryFile(small.settings.deliveries_file)
    with file.transaction() as connection:
        connection.execute("INSERT INTO positions VALUES ('hook', 0, 1, 2)")
    file.close()
    for folder in ("functions", "destinations"):
        (small.settings.data / folder).mkdir()
        (small.settings.data / folder / "mine.py").write_text(f"# {folder}\n")
    small.receive(record("m1", 1))
    small.catch_up()
    small.backup(target)
    settings = restored(tmp_path, target).settings
    assert (settings.data / "functions" / "mine.py").read_text() == "# functions\n"
    assert (settings.data / "destinations" / "mine.py").read_text() == "# destinations\n"
    file = DeliveryFile(settings.deliveries_file)
    assert file.connection.execute("SELECT * FROM positions").fetchall() == [("hook", 0, 1, 2)]
    file.close()


def test_profiles_come_back_as_a_file_of_their_own(
    small: Small, tmp_path: Path, target: Path
) -> None:
    file = ProfileFile(file_of(small.settings.profiles_folder, "default"))
    with file.transaction() as connection:
        connection.execute("INSERT INTO members VALUES ('loyal', 1, 2)")
    before = file.instance
    file.close()
    small.receive(record("m1", 1))
    small.catch_up()
    small.backup(target)
    settings = restored(tmp_path, target).settings
    file = ProfileFile(file_of(settings.profiles_folder, "default"))
    assert file.connection.execute("SELECT * FROM members").fetchall() == [("loyal", 1, 2)]
    assert file.instance != before
    file.close()


def test_duplicates_within_the_window_are_known_after_a_restore(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 0), record("b", 100))
    small.catch_up()
    small.backup(target)
    data = tmp_path / "again"
    restore(str(target), data)
    again = Small(data)
    day = timedelta(days=1).total_seconds()
    again.receive(record("b", day + 50), record("a", day + 50), record("c", day + 50))
    again.catch_up()
    assert again.ids() == ["a", "a", "b", "c"], "a came after the window, b within it"


def test_a_restored_folder_takes_new_events_and_new_backups(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    small.backup(target)
    again = restored(tmp_path, target)
    again.now = 10
    again.receive(record("b", 10))
    again.catch_up()
    again.backup(target)
    data = tmp_path / "third"
    restore(str(target), data)
    assert Small(data).ids() == ["a", "b"]


def test_a_second_backup_copies_only_what_is_new(tmp_path: Path, target: Path) -> None:
    small = Small(tmp_path / "data", segment_bytes=1)
    small.state()
    for number in range(5):
        small.receive(record(f"m{number}", number))
    small.catch_up()
    first = small.backup(target)
    unchanged = small.backup(target)
    assert unchanged.copied_files <= 1, "the warehouse may be written anew"
    small.receive(record("m5", 9))
    again = small.backup(target)
    names = {file.path: file.sha256 for file in again.manifest.files}
    before = {file.path: file.sha256 for file in first.manifest.files}
    segments = [path for path in names if path.startswith("journal/received/")]
    new = [path for path in segments if names[path] != before.get(path)]
    assert len(segments) == 6
    assert len(new) <= 2, "the one that was open, and the new one"


def test_marked_segments_are_not_read_again(tmp_path: Path, target: Path) -> None:
    small = Small(tmp_path / "data", segment_bytes=1)
    small.receive(record("a", 1))
    small.receive(record("b", 2))
    small.catch_up()
    small.backup(target)
    (first, *_) = sorted((small.settings.journal_folder / RECEIVED / "0").glob("*.sqlite"))
    about = first.stat()
    with first.open("r+b") as file:
        file.write(b"\0" * 100)
    os.utime(first, ns=(about.st_atime_ns, about.st_mtime_ns))
    small.backup(target)
    assert restored(tmp_path, target).ids() == ["a", "b"]


def test_every_missing_or_damaged_file_is_named_and_nothing_is_placed(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    files = {file.path: file.sha256 for file in small.backup(target).manifest.files}
    state, warehouse = files["state.sqlite"], files["warehouse.duckdb"]
    (target / "files" / state[:2] / state).unlink()
    damaged = target / "files" / warehouse[:2] / warehouse
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    data = tmp_path / "again"
    with pytest.raises(BackupError) as refused:
        restore(str(target), data)
    assert "state.sqlite is missing" in str(refused.value)
    assert "warehouse.duckdb is damaged" in str(refused.value)
    assert list(data.iterdir()) == []


def test_a_folder_that_holds_something_is_refused(small: Small, target: Path) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    small.backup(target)
    with pytest.raises(BackupError, match="is not empty"):
        restore(str(target), small.settings.data)
    assert small.ids() == ["a"]


def test_a_target_without_backups_says_so(tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="there is no folder"):
        restore(str(tmp_path / "nowhere"), tmp_path / "data")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackupError, match="there is no backup"):
        restore(str(tmp_path / "empty"), tmp_path / "data")
    with pytest.raises(BackupError, match="a folder or s3://"):
        restore("ftp://example.com/x", tmp_path / "data")


@pytest.mark.parametrize("newer", ["warehouse", "journal", "unheard of"])
def test_a_backup_of_a_newer_penstock_is_refused(
    small: Small, tmp_path: Path, target: Path, newer: str
) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    manifest = small.backup(target).manifest
    changed = msgspec.structs.replace(manifest, formats=manifest.formats | {newer: 99})
    rewrite(target, changed)
    with pytest.raises(FormatTooNew, match="upgrade Penstock"):
        restore(str(target), tmp_path / "again")


def test_a_manifest_of_a_newer_format_is_refused(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    manifest = small.backup(target).manifest
    rewrite(target, msgspec.structs.replace(manifest, format_version=99))
    with pytest.raises(FormatTooNew, match="format 99"):
        restore(str(target), tmp_path / "again")


def rewrite(target: Path, manifest: Manifest) -> None:
    (target / "manifests" / f"{manifest.id}.json").write_bytes(msgspec.json.encode(manifest))


def test_keeping_the_newest_removes_what_only_older_ones_need(
    small: Small, tmp_path: Path, target: Path
) -> None:
    for number in range(4):
        small.receive(record(f"m{number}", number * 10))
        small.catch_up()
        small.backup(target)
    place = open_target(str(target))
    removed, files = keep_newest(place, 2)
    assert len(removed) == 2
    assert files > 0
    left = manifests(place)
    assert len(left) == 2
    needed = {file.sha256 for manifest in left for file in manifest.files}
    assert {Path(name).name for name in place.names("files/")} == needed
    assert restored(tmp_path, target).ids() == ["m0", "m1", "m2", "m3"]


def test_a_folder_without_data_is_told(tmp_path: Path, target: Path) -> None:
    small = Small(tmp_path / "data")
    with pytest.raises(NotFound, match="no warehouse"):
        small.backup(target)
    assert not target.exists()


def test_two_backups_of_one_folder_at_once_are_refused(small: Small, target: Path) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    with (small.settings.data / "backup-staging.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunning, match="another backup"):
            small.backup(target)
    small.backup(target)


# Back to a time ------------------------------------------------------------------------------


def test_back_to_a_time_between_two_backups(small: Small, tmp_path: Path, target: Path) -> None:
    small.receive(record("a", 1))
    small.catch_up()
    small.backup(target)
    small.receive(record("b", 10), record("c", 20), record("d", 30))
    small.receive(record("e", 40))
    small.catch_up()
    small.now = 50
    small.backup(target)
    assert restored(tmp_path, target, 20).ids() == ["a", "b", "c"]
    assert restored(tmp_path, target, 9.999).ids() == ["a"]
    assert restored(tmp_path, target, 45).ids() == ["a", "b", "c", "d", "e"]
    assert restored(tmp_path, target).ids() == ["a", "b", "c", "d", "e"]


def test_without_an_older_warehouse_it_is_made_again_from_the_journal(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1), record("b", 2))
    small.receive(record("c", 3))
    small.catch_up()
    small.now = 10
    small.backup(target)
    assert restored(tmp_path, target, 2).ids() == ["a", "b"]
    assert restored(tmp_path, target, 1).ids() == ["a"]


def test_a_moment_that_the_journal_has_no_more_is_refused(tmp_path: Path, target: Path) -> None:
    small = Small(tmp_path / "data", segment_bytes=1)
    for number in range(4):
        small.receive(record(f"m{number}", number))
        small.catch_up()
    journal = small.journal()
    small.now = 100
    assert journal.expire(EVENTS, timedelta(seconds=1), 0)
    journal.close()
    small.backup(target)
    with pytest.raises(BackupError, match="the earliest is 2026-01-05T10:00:03"):
        restore(str(target), tmp_path / "again", until=at(2))


def test_a_duplicate_counts_when_the_first_one_came_later(
    small: Small, tmp_path: Path, target: Path
) -> None:
    """Two collectors: what stands second in time was processed first."""
    small.receive(record("before", 1))
    small.catch_up()
    small.receive(record("x", 20), partition=0)
    small.process()
    small.receive(record("x", 10), record("y", 11), partition=1)
    small.catch_up()
    assert small.ids() == ["before", "x", "y"]
    small.now = 30
    small.backup(target)
    again = restored(tmp_path, target, 15)
    assert again.ids() == ["before", "x", "y"], "x of 10 s, not that of 20 s"


def test_ranges_of_duplicates_are_counted_once_after_going_back(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1))
    small.process()
    small.receive(record("a", 2))
    small.process()
    small.receive(record("b", 20))
    small.process()
    small.receive(record("a", 21))
    small.catch_up()
    small.now = 30
    small.backup(target)
    again = restored(tmp_path, target, 5)
    assert again.ids() == ["a"]
    journal = again.journal()
    assert journal.end(RECEIVED, 0) == 2
    assert journal.end(COUNTS, 0) == 1
    journal.close()


def test_what_came_after_the_moment_can_be_sent_again(
    small: Small, tmp_path: Path, target: Path
) -> None:
    small.receive(record("a", 1))
    small.receive(record("b", 10))
    small.catch_up()
    small.now = 30
    small.backup(target)
    again = restored(tmp_path, target, 5)
    again.now = 40
    again.receive(record("b", 40), record("a", 40))
    again.catch_up()
    assert again.ids() == ["a", "b"]
