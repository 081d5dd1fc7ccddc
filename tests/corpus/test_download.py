import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from sqcodec.corpus import download
from sqcodec.corpus.download import Source
from sqcodec.errors import CorpusError


@dataclass
class Server:
    """What the loopback server does: sends `content`, at most `limit` bytes an answer when that is given."""

    content: bytes = b""
    limit: int | None = None
    ranges: bool = True
    status: int = 200
    url: str = ""
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.status != 200:
                return self.send_error(state.status)
            start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and state.ranges else 0
            if start >= len(state.content) > 0:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                return self.end_headers()
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(state.content) - start))
            self.end_headers()
            return self.wfile.write(state.content[start:][: state.limit]) and None  # then the connection closes

        def log_message(self, *args: object) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{http.server_port}"
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def make_zip(*names: str) -> bytes:
    with zipfile.ZipFile(content := io.BytesIO(), "w") as file:
        for name in names:
            file.writestr(name, name * 1000)
    return content.getvalue()


def make_tgz(*names: str) -> bytes:
    with tarfile.open(fileobj=(content := io.BytesIO()), mode="w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 5
            tar.addfile(member, io.BytesIO(b"audio"))
    return content.getvalue()


def zip_source(server: Server, sha256: str | None = None) -> Source:
    digest = sha256 or hashlib.sha256(server.content).hexdigest()
    return Source(name="test", url=f"{server.url}/c.zip", size=1, sha256=digest, inside="C")


def tgz_source(server: Server) -> Source:
    return Source(name="test", url=f"{server.url}/c.tgz", size=1, sha256=None, inside=None)


def silently(what: str, done: int, total: int) -> None: ...


def test_fetches_verifies_and_unpacks(server: Server, tmp_path: Path) -> None:
    server.content = make_zip("wav48/a.txt")
    seen: list[tuple[str, int, int]] = []
    download.fetch(zip_source(server), tmp_path, progress=lambda *event: seen.append(event))
    assert (tmp_path / "C" / "wav48" / "a.txt").read_text() == "wav48/a.txt" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["C", "c.zip"]
    size = len(server.content)
    assert seen == [("download test", size, size), ("verify test", size, size)]


def test_goes_on_where_the_connection_broke_off(server: Server, tmp_path: Path) -> None:
    server.content = make_zip("a", "b", "c")
    server.limit = len(server.content) // 3 + 1
    download.fetch(zip_source(server), tmp_path, progress=silently)
    assert server.asked == [None, f"bytes={server.limit}-", f"bytes={2 * server.limit}-"]
    assert (tmp_path / "C" / "c").exists()


def test_a_later_run_goes_on_from_the_part_file(server: Server, tmp_path: Path) -> None:
    server.content = make_zip("a")
    (tmp_path / "c.zip.part").write_bytes(server.content[:100])
    download.fetch(zip_source(server), tmp_path, progress=silently)
    assert server.asked == ["bytes=100-"]
    (tmp_path / "C").rename(tmp_path / "D")
    download.fetch(zip_source(server), tmp_path, progress=silently)  # the archive is there: nothing is asked
    assert server.asked == ["bytes=100-"]
    assert (tmp_path / "C" / "a").exists()


@pytest.mark.parametrize("surplus", [0, 7])
def test_a_complete_or_too_long_part_file(server: Server, tmp_path: Path, surplus: int) -> None:
    server.content = make_zip("a")
    (tmp_path / "c.zip.part").write_bytes(server.content + bytes(surplus))
    download.fetch(zip_source(server), tmp_path, progress=silently)
    assert (tmp_path / "C" / "a").exists()
    assert len(server.asked) == (2 if surplus else 1)


def test_a_server_that_ignores_range_starts_over(server: Server, tmp_path: Path) -> None:
    server.content, server.ranges = make_zip("a"), False
    (tmp_path / "c.zip.part").write_bytes(b"x" * 50)
    download.fetch(zip_source(server), tmp_path, progress=silently)
    assert (tmp_path / "C" / "a").exists()


def test_a_server_that_never_gets_further_is_given_up(server: Server, tmp_path: Path) -> None:
    server.content, server.limit = make_zip("a"), 0
    (tmp_path / "c.zip.part").write_bytes(server.content[:60])
    with pytest.raises(CorpusError) as error:
        download.fetch(zip_source(server), tmp_path, progress=silently)
    assert str(error.value) == (
        f"{server.url}/c.zip: the connection broke off; got 60 bytes, kept in {tmp_path / 'c.zip.part'};"
        " run the same command again to go on from there"
    )
    assert len(server.asked) == 5


@pytest.mark.parametrize(("status", "times"), [(404, 1), (503, 5)])
def test_http_errors_are_named(server: Server, tmp_path: Path, status: int, times: int) -> None:
    server.status = status
    with pytest.raises(CorpusError, match=rf"/c.zip: HTTP status {status} \(.*\); got 0 bytes"):
        download.fetch(zip_source(server, "00"), tmp_path, progress=silently)
    assert len(server.asked) == times


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    source = Source(name="test", url="http://127.0.0.1:9/c.zip", size=1, sha256=None, inside="C")
    with pytest.raises(CorpusError, match=r"127.0.0.1:9/c.zip: .*refused; got 0 bytes"):
        download.fetch(source, tmp_path, progress=silently)


def test_a_wrong_checksum_is_refused_and_removed(server: Server, tmp_path: Path) -> None:
    server.content = make_zip("a")
    with pytest.raises(CorpusError) as error:
        download.fetch(zip_source(server, "00ff"), tmp_path, progress=silently)
    assert str(error.value) == (
        f"{server.url}/c.zip: got SHA-256 {hashlib.sha256(server.content).hexdigest()}, expected 00ff;"
        " remove it, and run the same command again; the download is removed"
    )
    assert list(tmp_path.iterdir()) == []


def test_without_a_checksum_the_archive_is_tested(server: Server, tmp_path: Path) -> None:
    server.content = make_tgz("english/test/a.wav")
    download.fetch(tgz_source(server), tmp_path, progress=silently)
    assert (tmp_path / "english" / "test" / "a.wav").read_bytes() == b"audio"


@pytest.mark.parametrize("damage", ["cut", "flip", "foreign"])
def test_a_damaged_archive_is_refused_and_removed(server: Server, tmp_path: Path, damage: str) -> None:
    whole = make_tgz("english/test/a.wav")
    flipped = whole[:-6] + bytes([whole[-6] ^ 1]) + whole[-5:]  # inside the CRC
    server.content = {"cut": whole[:-20], "flip": flipped, "foreign": b"<html>"}[damage]
    with pytest.raises(
        CorpusError, match=r"c.tgz: the archive is damaged \(.*\); remove it, .* again; the download is removed$"
    ):
        download.fetch(tgz_source(server), tmp_path, progress=silently)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil"])
def test_nothing_is_written_outside_the_folder(server: Server, tmp_path: Path, name: str) -> None:
    server.content = make_zip("good", name)
    with pytest.raises(CorpusError, match=r"c.zip: not unpacked: .* would be written outside the folder"):
        download.fetch(zip_source(server), tmp_path / "in", progress=silently)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["c.zip"]
    server.content = make_tgz("english/a", "../evil")
    with pytest.raises(CorpusError, match=r"c.tgz: not unpacked: .*outside the destination"):
        download.fetch(tgz_source(server), tmp_path / "in", progress=silently)
    assert not (tmp_path / "evil").exists()


def test_a_gzip_without_a_tar_is_refused(server: Server, tmp_path: Path) -> None:
    server.content = gzip.compress(b"not a tar")
    with pytest.raises(
        CorpusError, match=r"c.tgz: not unpacked: .*; make room or remove the file, and run the same command"
    ):
        download.fetch(tgz_source(server), tmp_path, progress=silently)


def refused(source: Source, folder: Path) -> str:
    """The error of `fetch`, which leaves nothing of what it unpacked."""
    with pytest.raises(CorpusError) as error:
        download.fetch(source, folder, progress=silently)
    assert not list(folder.glob("*.unpacking"))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_lies_in_the_folder_is_not_replaced(server: Server, tmp_path: Path) -> None:
    for name in ("notes.txt", "c.tgz", "english"):
        server.content = make_tgz("english/a.wav", name if "." in name else f"{name}/b.wav")
        (tmp_path / "notes.txt").write_text("mine")
        (tmp_path / "english").mkdir(exist_ok=True)
        text = "is there already, and the archive would replace it; move it away"
        assert refused(tgz_source(server), tmp_path).endswith(text)
        assert (tmp_path / "notes.txt").read_text() == "mine"
        assert list((tmp_path / "english").iterdir()) == []
        (tmp_path / "c.tgz").unlink()


def test_an_archive_that_is_there_is_verified_and_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "c.zip").write_bytes(make_zip("other"))
    assert refused(zip_source(server, "00ff"), tmp_path).startswith(f"{tmp_path / 'c.zip'}: got SHA-256 ")
    (tmp_path / "c.tgz").write_bytes(make_tgz("english/a")[:-20])
    assert refused(tgz_source(server), tmp_path).startswith(f"{tmp_path / 'c.tgz'}: the archive is damaged (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.tgz", "c.zip"]
    assert server.asked == []


def test_an_archive_that_becomes_far_too_large_is_refused(server: Server, tmp_path: Path) -> None:
    with tarfile.open(fileobj=(content := io.BytesIO()), mode="w:gz") as tar:
        for number in range(2):
            member = tarfile.TarInfo(f"english/{number}")
            member.size = 700_000
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    server.content = content.getvalue()
    assert "it holds 1400000 bytes or more, expected at most 1048580" in refused(tgz_source(server), tmp_path)
    with zipfile.ZipFile(packed := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", bytes(1_400_000))
    server.content = packed.getvalue()
    assert "it holds 1400000 bytes or more" in refused(zip_source(server), tmp_path)
    server.content = bytes(1_100_000)
    (tmp_path / "c.zip").unlink()
    assert "sends more than 1048580 bytes; expected about 1" in refused(zip_source(server), tmp_path)


def unknown_method(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02") + 10
    return content[:8] + b"\x63\x00" + content[10:at] + b"\x63\x00" + content[at + 2 :]


@pytest.mark.parametrize(
    "content",
    [
        make_zip("a", "a/b"), make_zip("n" * 300), unknown_method(make_zip("a")), make_zip("a")[:-30],
        make_tgz("a", "a/b"), make_tgz("n" * 300),
    ],
    ids=["file and folder", "long name", "unknown method", "cut", "file and folder in tar", "long name in tar"],
)  # fmt: skip
def test_an_archive_that_cannot_be_unpacked_is_one_error(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    source = zip_source(server) if content.startswith(b"PK") else tgz_source(server)
    assert ": not unpacked: " in refused(source, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1  # the archive


def test_two_at_once_are_one(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second removed what the first was unpacking, and a part of the corpus became all of it."""
    server.content = make_zip("wav48/a.txt")
    source = zip_source(server)
    unzip, refused = download._unzip, []

    def meanwhile(archive: Path, folder: Path, most: int) -> None:
        with pytest.raises(CorpusError, match="another process is making it") as caught:
            download.fetch(source, tmp_path, progress=lambda *_: None)
        refused.append(caught)
        unzip(archive, folder, most)

    monkeypatch.setattr(download, "_unzip", meanwhile)
    download.fetch(source, tmp_path, progress=lambda *_: None)
    assert len(refused) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["C", "c.zip"]
