import hashlib
import logging
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mascot_jax.data import fetch as fetch_module
from mascot_jax.data.fetch import fetch
from mascot_jax.data.sets import DATA_SETS
from mascot_jax.errors import DataError

CONTENT = b"user,item,rating\n1,2,3\n"
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
WRONG = "md5:" + "0" * 32
FILE = DATA_SETS["file"]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path == "/missing.csv":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:5] if self.path == "/cut.csv" else CONTENT)

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # No waits between attempts in tests; the tests count the attempts.
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    return tmp_path / "cache" / "mascot-jax"


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("digest", [SHA256, MD5, None])
def test_a_download_is_checked_and_kept(server, cache, digest):
    path = fetch(FILE, f"{server.url}/ratings.csv", digest)
    assert path.read_bytes() == CONTENT
    assert files(cache) == [path]
    assert path.name.endswith("-ratings.csv")
    assert fetch(FILE, f"{server.url}/ratings.csv", digest) == path
    assert server.requests == ["/ratings.csv"]


def test_archives_of_one_name_are_kept_apart(server):
    first = fetch(FILE, f"{server.url}/a/ratings.csv", None)
    assert first != fetch(FILE, f"{server.url}/b/ratings.csv", None)


def test_a_download_with_a_wrong_digest_is_refused_once_and_leaves_nothing(server, cache):
    with pytest.raises(DataError, match=f"expected {WRONG}, found {MD5}"):
        fetch(FILE, f"{server.url}/ratings.csv", WRONG)
    assert files(cache) == []
    assert server.requests == ["/ratings.csv"]


def test_a_kept_file_that_was_altered_is_downloaded_again(server):
    path = fetch(FILE, f"{server.url}/ratings.csv", MD5)
    path.write_bytes(b"altered")
    assert fetch(FILE, f"{server.url}/ratings.csv", MD5).read_bytes() == CONTENT


@pytest.mark.parametrize(("name", "reason"), [("missing.csv", "404"), ("cut.csv", "5 bytes read")])
def test_a_failed_download_is_retried_and_leaves_nothing(server, cache, name, reason):
    with pytest.raises(DataError, match=f"(?s){server.url}/{name} cannot be downloaded.*{reason}"):
        fetch(FILE, f"{server.url}/{name}", None)
    assert files(cache) == []
    assert len(server.requests) == 1 + fetch_module.RETRIES


def test_a_cache_folder_that_cannot_be_made_is_named(server, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"cannot be downloaded to .*mascot-jax"):
        fetch(FILE, f"{server.url}/ratings.csv", None)


def test_the_published_digest_holds_for_the_official_url_only(server):
    official = replace(FILE, url=f"{server.url}/ratings.csv", digest=WRONG)
    with pytest.raises(DataError, match="its digest differs"):
        fetch(official, None, None)
    assert fetch(official, f"{server.url}/ratings.csv", None).read_bytes() == CONTENT
    assert fetch(official, None, MD5).read_bytes() == CONTENT


def test_an_unpinned_download_says_once_what_to_pin(server, caplog):
    with caplog.at_level(logging.WARNING, logger=fetch_module.__name__):
        fetch(FILE, f"{server.url}/ratings.csv", None)
        fetch(FILE, f"{server.url}/ratings.csv", None)
    assert [f"data.digest: {SHA256}" in text for text in caplog.messages] == [True]


@pytest.mark.parametrize("as_url", [False, True])
def test_a_local_source_is_read_where_it_lies(tmp_path, cache, as_url):
    path = tmp_path / "my ratings.csv"
    path.write_bytes(CONTENT)
    source = path.as_uri() if as_url else str(path)
    assert fetch(FILE, source, SHA256) == path
    # Not the official archive, and no digest is set: nothing to compare it with.
    assert fetch(DATA_SETS["ml-1m"], source, None) == path
    assert files(cache) == []


def test_a_local_file_with_a_wrong_digest_is_refused_and_stays(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(CONTENT)
    with pytest.raises(DataError, match=f"expected {WRONG}, found {MD5}.*data.digest"):
        fetch(FILE, str(path), WRONG)
    assert path.exists()


def test_a_folder_is_taken_but_has_no_digest(tmp_path):
    assert fetch(FILE, str(tmp_path), None) == tmp_path
    with pytest.raises(DataError, match=r"data\.digest: .* cannot be compared with a folder"):
        fetch(FILE, str(tmp_path), MD5)


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ratings.csv").write_bytes(CONTENT)
    assert fetch(FILE, "~/ratings.csv", None) == tmp_path / "ratings.csv"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/ratings.csv", r"data\.source: 'nowhere/ratings\.csv' does not exist"),
        ("", r"data\.source: '' does not exist"),
        ("s3://bucket/ratings.csv", r"data\.source: s3://.* http, https or file"),
    ],
)
def test_a_source_that_is_not_there(source, message):
    with pytest.raises(DataError, match=message):
        fetch(FILE, source, None)


@pytest.mark.parametrize("name", ["netflix", "yahoo-music", "file"])
def test_without_a_download_the_message_says_what_to_get(name):
    with pytest.raises(DataError, match=rf"data\.source: not set, and data\.name {name}") as info:
        fetch(DATA_SETS[name], None, None)
    assert DATA_SETS[name].how_to_get in str(info.value)


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = tmp_path / "ratings.csv"
    path.write_bytes(CONTENT)
    monkeypatch.setattr("os.access", lambda *args: False)
    with pytest.raises(DataError, match="may not be read"):
        fetch(FILE, str(Path(path)), None)
