"""Generate the gRPC stubs from proto/ whenever the package is built or installed, editable installs included."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithStubs(build_py):
    """build_py, after protoc."""

    def run(self) -> None:
        from grpc_tools import protoc

        stubs = ROOT / "perfkit" / "_proto"
        stubs.mkdir(exist_ok=True)
        (stubs / "__init__.py").write_text('"""Generated from proto/ by the build; never edited."""\n')
        # The virtual path perfkit/_proto=proto makes protoc write package-absolute imports.
        arguments = [
            "protoc",
            f"-Iperfkit/_proto={ROOT / 'proto'}",
            f"--python_out={ROOT}",
            f"--pyi_out={ROOT}",
            f"--grpc_python_out={ROOT}",
            "perfkit/_proto/counter.proto",
        ]
        if protoc.main(arguments) != 0:
            raise SystemExit("protoc failed on proto/counter.proto; its message is above")
        super().run()


setup(cmdclass={"build_py": BuildWithStubs})
