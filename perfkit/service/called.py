"""A method that is known: its requests fit, its replies can be read. What load generators and servers' probes need."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.message import DecodeError, Message

from perfkit.errors import PlanError
from perfkit.service.call import Call, read_metadata


@dataclass(frozen=True)
class Called:
    """All that is needed to call a method, on any host."""

    call: Call
    descriptors: bytes
    """a serialized FileDescriptorSet; empty: not known yet"""
    requests: tuple[str, ...]
    """as JSON"""
    metadata: dict[str, str]
    seed: int = 0
    """of those drawn at random"""

    @cached_property
    def _method(self) -> MethodDescriptor:
        pool, files = descriptor_pool.DescriptorPool(), FileDescriptorSet.FromString(self.descriptors).file
        for file in files:
            pool.AddSerializedFile(file.SerializeToString())
        service_name, _, name = self.call.method.partition("/")
        try:
            service = pool.FindServiceByName(service_name)
        except KeyError as error:
            known = ", ".join(f"{file.package}.{one.name}".lstrip(".") for file in files for one in file.service)
            raise PlanError(
                f"call={self.call.method}: there is no service {service_name}; there is {known or 'none'}"
            ) from error
        found = service.methods_by_name.get(name)
        if found is None:
            raise PlanError(
                f"call={self.call.method}: service {service_name} has no method {name}; it has "
                f"{', '.join(service.methods_by_name)}"
            )
        if found.client_streaming or found.server_streaming:
            raise PlanError(f"call={self.call.method} is a streaming method; perfkit measures unary ones, so name one")
        return found

    def refuse_misfits(self) -> None:
        """Raise a PlanError where there is no such unary method, a request is none of it, or no reply has a field."""
        for number in range(len(self.requests)):
            self._message(number)
        for name in self.call.expect:
            self._json_path(name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be found again, for other hosts."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def encoded(self, number: int = 0) -> bytes:
        """Return a request as it goes over the wire."""
        return bytes(self._message(number).SerializeToString())

    def _message(self, number: int) -> Message:
        kind = self._method.input_type
        message: Message = message_factory.GetMessageClass(kind)()
        try:
            json_format.Parse(self.requests[number], message)
        except json_format.ParseError as error:
            raise PlanError(
                f"request {self.requests[number][:80]} is no {kind.full_name}: {' '.join(str(error).split())}; its "
                f"fields are {', '.join(field.name for field in kind.fields) or 'none'}"
            ) from error
        return message

    def missing(self, reply: bytes) -> str:
        """Return the first field that a reply must have and does not; empty: it is good."""
        message: Message = message_factory.GetMessageClass(self._method.output_type)()
        try:
            message.ParseFromString(reply)
        except DecodeError:
            return f"all: it is no {self._method.output_type.full_name}"
        told: dict[str, Any] = json_format.MessageToDict(message)  # those with their default are left out
        for name in self.call.expect:
            value: Any = told
            for part in self._json_path(name):
                value = value.get(part) if isinstance(value, dict) else None
            if value in (None, "", 0, False, [], {}):
                return name
        return ""

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What k6/own.js is told in a file; made once: requests may be many, and each trial has several k6."""
        return {
            "method": self.call.method,
            # As protobuf writes JSON, where 64-bit numbers are text: JavaScript would round them.
            "requests": [json_format.MessageToDict(self._message(number)) for number in range(len(self.requests))],
            "seed": self.seed if self.call.at_random else None,
            "metadata": self.metadata,
            "expect": [self._json_path(name) for name in self.call.expect],
        }

    def _json_path(self, name: str) -> list[str]:
        """Return a field's path by the names that JSON has."""
        kind: Descriptor | None = self._method.output_type
        path = []
        for part in name.split("."):
            named = {alias: one for one in (kind.fields if kind else ()) for alias in (one.name, one.json_name)}
            if part not in named:
                raise PlanError(
                    f"expect={name}: {kind.full_name if kind else 'what is no message'} has no field {part}; it has "
                    f"{', '.join(one.name for one in kind.fields) if kind else 'none'}"
                )
            path.append(named[part].json_name)
            kind = named[part].message_type
        return path


def called(call: Call, descriptors: bytes, seed: int) -> Called:
    """Return a method with all that its calls need; a PlanError where they don't fit it.

    `descriptors` are empty where the server is still to be asked for them.
    """
    one = Called(call, descriptors, call.requests(), read_metadata(call.metadata), seed)
    if descriptors:
        one.refuse_misfits()
    return one
