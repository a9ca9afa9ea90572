"""The counting application, which finds the store of a page among several."""

import hashlib
import os

import visits

STORES = os.environ["STORES"].split()


def store_of(page: str) -> str:
    """Share the pages out among the stores by a checksum of their names."""
    return STORES[hashlib.sha256(page.encode()).digest()[0] % len(STORES)]


visits.serve(store_of)
