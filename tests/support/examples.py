"""Examples in the documentation, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


def run_examples(page: str, section: str, **given: Any) -> dict[str, Any]:
    """Run the Python blocks of one `## section` of a page, one after the other, and return their names."""
    text = (ROOT / page).read_text("utf-8")
    found = re.search(rf"^## {section}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"{page} has no section {section!r}"
    blocks = re.findall(r"^```python\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL)
    assert blocks, f"{page} has no examples in {section!r}"
    for block in blocks:
        exec(compile(block, page, "exec"), given)
    return given
