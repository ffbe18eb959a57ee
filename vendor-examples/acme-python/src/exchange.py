"""One question to one meter, and its answer. The only file that touches the line. Not here: what is
asked."""

import halo
import polymeter
from componentize_py_types import Err
from wit_world.imports import line

LINE_BYTES = 128  # the longest line that a meter sends, with room for noise before it

# The protocol's table of errors; the same stands in driver.toml for people.
MEANINGS = {
    "01": ("wrong checksum", polymeter.REFUSED_OTHER),
    "02": ("unknown command", polymeter.REFUSED_NO_SUCH_FUNCTION),
    "03": ("wrong MAC", polymeter.REFUSED_WRONG_MAC),
    "04": ("the count is not the last one plus 1", polymeter.REFUSED_WRONG_COUNT),
    "05": ("over the limit", polymeter.REFUSED_OVER_LIMIT),
    "06": ("wrong customer", polymeter.REFUSED_WRONG_CUSTOMER),
    "07": ("bad value", polymeter.REFUSED_BAD_VALUE),
    "08": ("no account is opened", polymeter.REFUSED_OTHER),
}
UNNAMED = ("an error that the protocol does not name", polymeter.REFUSED_OTHER)


class No(Exception):
    """The meter understood and says no; `code` is the two digits of its error."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code

    def error(self):
        """As the error of a call that asks for nothing but data."""
        detail = f"the meter refuses: {MEANINGS.get(self.code, UNNAMED)[0]}"
        return polymeter.error(polymeter.DEVICE_SAYS_NO, detail, self.code)

    def refusal(self):
        """As the outcome of an act."""
        words, code = MEANINGS.get(self.code, UNNAMED)
        return polymeter.refusal(code, words, self.code)


def address_of(call):
    """The address that a call is about, if it is one."""
    if not halo.is_address(call.address):
        detail = f"the address `{call.address}` is not 6 digits"
        raise polymeter.error(polymeter.BAD_PARAMETER, detail)
    return call.address


def ask(address, letter, data=""):
    """Sends once and waits for the line that answers; returns the data behind the letter. An answer
    is that of the meter asked, to the question asked: `No` is its no, anything else is `Err`."""
    try:
        line.send(halo.encode(address, letter, data))
    except Err as refused:
        raise _line_error(refused.value) from None
    frame = halo.decode(_listen())
    if frame is None:
        raise polymeter.error(polymeter.GARBLED, "an answer with a wrong checksum")
    if frame.address != address:
        detail = f"asked {address}, but {frame.address} answered"
        raise polymeter.error(polymeter.OTHER_DEVICE, detail)
    if frame.letter == "e":
        raise No(frame.data)
    if frame.letter != letter.lower():
        detail = f"asked {letter}, but the answer is to {frame.letter}"
        raise polymeter.error(polymeter.OTHER_DEVICE, detail)
    return frame.data


def question(address, letter):
    """The same for what changes nothing: the meter's no is an error too."""
    try:
        return ask(address, letter)
    except No as no:
        raise no.error() from None


def _listen():
    """All bytes up to the first line's end. A second copy of the answer may stand behind it."""
    heard = b""
    while b"\n" not in heard:
        try:
            more = line.receive(1)
        except Err as silence:
            if not heard:
                raise _line_error(silence.value) from None
            more = b""
        if not more or len(heard) >= LINE_BYTES:
            raise polymeter.error(polymeter.GARBLED, "half an answer")
        heard += more
    return heard[: heard.index(b"\n") + 1]


def _line_error(said):
    """The line's own words stay; its silence is the meter's."""
    silent = said.code == polymeter.LINE_SILENT
    return polymeter.error(polymeter.NO_REPLY if silent else polymeter.LINE, said.detail)
