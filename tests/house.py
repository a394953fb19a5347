"""What the house rules are held against: every source, and what may know what."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for top in ("contracts", "archiver") for path in ROOT.glob(f"{top}/**/*.py")
)
EVERYTHING = [*SOURCES, *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py"))]

# Driver -> the only places that may know it.
ONLY_IN = {
    "boto3": ("archiver/adapters/s3_client.py",),
    "botocore": ("archiver/adapters/s3_client.py", "archiver/adapters/s3_control.py"),
    "httptools": ("archiver/adapters/http1.py",),
    "obstore": ("archiver/adapters/obstore_s3.py",),
    "backports": ("archiver/compression.py",),
    "nats": (
        "contracts/nats_client.py",
        "contracts/nats_connection.py",
        "contracts/object_store.py",
        "contracts/observe/nats_subject.py",
        "contracts/replay/archived.py",
        "contracts/replay/bus.py",
        "contracts/replay/core_nats.py",
        "contracts/replay/jetstream.py",
        "contracts/replay/look.py",
        "contracts/replay/stream_lookup.py",
        "archiver/adapters/dead_letters.py",
        "archiver/adapters/jetstream.py",
        "archiver/adapters/jetstream_setup.py",
        "archiver/adapters/object_store.py",
    ),
    "click": ("contracts/cli/", "archiver/cli/"),
    "rich": ("contracts/cli/table.py",),
    "jsonschema_rs": ("contracts/check.py",),
    "detect_secrets": ("contracts/secrets.py",),
    "rfc8785": ("contracts/identity.py",),
    "urllib3": ("contracts/replay/webhook.py",),
    "schemathesis": ("contracts/observe/http_endpoint.py",),
    "pydantic": ("archiver/settings.py",),
    "sqlite3": ("archiver/scratch.py",),
    "pydantic_settings": ("archiver/settings.py",),
    "subprocess": ("contracts/emitters/", "contracts/child_process.py"),
}
# Where -> what lies above or beside it, and may not be imported there.
MAY_NOT_IMPORT = {
    "contracts/": ("archiver",),
    "archiver/core/": tuple(
        f"archiver.{name}"
        for name in ("ports", "archive", "pipeline", "reading", "consume", "adapters", "cli", "wiring", "settings")
    ),
    "archiver/ports.py": (
        "archiver.archive",
        "archiver.pipeline",
        "archiver.adapters",
        "archiver.cli",
        "archiver.wiring",
    ),
    "archiver/adapters/": (
        "archiver.archive",
        "archiver.pipeline",
        "archiver.consume",
        "archiver.cli",
        "archiver.wiring",
    ),
    "archiver/archive.py": ("archiver.pipeline", "archiver.adapters", "archiver.cli", "archiver.wiring"),
    "archiver/pipeline.py": ("archiver.adapters", "archiver.cli", "archiver.consume", "archiver.wiring"),
    **{
        f"archiver/{name}.py": ("archiver.adapters", "archiver.cli", "archiver.consume", "archiver.wiring")
        for name in ("repair", "sweep", "verification")
    },
    "archiver/consume.py": ("archiver.pipeline", "archiver.adapters", "archiver.cli", "archiver.wiring"),
}
# No I/O, no clock, no environment, no random source.
PURE = [
    *(path for path in SOURCES if path.startswith("archiver/core/")),
    *(
        f"contracts/{name}.py"
        for name in (
            "commands",
            "event",
            "findings",
            "identity",
            "lines",
            "policy",
            "replay/capture",
            "replay/rewrite",
            "replay/shape",
            "rules",
            "schema_rules",
            "secrets",
            "strict_json",
            "suggestion",
            "timestamps",
            "violation",
            "waivers",
        )
    ),
]
IMPURE_MODULES = {
    "os",
    "io",
    "socket",
    "random",
    "time",
    "subprocess",
    "tempfile",
    "asyncio",
    "logging",
    "shutil",
    "sys",
    "threading",
}
IMPURE_CALLS = {
    "open",
    "print",
    "input",
    "now",
    "utcnow",
    "today",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "uuid4",
    "getenv",
}
