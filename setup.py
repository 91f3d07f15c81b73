"""Generate the gRPC stubs from proto/ whenever the package is built or installed, and give a wheel what it needs."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent

FILES = ("notebooks/*.ipynb", "k6/*.js", "proto/*.proto", "data/published/*", "data/example/**/*.json*")
"""What an installed perfkit has beside its code: as in the checkout, below perfkit/_files."""


class BuildWithFiles(build_py):
    """build_py, after protoc; a wheel gets FILES too."""

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
        if "perfkit._proto" not in self.packages:  # in a fresh clone it was not there yet when packages were looked for
            self.packages.append("perfkit._proto")
        super().run()
        if not self.editable_mode:
            for path in (path for pattern in FILES for path in ROOT.glob(pattern) if path.is_file()):
                copy = Path(self.build_lib, "perfkit", "_files", path.relative_to(ROOT))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, copy)


setup(cmdclass={"build_py": BuildWithFiles})
