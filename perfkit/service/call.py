"""What is called of a server that is no counter, as a user writes it."""

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfkit.errors import PlanError

FROM_ENVIRONMENT = "env:"

EXAMPLE = 'as in \'{"name": "x"}\''


@dataclass(frozen=True, slots=True)
class Call:
    """A unary method, and the requests that it gets; paths are absolute."""

    method: str
    """package.Service/Method"""
    proto: str = ""
    """file or folder; empty: the server is asked by reflection"""
    request: str = "{}"
    """JSON, or a file with one JSON request a line"""
    at_random: bool = False
    """whether requests are drawn by the seed, instead of taken in turn"""
    metadata: str = ""
    """of each call: a file of JSON, or env:NAME of a variable that holds it; empty: none"""
    expect: tuple[str, ...] = ()
    """fields that must be set in each reply; with dots between for those of messages in it"""
    digest: str = ""
    """of what the files of requests and of the proto hold"""

    def __str__(self) -> str:
        return f"{self.method} (requests and proto {self.digest})"

    @property
    def service(self) -> str:
        """The service's full name."""
        return self.method.partition("/")[0]

    def requests(self) -> tuple[str, ...]:
        """Return the requests as JSON; a PlanError where a line is none."""
        if self.request.lstrip().startswith("{"):
            return (_json(self.request, "request="),)
        try:
            lines = Path(self.request).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise PlanError(
                f"request={self.request!r} can't be read ({error}); write a request as JSON, {EXAMPLE}, or name a file "
                "with one a line"
            ) from error
        found = tuple(_json(line, f"{self.request}, line {number}:") for number, line in enumerate(lines, 1) if line)
        if not found:
            raise PlanError(f"request={self.request} holds no request; write one as JSON in each line")
        return found


def asked(
    call: str,
    proto: str = "",
    request: str = "",
    random_requests: bool = False,
    metadata: str = "",
    expect: str = "",
) -> Call | None:
    """Return what is called, as these parameters have it; None: the counter. A PlanError where they make no sense."""
    others = {"proto": proto, "request": request, "random_requests": random_requests, "metadata": metadata,
              "expect": expect}  # fmt: skip
    if not call:
        if given := [name for name, value in others.items() if value]:
            raise PlanError(f"{given[0]}={others[given[0]]} is of a method of your own; name it with call=, too")
        return None
    if not re.fullmatch(r"/?[\w.]+[/.]\w+", call):
        raise PlanError(f"call={call!r} names no method; write package.Service/Method")
    method = call.removeprefix("/")
    if "/" not in method:
        method = "/".join(method.rpartition(".")[::2])
    request = request or "{}"
    is_text = request.lstrip().startswith("{")
    one = Call(
        method,
        _absolute(proto),
        request if is_text else _absolute(request),
        random_requests,
        metadata if metadata.startswith(FROM_ENVIRONMENT) else _absolute(metadata),
        tuple(name.strip() for name in expect.split(",") if name.strip()),
    )
    read_metadata(one.metadata)
    contents = ["\n".join(one.requests()), *(path.read_text() for path in proto_files(one.proto))]
    return replace(one, digest=hashlib.sha256("\0".join(contents).encode()).hexdigest()[:12])


def proto_files(proto: str) -> list[Path]:
    """Return the files of a proto, or of a folder of them; a PlanError where there are none."""
    if not proto:
        return []
    path = Path(proto)
    found = sorted(path.rglob("*.proto")) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise PlanError(
            f"proto={proto} is no file and no folder with .proto files; name one, or leave it out where the server has "
            "reflection"
        )
    return found


def read_metadata(metadata: str) -> dict[str, str]:
    """Return the metadata of each call: name → value; a PlanError where there is none to read."""
    if not metadata:
        return {}
    try:
        if metadata.startswith(FROM_ENVIRONMENT):
            text = os.environ[metadata.removeprefix(FROM_ENVIRONMENT)]
        else:
            text = Path(metadata).read_text()
        told = json.loads(text)
    except (OSError, KeyError, ValueError) as error:
        raise PlanError(f"metadata={metadata} can't be read ({type(error).__name__}: {error})") from error
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise PlanError(f'metadata={metadata} must be a JSON object of texts, as in {{"authorization": "…"}}')
    return {name.lower(): value for name, value in told.items()}


def stored(data: dict[str, Any] | None) -> Call | None:
    """Return the call that a file holds."""
    return Call(**{**data, "expect": tuple(data["expect"])}) if data else None


def _json(text: str, where: str) -> str:
    try:
        told = json.loads(text)
    except ValueError as error:
        raise PlanError(f"{where} {text[:80]!r} is no JSON ({error}); write it {EXAMPLE}") from error
    if not isinstance(told, dict):
        raise PlanError(f"{where} {text[:80]!r} is no JSON object; a request is one, {EXAMPLE}")
    return json.dumps(told)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve()) if path else ""
