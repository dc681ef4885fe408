"""The result stores that stand alone, of which conftest.py makes worlds."""

from tests.conformance import django_stores, key_values, mongodb, own_stores, sql
from tests.conformance.store_world import StoreWorld

STORES: dict[str, type[StoreWorld]] = {
    **django_stores.STORES,
    **key_values.STORES,
    **mongodb.STORES,
    **own_stores.STORES,
    **sql.STORES,
}
"""Every store whose server is there."""
