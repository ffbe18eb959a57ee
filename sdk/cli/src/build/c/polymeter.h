/* polymeter.h: short names and small helpers for drivers in C, over what `wit-bindgen c` generates.
 *
 * Shapes, units and the meaning of every code: the contract, wit/1.0.0 (docs/contract.md).
 * Two rules of the generated code are easy to break:
 *   - what an export is given belongs to it: free it (pm_call_free and its like) before returning;
 *   - what an export returns is freed by the caller: every text and list in it must be on the heap
 *     (pm_set, pm_setf, pm_list), never a literal.
 * There is no clock, file, socket or environment here. printf prints nowhere: use pm_log.
 */
#ifndef POLYMETER_H
#define POLYMETER_H

#include "meter_driver.h"

typedef meter_driver_string_t pm_string;
typedef meter_driver_list_u8_t pm_bytes;
typedef polymeter_driver_types_call_t pm_call;
typedef polymeter_driver_types_value_t pm_value;
typedef polymeter_driver_types_extras_t pm_extras;
typedef polymeter_driver_types_measurement_t pm_measurement;
typedef polymeter_driver_types_driver_error_t pm_error;
typedef polymeter_driver_types_refusal_t pm_refusal;
typedef polymeter_driver_types_sell_outcome_t pm_sell_outcome;
typedef polymeter_driver_types_credit_t pm_credit;

/* driver-error.code */
enum {
    PM_NO_REPLY = 1,
    PM_GARBLED = 2,
    PM_OTHER_DEVICE = 3,
    PM_NO_SUCH_DATA = 4,
    PM_DEVICE_SAYS_NO = 5,
    PM_BAD_PARAMETER = 6,
    PM_VAULT = 7,
    PM_LINE = 8,
    PM_UNSUPPORTED = 9,
};

/* line-error.code */
enum { PM_LINE_SILENT = 1, PM_LINE_DOWN = 2, PM_LINE_LIMIT = 3, PM_LINE_NOT_GRANTED = 4 };

/* refusal.code */
enum {
    PM_REFUSED_OTHER = 1,
    PM_REFUSED_ALREADY_TAKEN = 2,
    PM_REFUSED_WRONG_MAC = 3,
    PM_REFUSED_NOT_AUTHENTICATED = 4,
    PM_REFUSED_WRONG_CUSTOMER = 5,
    PM_REFUSED_WRONG_COUNT = 6,
    PM_REFUSED_OVER_LIMIT = 7,
    PM_REFUSED_SUSPENDED = 8,
    PM_REFUSED_WRONG_ADDRESS = 9,
    PM_REFUSED_WRONG_PASSWORD = 10,
    PM_REFUSED_SUPPLY_PROTECTED = 11,
    PM_REFUSED_OUT_OF_TIME = 12,
    PM_REFUSED_NO_SUCH_FUNCTION = 13,
    PM_REFUSED_BAD_VALUE = 14,
};

/* measurement.unit and measurement.quality */
enum { PM_UNIT_CURRENCY = 10, PM_UNIT_WATT_HOUR = 30, PM_UNIT_NONE = 255 };
enum { PM_MEASURED = 0, PM_NOT_MEASURED = 1, PM_INVALID = 2, PM_ESTIMATED = 3 };

/* credit.quantity and, with 0 for none, description.purse; description.proof */
enum { PM_MONEY = 1, PM_ENERGY = 2, PM_VOLUME = 3 };
enum { PM_PROOF_NONE = 0, PM_PROOF_COUNT = 1, PM_PROOF_REGISTER = 2, PM_PROOF_LIST = 3 };

/* snapshot.supply and control's command */
enum { PM_SUPPLY_UNKNOWN = 0, PM_DISCONNECTED = 1, PM_CONNECTED = 2, PM_READY = 3 };
enum { PM_DISCONNECT = 1, PM_CONNECT = 2, PM_ALLOW_CONNECTION = 3 };

/* vault.mac's algorithm */
enum { PM_MAC_PBOC = 1, PM_MAC_HMAC_SHA_256 = 2 };

/* A copy of `text` on the heap. */
void pm_set(pm_string *out, const char *text);
/* The same, formatted as by snprintf; longer than 255 bytes is cut. */
void pm_setf(pm_string *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Zeroed room on the heap for `count` elements of `size` bytes. Traps where there is none. */
void *pm_list(size_t count, size_t size);

/* Fills an error and returns false, which is what an export returns with it. */
bool pm_fail(pm_error *out, uint16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The device's no. `device_code` is its own error as it stood on the wire, or NULL. */
void pm_refuse(pm_refusal *out, uint16_t code, const char *device_code, const char *detail);

/* Appends to lists made with pm_list; the caller sees to the room. */
void pm_add_number(pm_measurement *list, size_t *length, const char *obis, int64_t mantissa,
                   int8_t scale, uint16_t unit);
void pm_add_text(pm_extras *extras, const char *name, const char *text);

/* A line in the operator's log; level as in POLYMETER_DRIVER_LOG_LEVEL_*. */
void pm_log(uint8_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define pm_call_free polymeter_driver_types_call_free

#endif
