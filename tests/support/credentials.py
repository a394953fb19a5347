"""Credentials as operators of NATS make them: nkeys, and the JWTs of an operator, an account and a user.

Nothing on PyPI issues these JWTs; they are what github.com/nats-io/jwt v2 writes, as far as a server asks for it.
"""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

import nkeys


@dataclass(frozen=True)
class Key:
    """An nkey: `seed` is secret, `public` is its name."""

    seed: str

    @classmethod
    def make(cls, prefix: int) -> Key:
        return cls(nkeys.encode_seed(os.urandom(32), prefix).decode())

    @property
    def public(self) -> str:
        return nkeys.from_seed(bytearray(self.seed.encode())).public_key.decode()

    def sign(self, subject: str, **claims: object) -> str:
        """A JWT of this issuer about `subject`."""
        body = {
            "jti": "test",
            "iat": 0,
            "iss": self.public,
            "sub": subject,
            "name": "test",
            "nats": {"version": 2, **claims},
        }
        text = b".".join(_encoded(json.dumps(part).encode()) for part in ({"typ": "JWT", "alg": "ed25519-nkey"}, body))
        return (text + b"." + _encoded(nkeys.from_seed(bytearray(self.seed.encode())).sign(text))).decode()


def user_key() -> Key:
    return Key.make(nkeys.PREFIX_BYTE_USER)


def operator_mode() -> tuple[dict[str, object], str]:
    """Make an operator with one account and one user: (settings of the server, content of the user's creds file)."""
    operator, account, user = Key.make(nkeys.PREFIX_BYTE_OPERATOR), Key.make(nkeys.PREFIX_BYTE_ACCOUNT), user_key()
    limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1)
    account_jwt = operator.sign(account.public, type="account", limits=limits | {"wildcards": True})
    user_jwt = account.sign(user.public, type="user", subs=-1, data=-1, payload=-1)
    settings: dict[str, object] = {
        "operator": operator.sign(operator.public, type="operator"),
        "resolver": "MEMORY",
        "resolver_preload": {account.public: account_jwt},
    }
    return settings, (
        f"-----BEGIN NATS USER JWT-----\n{user_jwt}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed}\n------END USER NKEY SEED------\n"
    )


def _encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
