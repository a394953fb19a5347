"""A session of botocore, and the credentials that it finds."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import botocore.credentials
import botocore.loaders
import botocore.session
from botocore.exceptions import BotoCoreError

from archiver.core.errors import StoreUnavailable
from archiver.core.setting_text import flaw_in
from archiver.stores.s3.trust import authorities_file

if TYPE_CHECKING:
    from archiver.stores.s3.access import S3Access

_STEPS_S = (600, 240, 120, 60, 30, 10, 4, 2)


def aws_session() -> botocore.session.Session:
    """Make a session that has looked nothing up yet; what botocore knows of services is read once a process."""
    session = botocore.session.Session()
    session.register_component("data_loader", _loader())
    session.get_scoped_config()  # an unknown profile is reported now
    return session


@lru_cache(maxsize=1)
def _loader() -> botocore.loaders.Loader:
    return botocore.loaders.create_loader()


class AwsChain:
    """The credentials that AWS tools find: environment, profile, web identity, process, container, instance."""

    def __init__(self, access: S3Access) -> None:
        """Read the files that hold profiles; raises as `credentials`."""
        try:
            self._session = aws_session()
        except (BotoCoreError, ValueError) as error:  # a file that somebody is writing just now
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        # For the services that issue credentials: they are checked against the same authorities as the store.
        self._session.set_config_variable("ca_bundle", authorities_file(access.ca_bundle))

    @property
    def origin(self) -> str:
        """Return where `credentials` found them."""
        found, session = self._session.get_credentials(), self._session
        profile = session.get_config_variable("profile") or "default"
        file = session.get_config_variable("config_file")
        if found is not None and found.method == "shared-credentials-file":
            file = session.get_config_variable("credentials_file")
        in_profile = f"profile {profile} in {Path(os.path.expandvars(file)).expanduser()}"
        named = {
            "env": "environment variable AWS_ACCESS_KEY_ID",
            "shared-credentials-file": in_profile,
            "config-file": in_profile,
            "custom-process": f"credential_process of {in_profile}",
            "sso": f"single sign-on of {in_profile}",
            "assume-role": f"assumed role of {in_profile}",
            "assume-role-with-web-identity": "web identity",
            "container-role": "container credentials",
            "iam-role": "instance metadata",
        }
        return named.get(found.method, found.method) if found else ""

    def credentials(self) -> tuple[str, str, str | None]:
        """Return access key id, secret key and session token, good for `good_for_s` more.

        Blocking: it may run a program or ask a service, and renews what is about to end.

        Raises:
            StoreUnavailable: there are none, or they cannot be had now.

        Source: botocore credentials.py: renewal is mandatory ten minutes before the end.
        """
        try:
            found = self._session.get_credentials()
            frozen = found.get_frozen_credentials() if found else None
        except (BotoCoreError, OSError, ValueError, RuntimeError) as error:  # a file half written, no such program
            raise StoreUnavailable("be asked", f"no credentials: {error}") from error
        if frozen is None or frozen.access_key is None or frozen.secret_key is None:
            advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
            raise StoreUnavailable("be asked", f"no credentials: {advice}")
        for what, text in (("id", frozen.access_key), ("secret", frozen.secret_key), ("token", frozen.token or "")):
            if flaw := flaw_in(text, is_ascii=True):
                raise StoreUnavailable("be asked", f"no credentials: the {what} from {self.origin} {flaw}")
        return frozen.access_key, frozen.secret_key, frozen.token

    def good_for_s(self) -> float:
        """Return for how long what `credentials` returned can be used: half of what is left, 300 s at most."""
        found = self._session.get_credentials()
        if not isinstance(found, botocore.credentials.RefreshableCredentials):
            return _STEPS_S[0] / 2
        return next((step / 2 for step in _STEPS_S if not found.refresh_needed(step)), 0)
