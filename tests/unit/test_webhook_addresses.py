"""URLs of webhooks: what can be seen of them before the DNS is asked."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustforge.errors import WebhookAddressError
from rustforge.notify.webhook.addresses import read_url, refuse_ip

REFUSED = {
    "this machine": ["127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3"],
    "private networks": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"],
    "carrier-grade NAT": ["100.64.0.1", "100.127.255.255", "100.100.100.200"],
    "link-local, and the metadata of clouds": ["169.254.0.1", "169.254.169.254", "168.63.129.16", "192.0.0.192"],
    "multicast and broadcast": ["224.0.0.1", "239.255.255.250", "255.255.255.255"],
    "reserved, documentation, measurement": ["240.0.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"],
    "relays": ["192.88.99.1"],
    "IPv6 loopback and unspecified": ["::1", "::"],
    "IPv4 in IPv6": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "::ffff:0:127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "6to4": ["2002:7f00:1::", "2002:808:808::1"],
    "Teredo": ["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "IPv6 link-local": ["fe80::1", "febf::1", "fe80::1%eth0"],
    "site-local": ["fec0::1"],
    "unique local": ["fc00::1", "fd00:ec2::254"],
    "IPv6 multicast": ["ff02::1", "ff0e::1"],
    "IPv6 documentation, discard and others": ["2001:db8::1", "3fff::1", "100::1", "2001:20::1", "5f00::1"],
}
PUBLIC = ["8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2606:4700:4700::1111", "2a00:1450:4001:800::200e"]


@pytest.mark.parametrize("address", [one for some in REFUSED.values() for one in some])
def test_addresses_that_are_not_for_everybody_are_refused(address: str) -> None:
    """Each kind of address, some of which `is_global` of Python 3.11 takes for public, as a name's and in a URL."""
    assert refuse_ip(ip_address(address))
    with pytest.raises(WebhookAddressError):
        read_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_taken(address: str) -> None:
    """What is on the internet may be written as an address."""
    assert refuse_ip(ip_address(address)) is None
    found = read_url(f"https://[{address}]:8443/x" if ":" in address else f"https://{address}:8443/x")
    assert (found.host, found.port, found.ip) == (address, 8443, ip_address(address))


@given(st.ip_addresses())
def test_what_python_calls_private_is_never_taken(address: object) -> None:
    """No address passes that Python's own lists call private, reserved, multicast, loopback or link-local."""
    ip = ip_address(str(address))
    if refuse_ip(ip) is None:
        assert ip.is_global
        assert not any((ip.is_private, ip.is_reserved, ip.is_multicast, ip.is_loopback, ip.is_link_local))
        if isinstance(ip, IPv6Address):
            assert ip.ipv4_mapped is None
            assert ip.sixtofour is None
            assert ip.teredo is None


SPELLINGS = [
    "https://2130706433/",  # 127.0.0.1 in decimal
    "https://0x7f000001/",
    "https://0x7F.0x0.0x0.0x1/",
    "https://017700000001/",
    "https://0177.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.0.0.1./",
    "https://127.000.000.001/",
    "https://0/",
    "https://0x/",
    "https://3232235777/",
    "https://１２７.0.0.1/",  # noqa: RUF001 - digits that IDNA makes ASCII of
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://0xa9fea9fe/",
    "https://8.8.8.8./",
    "https://999.1.1.1/",
    "https://1.2.3.4.5/",
    "https://[::ffff:7f00:1]/",
    "https://[0:0:0:0:0:ffff:127.0.0.1]/",
    "https://[::]/",
    "https://[fe80::1%25eth0]/",
    "https://[2606:4700::1%25eth0]/",
    "https://[127.0.0.1]/",
    "https://[v1.a]/",
    "https://%31%32%37.0.0.1/",
]


@pytest.mark.parametrize("url", SPELLINGS)
def test_no_spelling_of_an_address_gets_around(url: str) -> None:
    """Whole, hexadecimal, octal and shortened numbers, and digits of other scripts, are refused, whatever they mean."""
    with pytest.raises(WebhookAddressError):
        read_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "https://, not http:"),
        ("ftp://example.com/", "https://, not ftp:"),
        ("file:///etc/passwd", "https://, not file:"),
        ("gopher://example.com/", "https://"),
        ("//example.com/", "https://"),
        ("example.com", "https://"),
        ("", "https://"),
        ("https://", "no usable host name"),
        ("https:///x", "no usable host name"),
        ("https://user@example.com/", "user name"),
        ("https://user:secret@example.com/", "user name"),
        ("https://example.com@127.0.0.1/", "user name"),
        ("https://@example.com/", "user name"),
        ("https://example.com/#x", "fragment"),
        ("https://example.com\\@127.0.0.1/", "backslashes"),
        ("https://example.com/a b", "blanks"),
        ("https://example.com/\r\nx: y", "control"),
        (" https://example.com/", "blanks"),
        ("https://exam\tple.com/", "control"),
        ("https://example.com:0/", "port"),
        ("https://example.com:/", "port"),
        ("https://example.com:65536/", "taken apart"),
        ("https://example.com:x/", "taken apart"),
        ("https://[::1/", "taken apart"),
        ("https://exa_mple..com/", "no usable host name"),
        ("https://-example.com/", "no usable host name"),
        ("https://exam|ple.com/", "no usable host name"),
        (f"https://{'a' * 64}.com/", "no usable host name"),
        ("https://" + "a." * 127 + "com/", "no usable host name"),
        ("https://xn--\u0661.com/", "no usable host name"),
        ("https://localhost/", "this machine or its network"),
        ("https://localhost./", "this machine or its network"),
        ("https://redis/", "this machine or its network"),
        ("https://a.localhost/", "this machine or its network"),
        ("https://printer.local/", "this machine or its network"),
        ("https://metadata.google.internal/", "this machine or its network"),
        (f"https://example.com/{'a' * 2048}", "at most 2,048"),
    ],
)
def test_urls_that_cannot_be_used_are_refused(url: str, reason: str) -> None:
    """Other schemes, credentials, what parsers disagree about, and names of the own network."""
    with pytest.raises(WebhookAddressError, match=reason) as caught:
        read_url(url)
    assert "secret" not in str(caught.value)


def test_a_url_is_taken_apart_once() -> None:
    """What is checked is what is sent: host, port, target and `Host` come from one reading."""
    found = read_url("HTTPS://Hooks.Example.COM:8443/a/%7Eb/ä?x=1&y=[2]")
    assert found[:5] == (
        "https",
        "hooks.example.com",
        8443,
        "hooks.example.com:8443",
        b"/a/%7Eb/%C3%A4?x=1&y=%5B2%5D",
    )
    assert str(found) == "https://hooks.example.com:8443"  # without what may be a key
    assert read_url("https://example.com:443?a=b")[2:5] == (443, "example.com", b"/?a=b")
    assert read_url("https://[2606:4700::1111]/").authority == "[2606:4700::1111]"


def test_names_of_other_scripts_are_written_in_ascii() -> None:
    """By IDNA 2008, as browsers do: what the DNS, TLS and `Host` get is the same."""
    assert read_url("https://bücher.example.com/").host == "xn--bcher-kva.example.com"
    assert read_url("https://faß.example/").host == "xn--fa-hia.example"
    assert read_url("https://例え.テスト/").host == "xn--r8jz45g.xn--zckzah"


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/hook", "http://127.0.0.1:9/", "https://[::1]/", "http://10.0.0.7/", "http://redis/"]
)
def test_private_addresses_are_taken_where_that_is_allowed(url: str) -> None:
    """Tests and development reach this machine, by plain HTTP, too."""
    assert read_url(url, allow_private=True).host in url
    with pytest.raises(WebhookAddressError):
        read_url("http://2130706433/", allow_private=True)


@given(
    st.text(max_size=60)
    | st.text("https:/[]@.:%#?0123456789abcdefx\u3002\uff11", max_size=60).map(lambda end: "https://" + end)
)
def test_whatever_is_written_is_read_or_refused(url: str) -> None:
    """No text raises anything else, and what is taken has a name or an address that is public."""
    try:
        found = read_url(url)
    except WebhookAddressError:
        return
    assert found.scheme == "https"
    assert found.ip is None or refuse_ip(found.ip) is None
    assert found.host.isascii()
    assert b" " not in found.target
    assert b"\n" not in found.target
