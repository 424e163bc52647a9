from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from penstock.destinations.contract import Refused
from penstock.destinations.sending.addresses import check_host, is_public


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111",
        "2a00:1450:4001::200e", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1",
    ],
)  # fmt: skip
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254",
        "169.254.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
        "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1",
        "255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:192.168.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:a00:1::1",
        "3fff::1", "5f00::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
        "", "nonsense",
    ],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(address)


def test_a_host_is_judged_by_all_its_addresses() -> None:
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(check_host("8.8.8.8", 9092, executor))
        for host, code in (("localhost", "PRIVATE_ADDRESS"), ("x.invalid", None), ("a..b", None)):
            with pytest.raises(Refused) as caught:
                asyncio.run(check_host(host, 9092, executor))
            assert code in (None, caught.value.code)
