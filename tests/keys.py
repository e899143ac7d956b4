"""API keys that tests present, and tenants without a keys file."""

from hashlib import sha256

from service.api.api_keys import NEVER, USUAL_SCOPES, ApiKey
from service.api.tenants import Tenants

NO_KEYS = Tenants(None)


def digest(key):
    return sha256(key.encode()).hexdigest()


def owned(tenant, key, scopes=USUAL_SCOPES, expires_at=NEVER):
    """Give a tenant a key, as the keys file does."""
    return {digest(key): ApiKey(digest(key), tenant, frozenset(scopes), expires_at)}


def keyed(*keys, **options):
    """Tenants by (tenant, key[, scopes])."""
    found = {}
    for key in keys:
        found |= owned(*key)
    return Tenants(lambda: found, **options)
