/* exchange.c: see exchange.h. The only file that touches the line. */
#include "exchange.h"

#include <ctype.h>
#include <string.h>

enum { LINE_BYTES = 128 }; /* the longest line that a meter sends, with room for noise before it */

bool address_of(const pm_call *call, char out[HALO_ADDRESS + 1], pm_error *error) {
    const char *text = (const char *)call->address.ptr;
    if (call->address.len != HALO_ADDRESS || !halo_is_digits(text, HALO_ADDRESS))
        return pm_fail(error, PM_BAD_PARAMETER, "the address `%.*s` is not 6 digits",
                       (int)call->address.len, text);
    memcpy(out, text, HALO_ADDRESS);
    out[HALO_ADDRESS] = '\0';
    return true;
}

/* The line's own words stay; its silence is the meter's. */
static bool line_failed(const polymeter_driver_line_line_error_t *said, pm_error *error) {
    memset(error, 0, sizeof *error);
    error->code = said->code == PM_LINE_SILENT ? PM_NO_REPLY : PM_LINE;
    error->detail = said->detail;
    return false;
}

/* All bytes up to the first line's end. A second copy of the answer may stand behind it. */
static bool listen(uint8_t line[LINE_BYTES], size_t *end, pm_error *error) {
    size_t length = 0;
    for (;;) {
        pm_bytes more;
        polymeter_driver_line_line_error_t said;
        if (!polymeter_driver_line_receive(1, &more, &said)) {
            if (length == 0) return line_failed(&said, error);
            polymeter_driver_line_line_error_free(&said);
            return pm_fail(error, PM_GARBLED, "half an answer");
        }
        size_t room = LINE_BYTES - length, kept = more.len < room ? more.len : room;
        memcpy(line + length, more.ptr, kept);
        meter_driver_list_u8_free(&more);
        const uint8_t *found = memchr(line + length, '\n', kept);
        length += kept;
        if (found != NULL) {
            *end = (size_t)(found - line) + 1;
            return true;
        }
        if (room == 0) return pm_fail(error, PM_GARBLED, "half an answer");
    }
}

bool ask(const char *address, char letter, const char *data, struct answer *out, pm_error *error) {
    uint8_t bytes[HALO_FRAME], line[LINE_BYTES];
    size_t end;
    struct halo_frame frame;
    polymeter_driver_line_line_error_t said;
    pm_bytes question = {bytes, halo_write(bytes, address, letter, data)};
    if (question.len == 0) return pm_fail(error, PM_BAD_PARAMETER, "too much for one frame");
    if (!polymeter_driver_line_send(&question, &said)) return line_failed(&said, error);
    if (!listen(line, &end, error)) return false;
    if (!halo_parse(line, end, &frame))
        return pm_fail(error, PM_GARBLED, "an answer with a wrong checksum");
    if (strcmp(frame.address, address) != 0)
        return pm_fail(error, PM_OTHER_DEVICE, "asked %s, but %s answered", address,
                       frame.address);
    if (frame.letter != 'e' && frame.letter != tolower(letter))
        return pm_fail(error, PM_OTHER_DEVICE, "asked %c, but the answer is to %c", letter,
                       frame.letter);
    out->yes = frame.letter != 'e';
    memcpy(out->data, frame.data, sizeof out->data);
    return true;
}

/* The protocol's table of errors; the same stands in driver.toml for people. */
static const struct meaning {
    const char *code, *words;
    uint16_t refusal;
} MEANINGS[] = {
    {"01", "wrong checksum", PM_REFUSED_OTHER},
    {"02", "unknown command", PM_REFUSED_NO_SUCH_FUNCTION},
    {"03", "wrong MAC", PM_REFUSED_WRONG_MAC},
    {"04", "the count is not the last one plus 1", PM_REFUSED_WRONG_COUNT},
    {"05", "over the limit", PM_REFUSED_OVER_LIMIT},
    {"06", "wrong customer", PM_REFUSED_WRONG_CUSTOMER},
    {"07", "bad value", PM_REFUSED_BAD_VALUE},
    {"08", "no account is opened", PM_REFUSED_OTHER},
};

static struct meaning meaning(const char *code) {
    for (size_t at = 0; at < sizeof MEANINGS / sizeof *MEANINGS; at++)
        if (strcmp(MEANINGS[at].code, code) == 0) return MEANINGS[at];
    return (struct meaning){code, "an error that the protocol does not name", PM_REFUSED_OTHER};
}

bool no_data(const struct answer *no, pm_error *error) {
    pm_fail(error, PM_DEVICE_SAYS_NO, "the meter refuses: %s", meaning(no->data).words);
    error->device_code.is_some = true;
    pm_set(&error->device_code.val, no->data);
    return false;
}

void refused(const struct answer *no, pm_refusal *out) {
    struct meaning found = meaning(no->data);
    pm_refuse(out, found.refusal, found.code, found.words);
}
