"""Where the messages of a method are described: in proto files, by protoc, or in the server, by reflection."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from perfkit.errors import PlanError, ServerError
from perfkit.service.call import Call, proto_files


def compiled(call: Call) -> bytes:
    """Return the descriptors of the proto files of a call, as a serialized FileDescriptorSet; a PlanError says why not.

    Imports are looked for beside the file, or in the folder that was named.
    """
    paths = proto_files(call.proto)
    home = Path(call.proto) if Path(call.proto).is_dir() else Path(call.proto).parent
    with tempfile.TemporaryDirectory(prefix="perfkit-") as folder:
        out = Path(folder, "descriptors")
        told = subprocess.run(
            [
                sys.executable, "-m", "grpc_tools.protoc", f"-I{home}", f"-I{files('grpc_tools') / '_proto'}",
                "--include_imports", f"--descriptor_set_out={out}", *map(str, paths),
            ],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if told.returncode != 0:
            lines = [line for line in told.stderr.splitlines() if "warning" not in line.lower()]
            raise PlanError(f"proto={call.proto} does not parse: {'; '.join(lines[:3])}")
        return out.read_bytes()


def reflected(call: Call, channel: grpc.Channel, server: str) -> bytes:
    """Return what a server says of the service of a call, likewise; a PlanError or ServerError says why not."""
    database = ProtoReflectionDescriptorDatabase(channel)
    try:
        services = set(database.get_services())
        if call.service not in services:
            known = ", ".join(sorted(one for one in services if not one.startswith("grpc."))) or "none"
            raise PlanError(f"call={call.method}: server {server} has no service {call.service}; it has {known}")
        ordered = dict(_with_imports(database, database.FindFileContainingSymbol(call.service)))
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNIMPLEMENTED:
            raise PlanError(
                f"server {server} has no reflection, so {call.method} is not known; name its proto file with proto="
            ) from error
        raise ServerError(f"server {server} did not describe {call.service} ({error.code().name})") from error
    except KeyError as error:
        raise ServerError(f"server {server} did not describe {call.service} by reflection ({error})") from error
    return FileDescriptorSet(file=ordered.values()).SerializeToString()


def _with_imports(
    database: ProtoReflectionDescriptorDatabase, file: FileDescriptorProto
) -> Iterator[tuple[str, FileDescriptorProto]]:
    """Give (name, file) of all that a file imports, and of itself last; some more than once."""
    for name in file.dependency:
        yield from _with_imports(database, database.FindFileByName(name))
    yield file.name, file
