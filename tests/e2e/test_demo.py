"""`make demo` is the first thing that a newcomer runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from archiver.dev_servers import NatsServer, S3Server
from tests.e2e import demo
from tests.support.servers import require_binary


def test_the_demo_archives_everything_says_so_last_and_leaves_no_server() -> None:
    for server in (NatsServer, S3Server):
        require_binary(server.binary)

    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.demo"], cwd=demo.CHECKOUT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    count = len(demo.RUNS)
    assert done.stdout.splitlines()[-1] == f"archived {count} of {count}, 1 dead-lettered, 0 lost"
    pids = re.findall(r"\bpid (\d+)", done.stdout)
    assert len(pids) == 2
    assert [pid for pid in pids if Path("/proc", pid).exists()] == []
