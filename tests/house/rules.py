"""What the house rules are held against: every source, and what may know what."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = sorted(
    path.relative_to(ROOT).as_posix() for top in ("contracts", "archiver") for path in ROOT.glob(f"{top}/**/*.py")
)
EVERYTHING = [*SOURCES, *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py"))]

# Driver -> the only places that may know it.
ONLY_IN = {
    "boto3": ("archiver/stores/s3/boto3_client.py",),
    "botocore": ("archiver/stores/s3/boto3_client.py", "archiver/stores/s3/control.py"),
    "httptools": ("archiver/stores/s3/http1.py",),
    "obstore": ("archiver/stores/s3/obstore_s3.py",),
    "backports": ("archiver/stores/compression.py",),
    "nats": (
        "contracts/bus/client.py",
        "contracts/bus/connection.py",
        "contracts/bus/object_store.py",
        "contracts/observe/nats_subject.py",
        "contracts/replay/send/archived.py",
        "contracts/replay/events/nats_source.py",
        "contracts/replay/send/core_nats.py",
        "contracts/replay/send/jetstream.py",
        "contracts/replay/target/liveness.py",
        "contracts/replay/send/stream_lookup.py",
        "archiver/bus/dead_letters.py",
        "archiver/bus/jetstream.py",
        "archiver/bus/setup.py",
        "archiver/bundles/nats_object_store.py",
    ),
    "click": ("contracts/cli/", "archiver/cli/"),
    "rich": ("contracts/cli/tables.py",),
    "jsonschema_rs": ("contracts/check.py",),
    "detect_secrets": ("contracts/model/secrets.py",),
    "rfc8785": ("contracts/model/identity.py",),
    "urllib3": ("contracts/replay/send/webhook.py",),
    "schemathesis": ("contracts/observe/http_endpoint.py",),
    "pydantic": ("archiver/settings.py",),
    "sqlite3": ("archiver/maintenance/temp_tables.py",),
    "pydantic_settings": ("archiver/settings.py",),
    "subprocess": ("contracts/emitters/", "contracts/bus/child_process.py"),
}
# Where -> what lies above or beside it, and may not be imported there.
MAY_NOT_IMPORT = {
    "contracts/": ("archiver",),
    "archiver/core/": tuple(
        f"archiver.{name}"
        for name in ("ports", "archive", "pipeline", "reading", "consume", "adapters", "cli", "wiring", "settings")
    ),
    "archiver/ports.py": (
        "archiver.worker.archive",
        "archiver.worker.pipeline",
        "archiver.adapters",
        "archiver.cli",
        "archiver.wiring",
    ),
    "archiver/adapters/": (
        "archiver.worker.archive",
        "archiver.worker.pipeline",
        "archiver.worker.consumer",
        "archiver.cli",
        "archiver.wiring",
    ),
    "archiver/worker/archive.py": ("archiver.worker.pipeline", "archiver.adapters", "archiver.cli", "archiver.wiring"),
    "archiver/worker/pipeline.py": ("archiver.adapters", "archiver.cli", "archiver.worker.consumer", "archiver.wiring"),
    **{
        f"archiver/{name}.py": ("archiver.adapters", "archiver.cli", "archiver.worker.consumer", "archiver.wiring")
        for name in ("repair", "sweep", "verification")
    },
    "archiver/worker/consumer.py": ("archiver.worker.pipeline", "archiver.adapters", "archiver.cli", "archiver.wiring"),
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
