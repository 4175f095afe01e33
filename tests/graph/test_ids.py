"""Keys of entities: one form for every spelling, and none for what means none."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.ids import address_range, canonical, category, is_missing

DEVICE = "3f2a9c8b7d6e5f40"


@pytest.mark.parametrize(
    "spelling",
    [
        DEVICE,
        DEVICE.upper(),
        "3F2A-9C8B-7D6E-5F40",
        "3f:2a:9c:8b:7d:6e:5f:40",
        "{3f2a_9c8b.7d6e 5f40}",
        f"\ufeff{DEVICE}",
        "3f2a\u200b9c8b\u00ad7d6e5f40",
        f"\u00a0{DEVICE}\u202f",
        f"\u202a{DEVICE}\u202c",
        f" {DEVICE}\t\n",
        "3f2a‑9c8b–7d6e—5f40",
    ],
)
def test_a_device_is_one_device_by_any_spelling(spelling: str) -> None:
    assert canonical("device", spelling) == DEVICE


def test_short_device_ids_keep_their_separators() -> None:
    assert canonical("device", "1-23") == "1-23"
    assert canonical("device", "12-3") == "12-3"
    assert canonical("device", "POS-1-23") == "pos-1-23"
    assert canonical("device", "1234567.0") == "1234567", "a whole number that was a float"


@pytest.mark.parametrize(
    "spelling",
    [
        *("", " ", "null", "NULL", "None", "unknown", "N/A", "undefined", "-", "(null)", "nan", "<NA>", "desconocido"),
        *("00000000", "00000000-0000-0000-0000-000000000000", "0000000000000000", "00:00:00:00:00:00:00:00"),
        *("ffffffff-ffff-ffff-ffff-ffffffffffff", "FFFFFFFFFFFFFFFF", "9774d56d682e549c", "9774D56D-682E549C"),
        *("02:00:00:00:00:00", "0.0.0.0", "\u200b", "\ufeffnull", "un\u200bknown", "un-defined"),
    ],
)
def test_ids_that_mean_none(spelling: str) -> None:
    assert canonical("device", spelling) is None


def test_keys_that_only_look_like_none() -> None:
    assert not is_missing("0")
    assert not is_missing("000")
    assert canonical("user", "0") == "0"
    assert canonical("user", "nullify") == "nullify"
    assert canonical("user", "f00d00000000") == "f00d00000000"


def test_other_keys_keep_their_case_and_separators() -> None:
    assert canonical("user", " Ana-María_7 ") == "Ana-María_7"
    assert canonical("restaurant", "La\u200b Mar") == "La Mar"
    assert canonical("card", "AB\u00a0CD") == "AB CD"


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("181.65.20.3", "181.65.20.3"),
        (" 181.65.20.3\u200b", "181.65.20.3"),
        ("010.001.000.001", "10.1.0.1"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ("1.2.3.4/32", "1.2.3.4"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25en0]:80", "fe80::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"),
        ("::ffff:010.0.0.1", "10.0.0.1"),
        ("0.0.0.0", None),
        ("0.0.0.0:80", None),
        ("::", None),
        ("0:0:0:0:0:0:0:0", None),
        ("::ffff:0.0.0.0", None),
        ("unknown", None),
        ("1.2.3.400", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("1..2.3.4", None),
        ("1.2.3.4, 5.6.7.8", None),
        ("2001:db8::1::2", None),
        ("2001:db8::g", None),
        ("[::1", None),
        ("aa:bb:cc:dd:ee:ff", None),
        ("DeadBeefCafe0123", "DeadBeefCafe0123"),
        ("kJ8+/a==", "kJ8+/a=="),
        ("10.0.0.xxx", "10.0.0.xxx"),
    ],
)
def test_addresses(spelling: str, expected: str | None) -> None:
    assert canonical("ip", spelling) == expected


addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(addresses)
def test_every_address_has_one_form(address: IPv4Address | IPv6Address) -> None:
    mapped = getattr(address, "ipv4_mapped", None)
    expected = None if int(mapped or address) == 0 else str(mapped or address)
    for spelling in (str(address), address.exploded, address.exploded.upper()):
        assert canonical("ip", spelling) == expected
    if isinstance(address, IPv4Address):
        assert canonical("ip", ".".join(f"{part:0>3}" for part in str(address).split("."))) == expected
        assert canonical("ip", f"::ffff:{address}") == expected
        assert canonical("ip", f"{address}:443") == expected


KEYS = st.one_of(
    st.text(max_size=24),
    st.text(alphabet="0fF-:_.{} aA19\u200b\u00a0[]%/|\\", max_size=24),
    addresses.map(str),
    st.uuids().map(str),
    st.sampled_from(["null", "un-defined", "7.0", "-1.0", "ΑΣ-ΑΣΑΣΑΣ", "İSTANBUL-İİ", "ǅ-abcdefgh"]),
)


@given(st.sampled_from(["device", "ip", "user", "transaction", "card"]), KEYS)
def test_the_canonical_form_is_final(entity: str, key: str) -> None:
    once = canonical(entity, key)
    assert once is None or canonical(entity, once) == once
    value = category(key)
    assert value is None or category(value) == value


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("181.65.20.3", "public"),
        ("8.8.8.8", "public"),
        ("172.15.0.1", "public"),
        ("172.16.0.1", "private"),
        ("10.0.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.63.255.255", "public"),
        ("100.64.0.1", "carrier_grade"),
        ("100.127.255.255", "carrier_grade"),
        ("100.128.0.0", "public"),
        ("127.0.0.1", "loopback"),
        ("169.254.1.1", "link_local"),
        ("192.0.2.7", "reserved"),
        ("224.0.0.1", "reserved"),
        ("255.255.255.255", "reserved"),
        ("2800:200::1", "public"),
        ("2001:db8::1", "reserved"),
        ("fd00::1", "private"),
        ("fe80::1", "link_local"),
        ("ff02::1", "reserved"),
        ("::1", "loopback"),
        ("3f2a9c8b7d6e5f40", None),
        ("", None),
    ],
)
def test_ranges(key: str, expected: str | None) -> None:
    assert address_range(key) == expected


@given(st.ip_addresses(v=4))
def test_every_address_has_a_range(address: IPv4Address) -> None:
    found = address_range(str(address))
    assert found is not None
    if found == "public":
        assert ip_address(str(address)).is_global
