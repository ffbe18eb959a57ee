//! What each hostile driver does when it is called, and what must come of it. The drivers themselves are
//! one source, `tests/conformance/hostile`; not here: how it is played and what else is checked (calls).

/// What is asked of the driver, and what must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The reading fails, and the program's log says this.
    Read(&'static str),
    /// The reading succeeds nevertheless, and it or the log says this.
    ReadAnyway(&'static str),
    /// The sale ends in this state, and its history or the log says this.
    Sell(&'static str, &'static str),
}

#[derive(Debug)]
pub struct Case {
    pub act: &'static str,
    pub does: &'static str,
    pub ends: &'static str,
    pub asked: Asked,
}

impl Case {
    /// The address that orders it from `tests/conformance/hostile`.
    pub fn address(&self) -> String {
        match self.asked {
            Asked::Sell(..) => {
                format!("sell:{}", self.act.strip_prefix("sell-").unwrap_or(self.act))
            }
            _ => format!("read:{}", self.act),
        }
    }
}

const fn case(act: &'static str, does: &'static str, ends: &'static str, asked: Asked) -> Case {
    Case { act, does, ends, asked }
}

const CPU: &str = "the call ends by the limit cpu-ticks";
const UNRESOLVED: &str = "the sale is unresolved, nothing is posted";
const RESERVED: &str = "no byte left: the sale stays reserved, nothing is posted";

/// Acts of which more is checked than what is said.
pub const OTHER_REGION: &str = "other-regions-key";
pub const OTHER_ADDRESS: &str = "other-address";
pub const SEND_AT_ONCE: &str = "send-at-once";

pub const CASES: &[Case] = &[
    case("loop", "computes for ever", CPU, Asked::Read("limit cpu-ticks is spent")),
    case("recursion", "calls itself for ever", "the call ends in a trap", Asked::Read("trapped")),
    case("panic", "panics in a reading", "the call ends in a trap", Asked::Read("trapped")),
    case(
        "memory",
        "takes all memory",
        "the call ends by the limit memory-bytes",
        Asked::Read("limit memory-bytes is spent"),
    ),
    case(
        "16-mib",
        "returns a text of 16 MiB",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "100000-records",
        "returns 100 000 records",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "wrong-register",
        "returns a register that is none",
        "the reading is refused, with what was returned",
        Asked::Read("as a register no code"),
    ),
    case(
        "huge-numbers",
        "returns numbers of a scale that nothing has",
        "they are shown as what they are, to the last digit",
        Asked::ReadAnyway("\"-9223372036854775808e127\""),
    ),
    case(
        "not-utf-8",
        "returns a text that is not UTF-8",
        "the call ends in a trap",
        Asked::Read("trapped: invalid utf-8"),
    ),
    case(
        "wrong-length",
        "returns a value of 5 000 bytes",
        "the reading is refused, with what was returned",
        Asked::Read("5000 bytes as one value, more than 4096"),
    ),
    case(
        "impossible-time",
        "returns the 99th day of a 99th month",
        "that value is marked invalid, the others stand",
        Asked::ReadAnyway("\"quality\":\"invalid\""),
    ),
    case(
        "log-flood",
        "writes 100 000 lines into the log",
        "the first hundred are kept, the others counted",
        Asked::ReadAnyway("log-lines"),
    ),
    case(
        "log-escapes",
        "writes ANSI escapes and forged lines into the log",
        "they are escaped; the log stays one line",
        Asked::ReadAnyway("the meter was paid"),
    ),
    case(
        "log-3-mb",
        "writes ten lines of 3 MB into the log",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "log-not-utf-8",
        "writes a log line that is not UTF-8",
        "the call ends in a trap",
        Asked::Read("trapped: invalid utf-8"),
    ),
    case(
        "mac-3-mb",
        "asks ten times for the MAC of 3 MB",
        "the call ends by the limit result-bytes",
        Asked::Read("limit result-bytes is spent"),
    ),
    case(
        "send-gigabytes",
        "sends large frames for ever",
        "the call ends by the limit line-bytes",
        Asked::Read("limit line-bytes is spent"),
    ),
    case(
        "send-for-ever",
        "sends small frames for ever",
        "the call ends by the limit exchanges",
        Asked::Read("limit exchanges is spent"),
    ),
    case(
        SEND_AT_ONCE,
        "sends 512 KiB in one frame",
        "the call ends by the limit line-bytes before a byte leaves",
        Asked::Read("limit line-bytes is spent"),
    ),
    case(
        "hold-the-line",
        "listens for ever",
        "the call ends by the limit wall-ms, the line is free again",
        Asked::Read("limit wall-ms is spent"),
    ),
    case(
        "suspended",
        "waits for an answer that comes byte by byte, for ever",
        "the call ends by the limit wall-ms, the line is free again",
        Asked::Read("limit wall-ms is spent"),
    ),
    case(
        OTHER_ADDRESS,
        "sends a frame for another meter's address",
        "it leaves on its own meter's line and on no other",
        Asked::ReadAnyway("230.1"),
    ),
    case("import-storm", "calls an import for ever", CPU, Asked::Read("limit cpu-ticks is spent")),
    case(
        "random-storm",
        "asks for random bytes for ever",
        "the call ends by the limit vault-requests",
        Asked::Read("limit vault-requests is spent"),
    ),
    case(
        "other-vendors-key",
        "asks for a MAC under another vendor's key",
        "the vault has no such key for it",
        Asked::Read("no key"),
    ),
    case(
        OTHER_REGION,
        "asks for a MAC under its own vendor's key of another region",
        "the vault has no such key for it",
        Asked::Read("no key"),
    ),
    case(
        "claim-without-sending",
        "claims a sale without sending a byte",
        RESERVED,
        Asked::Sell("reserved", "no byte left the host"),
    ),
    case(
        "refuse-without-sending",
        "reports a refusal without asking the meter",
        RESERVED,
        Asked::Sell("reserved", "no byte left the host"),
    ),
    case(
        "never-receive",
        "sends a frame, never listens, claims success",
        UNRESOLVED,
        Asked::Sell("unresolved", "nothing came back on the line"),
    ),
    case(
        "sell-panic",
        "panics in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "trapped"),
    ),
    case(
        "sell-loop",
        "computes for ever in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "limit cpu-ticks is spent"),
    ),
    case(
        "sell-memory",
        "takes all memory in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "limit memory-bytes is spent"),
    ),
    case(
        "sell-hold-the-line",
        "listens for ever in the middle of a sale",
        UNRESOLVED,
        Asked::Sell("unresolved", "limit wall-ms is spent"),
    ),
    case(
        "lie-about-the-count",
        "confirms another purchase count than was asked",
        UNRESOLVED,
        Asked::Sell("unresolved", "the device confirmed purchase 2"),
    ),
    case(
        "impossible-balance",
        "confirms with a balance in a unit that is none",
        UNRESOLVED,
        Asked::Sell("unresolved", "a credit of quantity 77"),
    ),
    case(
        "error-after-sending",
        "says that nothing was sent after a frame has left",
        UNRESOLVED,
        Asked::Sell("unresolved", "outcome unknown"),
    ),
];
