/* polymeter.c: the helpers of polymeter.h. Knows no device. */
#include "polymeter.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_BYTES 256

static void set_formatted(pm_string *out, const char *format, va_list arguments) {
    char text[TEXT_BYTES];
    if (vsnprintf(text, sizeof text, format, arguments) < 0) text[0] = '\0';
    pm_set(out, text);
}

/* Bytes of the UTF-8 character that `text` begins with; 0 where it begins with none. */
static size_t character(const uint8_t *text) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = 0;
    if (text[0] < 0x80) length = 1;
    else if (text[0] >= 0xC2 && text[0] < 0xE0) length = 2;
    else if (text[0] >= 0xE0 && text[0] < 0xF0) length = 3;
    else if (text[0] >= 0xF0 && text[0] < 0xF5) length = 4;
    uint32_t value = length < 2 ? text[0] : text[0] & (0x7Fu >> length);
    for (size_t at = 1; at < length; at++) {
        if ((text[at] & 0xC0) != 0x80) return 0;
        value = value << 6 | (text[at] & 0x3Fu);
    }
    if (length > 1 && (value < least[length] || value > 0x10FFFF)) return 0;
    return value >= 0xD800 && value <= 0xDFFF ? 0 : length;
}

/* Text that is not UTF-8 would end the call with a trap, and a device may send anything: what is
 * no character becomes a question mark. */
void pm_set(pm_string *out, const char *text) {
    size_t length = strlen(text);
    out->ptr = length > 0 ? pm_list(length, 1) : NULL;
    out->len = length;
    for (size_t at = 0; at < length;) {
        size_t bytes = character((const uint8_t *)text + at);
        if (bytes == 0) out->ptr[at] = '?';
        else memcpy(out->ptr + at, text + at, bytes);
        at += bytes == 0 ? 1 : bytes;
    }
}

void pm_setf(pm_string *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set_formatted(out, format, arguments);
    va_end(arguments);
}

void *pm_list(size_t count, size_t size) {
    void *room = calloc(count, size);
    if (room == NULL) abort(); /* a trap: the host ends the call and says which limit bit */
    return room;
}

bool pm_fail(pm_error *out, uint16_t code, const char *format, ...) {
    va_list arguments;
    memset(out, 0, sizeof *out);
    out->code = code;
    va_start(arguments, format);
    set_formatted(&out->detail, format, arguments);
    va_end(arguments);
    return false;
}

void pm_refuse(pm_refusal *out, uint16_t code, const char *device_code, const char *detail) {
    memset(out, 0, sizeof *out);
    out->code = code;
    pm_set(&out->detail, detail);
    out->device_code.is_some = device_code != NULL;
    if (device_code != NULL) pm_set(&out->device_code.val, device_code);
}

void pm_add_number(pm_measurement *list, size_t *length, const char *obis, int64_t mantissa,
                   int8_t scale, uint16_t unit) {
    pm_measurement *added = &list[(*length)++];
    memset(added, 0, sizeof *added);
    pm_set(&added->register_, obis);
    added->value.tag = POLYMETER_DRIVER_TYPES_VALUE_NUMBER;
    added->value.val.number.mantissa = mantissa;
    added->value.val.number.scale = scale;
    added->unit = unit;
    added->quality = PM_MEASURED;
}

void pm_add_text(pm_extras *extras, const char *name, const char *text) {
    polymeter_driver_types_tuple2_string_value_t *added = &extras->ptr[extras->len++];
    memset(added, 0, sizeof *added);
    pm_set(&added->f0, name);
    added->f1.tag = POLYMETER_DRIVER_TYPES_VALUE_TEXT;
    pm_set(&added->f1.val.text, text);
}

void pm_log(uint8_t level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pm_string line;
    set_formatted(&line, format, arguments);
    va_end(arguments);
    polymeter_driver_log_write(level, &line);
    meter_driver_string_free(&line);
}
