"""Copies the licences of what is in a component in Python into a folder, run by the Python that has
componentize-py: the interpreter's own, and those that componentize-py brings."""

import importlib.metadata
import pathlib
import sys
import sysconfig

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
tool = importlib.metadata.distribution("componentize-py")
for file in tool.files or []:
    if "licenses" in file.parts or file.name.upper().startswith(("LICENSE", "COPYING")):
        text = pathlib.Path(tool.locate_file(file)).read_text(encoding="utf-8", errors="replace")
        (out / f"componentize-py-{tool.version}--{file.name}").write_text(text, encoding="utf-8")
own = pathlib.Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
text = "CPython is under the PSF License Agreement, https://docs.python.org/3/license.html\n"
if own.is_file():
    text = own.read_text(encoding="utf-8", errors="replace")
(out / "cpython--LICENSE").write_text(text, encoding="utf-8")
