"""The user part of a URL: `scheme://user:password@host`."""

from __future__ import annotations

import re
from typing import Final

# `ssh://git@host` names an account that everybody knows; ssh takes no password from there.
URL_CREDENTIALS: Final = re.compile(
    r"(?<![A-Za-z0-9+.-])(?!(?i:git\+)?(?i:ssh)://[^\s/?#@:]+@)[A-Za-z0-9+.-]+://"
    # A placeholder: ***, <password>, ${PASSWORD}, {{ password }}, %PASSWORD%
    r"(?!(?:[^\s/?#@:]*:)?(?:\*{3}|<[^\s/?#@>]*>|\$\{?[A-Za-z_]\w*\}?|\{\{?[^\s/?#@}]*\}\}?|%[A-Za-z_]\w*%)@)"
    r"(?P<value>[^\s/?#@]+)@"
)
"""Matches the scheme and the user part, which is the group `value`; no placeholder is one."""
