"""Keys, URLs, names and signatures: what holds for all of them."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import PurePosixPath, PureWindowsPath
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from rustforge.clock import ManualClock
from rustforge.errors import (
    ConfigurationError,
    InvalidArgumentError,
    InvalidTypeError,
    StorageTokenError,
)
from rustforge.storage import Storage, StorageUrl, check_key, new_key
from rustforge.storage.objects import Description, disposition, quoted, unquoted
from rustforge.storage.signing import Signer

SECRET = "s3cr3t" * 4
KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,20}(/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,20}){0,4}", fullmatch=True)
NASTY = st.text(st.sampled_from([*'abcCON019._-/\\%~:*?"<>|#&+ \0\n\r\x7fü\u202e\ud800']), max_size=40)


def is_key(text: str) -> bool:
    """Tell whether a text is accepted."""
    try:
        return check_key(text) == text
    except InvalidArgumentError as error:
        told = str(error)
    assert told.isascii()
    assert told.isprintable()
    return False


# Keys


@given(NASTY | st.text(max_size=60) | KEYS)
@example("a/../b")
@example("a/./b")
@example("/a")
@example("a//b")
@example("a/")
def test_a_key_means_the_same_everywhere(text: str) -> None:
    """Whatever is accepted is one path downwards, for all systems and in every URL, with nothing to normalise."""
    assume(is_key(text))
    assert len(text) <= 1024
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind("/root") / text
        assert path.parts[1:] == ("root", *text.split("/"))
        assert not any(re.fullmatch(r"\.*", part) for part in path.parts[1:])
    assert quote(text) == unquote(text) == text
    assert urlsplit(f"https://host/files/{text}?token=1").path == f"/files/{text}"
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(
    "key",
    [
        *("", "/", ".", "..", "a/..", "../a", "a/../b", "./a", "a/.", "a//b", "/a", "a/", "a/b/", "//"),
        *("a\\b", "..\\a", "C:", "C:a", "a:b", "%2e%2e/x", "a%00", "a\0", "a\n", "a\r\nb", "a b", " a", "a\x7f"),
        *(".rustforge/key", ".htaccess", "a/.hidden", "a.", "a./b", "~", "*", "a?b", "a#b", "a&b", "a+b", "a;b"),
        *("con", "CON", "a/nul", "aux.txt", "LPT1", "com9.tar.gz", "prn", "ü", "a\u202eb", "\ud800", "a" * 201),
        *("/".join(["a" * 100] * 11), "http://host/a"),
    ],
)
def test_keys_that_are_refused(key: str) -> None:
    """Ways out of a folder, hidden files, devices, and what has to be escaped somewhere."""
    with pytest.raises(InvalidArgumentError, match="cannot be the key of an object: a key has 1 to 1024 characters"):
        check_key(key)


@pytest.mark.parametrize("key", [None, 7, b"a", ["a"]])
def test_keys_are_text(key: object) -> None:
    """Anything else is named by its type."""
    with pytest.raises(InvalidTypeError, match=f"must be str, not {type(key).__name__}"):
        check_key(key)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["a", "a-b_c.d", "A/b/0", "a" * 200, "-", "_", "console", "a/com", "com10", "a..b"])
def test_keys_that_are_accepted(key: str) -> None:
    """Nothing more is refused than needs to be."""
    assert check_key(key) == key


@given(owner=KEYS, field=KEYS, extension=st.from_regex(r"\.?[A-Za-z0-9]{1,16}", fullmatch=True) | st.just(""))
def test_new_keys(owner: str, field: str, extension: str) -> None:
    """Each is a key of its own, with the date of the clock and the extension in small letters."""
    assume(is_key(f"{owner}/{field}"))
    clock = ManualClock(1_700_000_000)
    keys = {new_key(owner, field, extension, clock=clock) for _ in range(2)}
    assert len(keys) == 2
    ending = f".{extension.lstrip('.').lower()}" if extension else ""
    for key in keys:
        assert re.fullmatch(f"{re.escape(f'{owner}/{field}')}/2023/11/14/[0-9a-f]{{32}}{re.escape(ending)}", key)
        assert is_key(key)


@pytest.mark.parametrize("owner", ["quarantine", "quarantine/articles"])
def test_no_new_key_lies_in_the_quarantine(owner: str) -> None:
    """What is there is swept, whether a row uses it or not."""
    with pytest.raises(InvalidArgumentError, match="to be swept"):
        new_key(owner, "cover", "png")
    assert new_key(f"my_{owner}", "cover", "png")


@given(st.tuples(NASTY, NASTY, NASTY))
def test_new_keys_let_nothing_through(parts: tuple[str, str, str]) -> None:
    """Whatever the parts are, the result is a key or an error."""
    with suppress(InvalidArgumentError):
        assert is_key(new_key(*parts))


# What is stored with objects


@given(
    st.text() | NASTY, st.booleans(), st.sampled_from(["image/png", "text/html", "image/svg+xml", "application/pdf"])
)
@example('a"; filename="b.html', False, "image/png")
@example("../../etc/passwd", False, "image/png")
@example("a\r\nSet-Cookie: b=c", False, "image/png")
def test_dispositions(filename: str, inline: bool, content_type: str) -> None:
    """Whatever a file is called, the header is one line of ASCII, with one name, which leads nowhere."""
    header = disposition(filename, inline=inline, content_type=content_type)
    match = re.fullmatch(
        r"(inline|attachment); filename=\"([A-Za-z0-9 ._()+-]+)\"(; filename\*=UTF-8''([A-Za-z0-9%!#$&+.^_`|~-]+))?",
        header,
    )
    assert match is not None
    assert match[1] == ("inline" if inline and content_type in {"image/png", "application/pdf"} else "attachment")
    name = unquote(match[4]) if match[4] else match[2]
    assert name.isprintable() or "\ufffd" in name or "?" in name
    assert not {"/", "\\"} & set(name)


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        (None, "attachment"),
        ("Report 7.pdf", 'attachment; filename="Report 7.pdf"'),
        (
            "Bericht über Öl.pdf",
            "attachment; filename=\"Bericht _ber _l.pdf\"; filename*=UTF-8''Bericht%20%C3%BCber%20%C3%96l.pdf",
        ),
        ("C:\\temp\\a.png", 'attachment; filename="a.png"'),
        ("/etc/passwd", 'attachment; filename="passwd"'),
        ("", 'attachment; filename="file"'),
        ("\0\n", 'attachment; filename="file"'),
    ],
)
def test_the_names_of_downloads(filename: str | None, expected: str) -> None:
    """Plain names stay as they are; others have a plain form beside the right one."""
    assert disposition(filename, inline=False, content_type="application/pdf") == expected


@pytest.mark.parametrize("letter", ["a", "ä", "報", "😀"])
def test_long_names_of_downloads(letter: str) -> None:
    """S3 takes 2 KiB of such headers, so a client's long name is shortened; its extension stays."""
    header = disposition(letter * 250 + ".pdf", inline=False, content_type="application/pdf")
    assert len(header) < 1200
    name = unquote(header.rpartition("=")[2]).strip("'\"").removeprefix("UTF-8''")
    assert name.startswith(letter * 60)
    assert name.endswith(letter + ".pdf")


@given(st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9-]{0,8}", fullmatch=True), st.text(max_size=20), max_size=3))
def test_metadata(metadata: dict[str, str]) -> None:
    """It is written in printable ASCII without spaces at the ends, and read back as it was."""
    try:
        Description.of("image/png", metadata, None, inline=False)
    except InvalidArgumentError:
        assume(False)
    written = quoted(metadata)
    assert unquoted(written) == metadata
    assert all(value.isascii() and value.isprintable() and value == value.strip() for value in written.values())


# URLs


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:./storage", StorageUrl("file", "storage")),
        ("file:storage", StorageUrl("file", "storage")),
        ("file:///var/lib/shop", StorageUrl("file", "/var/lib/shop")),
        ("file:/var/lib/a%20b", StorageUrl("file", "/var/lib/a b")),
        ("FILE:../x", StorageUrl("file", "../x")),
        ("memory://", StorageUrl("memory", "")),
        ("memory://tests", StorageUrl("memory", "tests")),
        ("s3://shop", StorageUrl("s3", "shop")),
        ("s3://shop/a/b?region=eu-west-1", StorageUrl("s3", "shop", "a/b", region="eu-west-1")),
        (
            "s3://k:s%2Ft@shop?endpoint=https://s3.example.com:9000&style=virtual&timeout=2.5",
            StorageUrl(
                *("s3", "shop", "", "https://s3.example.com:9000", "", True),
                access_key="k",
                secret_key="s/t",
                timeout=2.5,
            ),
        ),
        ("minio://host:9000/shop/a", StorageUrl("s3", "shop", "a", "http://host:9000", "us-east-1")),
        ("minio://k:s@host/shop?tls=true", StorageUrl("s3", "shop", "", "https://host", "us-east-1", False, "k", "s")),
        (
            "r2://account/shop/a",
            StorageUrl("r2", "shop", "a", "https://account.r2.cloudflarestorage.com", "auto"),
        ),
    ],
)
def test_urls(url: str, expected: StorageUrl) -> None:
    """Each form is taken apart."""
    assert StorageUrl.parse(url) == expected


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no scheme that is known; write file:./storage"),
        ("./storage", "no scheme"),
        ("ftp://host/a", "the unknown scheme 'ftp'"),
        ("s3:shop", "the unknown scheme 's3'|no scheme"),
        ("file:", "file: needs a folder"),
        ("file://host/a", "file: needs a folder"),
        ("file:./a?b=c", "takes no options"),
        ("memory://a/b", "takes only a name"),
        ("memory://a?b=c", "the option 'b' is not known; there are: none"),
        ("s3://", "no bucket that S3 would take"),
        ("s3://Shop_1", "no bucket that S3 would take"),
        ("s3://shop/../a", "the prefix of a storage URL"),
        ("s3://shop?zone=a", "the option 'zone' is not known; there are: endpoint, region, style, timeout"),
        ("s3://shop?region=a&region=b", "twice"),
        ("s3://shop?style=both", "style is path or virtual"),
        ("s3://shop?timeout=soon", "timeout is a number of seconds"),
        ("s3://shop?timeout=0", "timeout is a number of seconds"),
        ("s3://shop?timeout=nan", "timeout is a number of seconds"),
        ("s3://shop?endpoint=host:9000", "the endpoint of a storage URL"),
        ("s3://shop?endpoint=https://host/path", "the endpoint of a storage URL"),
        (f"s3://{SECRET}@shop", "half of the credentials"),
        (f"s3://:{SECRET}@shop", "half of the credentials"),
        (f"s3://k:{SECRET}@shop?x=1", "the option 'x'"),
        (f"s3://k:{SECRET}[@shop", "write special characters of a secret as %XX"),
        ("minio://host:9000", "minio:// needs the bucket"),
        ("minio://host:9000/shop?tls=yes", "tls is false or true"),
        ("r2://account", "r2:// needs the bucket"),
        ("r2://acc.ount/shop", "r2:// needs the account's id"),
        ("s3://shop#a", "a '#'"),
    ],
)
def test_urls_that_are_refused(url: str, message: str) -> None:
    """The message says what is wrong, and shows no secret."""
    with pytest.raises(ConfigurationError, match=re.escape(message).replace(r"\|", "|")) as caught:
        StorageUrl.parse(url)
    assert SECRET not in str(caught.value)


def test_a_url_hides_its_credentials() -> None:
    """Neither form of it shows them."""
    url = StorageUrl.parse(f"s3://key:{SECRET}@shop")
    assert SECRET not in f"{url!r}{url}"
    assert "key" not in str(url)


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_an_error(text: str) -> None:
    """Nothing else comes out of reading one."""
    for url in (text, f"s3://{text}", f"file:{text}", f"r2://{text}", f"minio://{text}", f"memory://{text}"):
        with suppress(ConfigurationError):
            StorageUrl.parse(url)


# Signatures

FACTS = st.lists(st.none() | st.booleans() | st.integers(0, 2**53) | st.text(max_size=20), max_size=4)


@given(purpose=KEYS, facts=FACTS, seconds=st.integers(1, 604_800))
def test_what_is_signed_is_read(purpose: str, facts: list[str | int | bool | None], seconds: int) -> None:
    """Until it expires, and not a second longer."""
    clock = ManualClock()
    signer = Signer(SECRET, clock)
    token = signer.sign(purpose, seconds, *facts)
    assert signer.read(purpose, token) == (seconds, facts)
    clock.advance(seconds - 0.5)
    with pytest.raises(StorageTokenError, match="expired"):
        signer.read(purpose, token)


@given(purpose=KEYS, other=KEYS, facts=FACTS)
def test_a_signature_is_for_one_purpose(purpose: str, other: str, facts: list[str | int | bool | None]) -> None:
    """No other key, method or secret accepts it."""
    assume(purpose != other)
    signer = Signer(SECRET, ManualClock())
    token = signer.sign(f"GET {purpose}", 60, *facts)
    for reader, wrong in ((signer, f"GET {other}"), (signer, f"PUT {purpose}"), (Signer("x" * 16, ManualClock()), "")):
        with pytest.raises(StorageTokenError, match="not valid here"):
            reader.read(wrong or f"GET {purpose}", token)


@given(facts=FACTS, where=st.integers(0, 10_000), character=st.sampled_from("AZaz09-_.=~%ü\0"))
def test_a_changed_signature(facts: list[str | int | bool | None], where: int, character: str) -> None:
    """Any other character makes it invalid, but for bits that base64 does not use."""
    signer = Signer(SECRET, ManualClock())
    token = signer.sign("GET a", 60, *facts)
    where %= len(token)
    changed = token[:where] + character + token[where + 1 :]
    try:
        assert signer.read("GET a", changed) == (60, facts)
        assert changed == token or where == len(token) - 1
    except StorageTokenError:
        assert changed != token


@given(st.text(max_size=100) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_any_text_is_no_signature(token: str) -> None:
    """Whatever a client sends is refused, and nothing else happens."""
    with pytest.raises(StorageTokenError):
        Signer(SECRET, ManualClock()).read("GET a", token)


def test_secrets_change() -> None:
    """The last one signs; tokens of those before it are accepted as long as they stand in the list."""
    clock = ManualClock()
    old, new = Signer("1" * 16, clock), Signer(["1" * 16, "2" * 16], clock)
    assert new.read("a", old.sign("a", 60, 7)) == (60, [7])
    assert Signer("2" * 16, clock).read("a", new.sign("a", 60, 7)) == (60, [7])
    with pytest.raises(StorageTokenError):
        old.read("a", new.sign("a", 60, 7))


@pytest.mark.parametrize("secret", ["", "short", [], ["1" * 16, "short"]])
def test_secrets_that_can_be_guessed(secret: str | list[str]) -> None:
    """They are refused."""
    with pytest.raises(InvalidArgumentError, match="at least 16 characters"):
        Signer(secret, ManualClock())


@given(key=KEYS, name=st.none() | st.text(max_size=30), inline=st.booleans())
def test_signed_urls(key: str, name: str | None, inline: bool) -> None:
    """They have the key in their path and a token in their query, and nothing that had to be escaped."""
    assume(is_key(key) and not key.startswith("quarantine/"))
    url = Storage("memory://", secret=SECRET, base_url="https://files.example.com/f/").presign(
        key, filename=name, inline=inline
    )
    assert re.fullmatch(rf"https://files\.example\.com/f/{re.escape(key)}\?token=[\w.-]+", url)
    assert SECRET not in url


@pytest.mark.parametrize("expires", [0, -1, 0.5, 604_801, float("nan"), True, "60"])
def test_lives_of_urls(expires: float) -> None:
    """From a second to seven days."""
    storage = Storage("memory://")
    with pytest.raises(InvalidArgumentError, match="expires"):
        storage.presign("a", expires)
    with pytest.raises(InvalidArgumentError, match="expires"):
        storage.presign_upload("a", max_size=1, expires=expires)


def test_nothing_is_given_out_of_the_quarantine() -> None:
    """An upload is looked at first."""
    with pytest.raises(InvalidArgumentError, match="lies in the quarantine"):
        Storage("memory://").presign("quarantine/a/b")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_size": 0},
        {"max_size": 6 << 30},
        {"max_size": 10, "size": 11},
        {"max_size": 10, "size": -1},
        {"max_size": 10, "content_type": "png"},
    ],
)
def test_uploads_that_are_not_permitted(wrong: dict[str, object]) -> None:
    """A bound is needed, and it must be possible."""
    with pytest.raises(InvalidArgumentError):
        Storage("memory://").presign_upload("a", **wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError):
        Storage("memory://").presign_upload("../a", max_size=10)


def test_s3_needs_a_secret_for_tokens() -> None:
    """It has no place to keep one; the message says what to set."""
    storage = Storage("s3://key:secret@bucket?region=eu-west-1")
    with pytest.raises(ConfigurationError, match="set SECRET_KEY, or give secret="):
        storage.presign_upload("a", max_size=10)
    assert storage.presign("a").startswith("https://s3.eu-west-1.amazonaws.com/bucket/a?X-Amz-")


def test_r2_needs_the_size() -> None:
    """It knows no forms that bound an upload, so the signature says how long it is."""
    storage = Storage("r2://key:secret@account/bucket", secret=SECRET)
    with pytest.raises(ConfigurationError, match="size="):
        storage.presign_upload("a", max_size=10)
    upload = storage.presign_upload("a", max_size=10, size=7)
    assert upload.method == "PUT"
    assert upload.url.startswith("https://account.r2.cloudflarestorage.com/bucket/quarantine/a/")
    assert "X-Amz-SignedHeaders=content-disposition%3Bcontent-length%3Bhost" in upload.url
    assert upload.headers == {"Content-Disposition": "attachment"}


def test_addresses_of_buckets() -> None:
    """Path style, virtual hosts and prefixes."""
    for url, begin in {
        "s3://k:s@bucket/a/b?region=us-east-2": "https://s3.us-east-2.amazonaws.com/bucket/a/b/key?",
        "s3://k:s@bucket?region=us-east-2&style=virtual": "https://bucket.s3.us-east-2.amazonaws.com/key?",
        "s3://k:s@bucket/a?endpoint=https://s3.example.com&style=virtual": "https://bucket.s3.example.com/a/key?",
        "s3://k:s@bucket/a?endpoint=https://s3.example.com": "https://s3.example.com/bucket/a/key?",
        "minio://k:s@127.0.0.1:9000/bucket": "http://127.0.0.1:9000/bucket/key?",
    }.items():
        assert Storage(url).presign("key").startswith(begin), url
