"""Small programs in Python, as command templates."""

from __future__ import annotations

import shlex
import sys


def python(code: str, *arguments: str) -> str:
    """A template that runs `code`; its braces are doubled, those of `arguments` are placeholders."""
    words = [shlex.quote(sys.executable), "-c", shlex.quote(code).replace("{", "{{").replace("}", "}}")]
    return " ".join([*words, *arguments])
