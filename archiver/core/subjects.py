"""Several archivers on one NATS: a prefix before every subject, and in the names of the streams that hold them.

With the prefix `staging.` an archiver listens to `staging.kaizen.schedule.prepared`, in the stream
STAGING_KAIZEN_SCHEDULE. The events themselves still have `kaizen.schedule.prepared`: no contract knows the prefix.
"""

from __future__ import annotations

from typing import Final

PREPARED: Final = "kaizen.schedule.prepared"
SCHEDULE: Final = "kaizen.schedule.>"
SCHEDULE_STREAM: Final = "KAIZEN_SCHEDULE"
DEAD_LETTER_STREAM: Final = "KAIZEN_ARCHIVE_DLQ"


def stream_name(name: str, prefix: str) -> str:
    """Name a stream by the prefix of its subjects, which is '' or ends with a dot: no two prefixes share a stream."""
    return prefix.upper().replace(".", "_") + name
