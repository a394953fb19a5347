"""Read back what this project wrote: a record whose file, object or message others may have changed since."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from contracts.model.strict_json import LARGEST_EXACT_INTEGER, Limits, MalformedPayload, parse_payload
from contracts.model.violation import pointer, show

TEXT: Final = {"type": "string"}
COUNT: Final = {"type": "integer", "minimum": 0, "maximum": LARGEST_EXACT_INTEGER}
DIGEST: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def record_of(*, optional: Mapping[str, Any] | None = None, **required: Mapping[str, Any]) -> dict[str, Any]:
    """Build the schema of an object with these keys; others are ignored, a later version may add some."""
    return {"type": "object", "properties": required | dict(optional or {}), "required": list(required)}


class InvalidRecord(ValueError):
    """The bytes are not such a record; the message names the place, what was found and what is expected."""


class RecordSchema:
    """The JSON Schema of one kind of record, and how large and how deeply nested one may be."""

    def __init__(self, schema: dict[str, Any], limits: Limits) -> None:
        self._schema, self._limits = schema, limits

    @cached_property
    def _validator(self) -> Any:
        import jsonschema_rs  # noqa: PLC0415 - 38 ms that few commands need

        return jsonschema_rs.Draft202012Validator(self._schema)

    def read(self, raw: bytes) -> dict[str, Any]:
        """Parse a record strictly and check it.

        Raises:
            InvalidRecord: it is not strict JSON, or breaks the schema.
        """
        try:
            record: dict[str, Any] = parse_payload(raw, self._limits)
        except MalformedPayload as error:
            raise InvalidRecord(str(error)) from None
        self.require(record)
        return record

    def require(self, record: object) -> None:
        """Check a record that was parsed strictly.

        Raises:
            InvalidRecord: it breaks the schema.
        """
        if not self._validator.is_valid(record):
            raise InvalidRecord(_problem(next(iter(self._validator.iter_errors(record)))))


def _problem(error: Any) -> str:
    keyword, at = error.kind.name, pointer(*error.instance_path)
    if keyword == "required":
        return f"{at}/{error.kind.property} is missing"
    expected = ", ".join(map(str, error.kind.value)) if isinstance(error.kind.value, list) else error.kind.value
    return f"{at or 'the record'}: found {show(error.instance)}, expected {keyword} {expected}"
