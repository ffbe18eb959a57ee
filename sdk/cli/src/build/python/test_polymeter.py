"""polymeter.py outside a component: an exception that nobody caught is logged without opening a file,
because in a component opening one is a trap. Run by the tests of python.rs."""

import builtins
import sys
import types


class Err(Exception):
    def __init__(self, value):
        super().__init__(value)
        self.value = value


def module(name, **content):
    made = types.ModuleType(name)
    vars(made).update(content)
    sys.modules[name] = made
    return made


LINES = []
record = lambda *values: values  # noqa: E731
names = ("Decimal", "DriverError", "Measurement", "Refusal", "Value_Number", "Value_Text")
module("componentize_py_types", Err=Err)
log = types.SimpleNamespace(
    write=lambda level, line: LINES.append(line), Level=types.SimpleNamespace(ERROR=4)
)
module("wit_world")
module("wit_world.imports", log=log)
module("wit_world.imports.types", **dict.fromkeys(names, record))

import polymeter  # noqa: E402


@polymeter.exported
class Meter:
    def read(self):
        return [][3]

    def probe(self):
        raise polymeter.error(polymeter.GARBLED, "not a bug")


def no_file(*_arguments, **_named):
    raise AssertionError("a file was opened")


builtins.open = no_file
import tokenize  # noqa: E402

tokenize.open = no_file
for verb, expected in (("read", IndexError), ("probe", Err)):
    try:
        getattr(Meter(), verb)()
    except expected:
        continue
    raise SystemExit(f"{verb} raised nothing")
wanted = "IndexError: list index out of range, test_polymeter.py:"
if len(LINES) != 1 or not LINES[0].startswith(wanted) or not LINES[0].endswith(" in read"):
    raise SystemExit(f"logged: {LINES}")
