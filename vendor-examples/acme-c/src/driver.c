/* driver.c: what an ACME HALO-1 meter is, and the verbs that read it and steer it. The protocol
 * stands in the README; selling is in purse.c.
 *
 * A driver keeps nothing between calls: the host may answer the next one with a fresh instance.
 */
#include "exchange.h"

#include <stdio.h>
#include <string.h>

#define REGISTER_ENERGY "1.0.1.8.0.255"
#define REGISTER_CREDIT "0.0.19.10.0.255"

enum { FEN_SCALE = -2, FEN_MOST = 99999999 };

/* The parameters that live in the meter, both in fen. */
static const struct {
    const char *name, *title_en, *title_zh;
} WRITABLE[] = {
    {"alarm", "Low credit alarm", "报警金额"},
    {"limit", "Most the purse may hold", "囤积金额限值"},
};
enum { WRITABLES = sizeof WRITABLE / sizeof *WRITABLE };

void exports_polymeter_driver_info_describe(exports_polymeter_driver_info_description_t *out) {
    memset(out, 0, sizeof *out);
    pm_set(&out->vendor_code, "ACME");
    pm_set(&out->name, "acme");
    pm_set(&out->version, "0.1.0");
    out->models.ptr = pm_list(1, sizeof *out->models.ptr);
    out->models.len = 1;
    pm_set(&out->models.ptr[0], "HALO-1");
    out->proof = PM_PROOF_COUNT;
    out->purse = PM_MONEY;
    out->parameters.ptr = pm_list(WRITABLES, sizeof *out->parameters.ptr);
    out->parameters.len = WRITABLES;
    for (size_t at = 0; at < WRITABLES; at++) {
        exports_polymeter_driver_info_parameter_t *parameter = &out->parameters.ptr[at];
        pm_set(&parameter->name, WRITABLE[at].name);
        pm_set(&parameter->title_en, WRITABLE[at].title_en);
        pm_set(&parameter->title_zh, WRITABLE[at].title_zh);
        parameter->unit = PM_UNIT_CURRENCY;
        parameter->minimum = (meter_driver_option_s64_t){true, 0};
        parameter->maximum = (meter_driver_option_s64_t){true, FEN_MOST};
        parameter->writable = true;
    }
}

static bool probe(const pm_call *call, exports_polymeter_driver_meter_identity_t *out,
                  pm_error *error) {
    char address[HALO_ADDRESS + 1];
    struct answer answer;
    if (!address_of(call, address, error) || !ask(address, 'I', "", &answer, error)) return false;
    if (!answer.yes) return no_data(&answer, error);
    memset(out, 0, sizeof *out);
    pm_set(&out->address, address);
    pm_set(&out->model, answer.data);
    return true;
}

bool exports_polymeter_driver_meter_probe(pm_call *call,
                                          exports_polymeter_driver_meter_identity_t *out,
                                          pm_error *error) {
    bool good = probe(call, out, error);
    pm_call_free(call);
    return good;
}

/* What the meter answers to `R`. */
struct reading {
    uint64_t energy_wh, balance_fen, relay;
};

static bool reading(const char *address, struct reading *out, pm_error *error) {
    static const size_t DIGITS[] = {10, 8, 1};
    struct answer answer;
    uint64_t numbers[3];
    if (!ask(address, 'R', "", &answer, error)) return false;
    if (!answer.yes) return no_data(&answer, error);
    if (!halo_numbers(answer.data, 3, DIGITS, numbers) || numbers[2] > 1)
        return pm_fail(error, PM_GARBLED, "a reading of a wrong shape");
    *out = (struct reading){numbers[0], numbers[1], numbers[2]};
    return true;
}

static uint16_t supply_of(uint64_t relay) { return relay == 1 ? PM_CONNECTED : PM_DISCONNECTED; }

static bool read_all(const pm_call *call, exports_polymeter_driver_meter_snapshot_t *out,
                     pm_error *error) {
    char address[HALO_ADDRESS + 1];
    struct reading found;
    if (!address_of(call, address, error) || !reading(address, &found, error)) return false;
    memset(out, 0, sizeof *out);
    pm_measurement *list = out->measurements.ptr = pm_list(2, sizeof *list);
    pm_add_number(list, &out->measurements.len, REGISTER_ENERGY, (int64_t)found.energy_wh, 0,
                  PM_UNIT_WATT_HOUR);
    pm_add_number(list, &out->measurements.len, REGISTER_CREDIT, (int64_t)found.balance_fen,
                  FEN_SCALE, PM_UNIT_CURRENCY);
    out->supply = supply_of(found.relay);
    return true;
}

bool exports_polymeter_driver_meter_read(pm_call *call,
                                         exports_polymeter_driver_meter_snapshot_t *out,
                                         pm_error *error) {
    bool good = read_all(call, out, error);
    pm_call_free(call);
    return good;
}

/* Whether the answer comes or not: the relay itself tells. */
static void control(const char *address, uint64_t wanted,
                    exports_polymeter_driver_supply_control_outcome_t *out) {
    struct answer answer;
    struct reading found;
    pm_error error = {0};
    memset(out, 0, sizeof *out);
    if (ask(address, 'V', wanted == 1 ? "1" : "0", &answer, &error) && !answer.yes) {
        out->tag = EXPORTS_POLYMETER_DRIVER_SUPPLY_CONTROL_OUTCOME_REFUSED;
        refused(&answer, &out->val.refused);
        return;
    }
    polymeter_driver_types_driver_error_free(&error);
    out->tag = EXPORTS_POLYMETER_DRIVER_SUPPLY_CONTROL_OUTCOME_UNKNOWN;
    if (!reading(address, &found, &error)) {
        pm_setf(&out->val.unknown, "no reading: %.*s", (int)error.detail.len,
                (const char *)error.detail.ptr);
        polymeter_driver_types_driver_error_free(&error);
    } else if (found.relay == wanted) {
        out->tag = EXPORTS_POLYMETER_DRIVER_SUPPLY_CONTROL_OUTCOME_CONFIRMED;
        out->val.confirmed = supply_of(wanted);
    } else {
        pm_set(&out->val.unknown, "the relay did not move");
    }
}

/* The relay only: what this meter cannot do is said before a byte leaves. */
bool exports_polymeter_driver_supply_control(
    pm_call *call, uint16_t command, exports_polymeter_driver_supply_local_time_t *valid_until,
    exports_polymeter_driver_supply_control_outcome_t *out, pm_error *error) {
    (void)valid_until;
    char address[HALO_ADDRESS + 1];
    bool good = command == PM_DISCONNECT || command == PM_CONNECT ||
                pm_fail(error, PM_UNSUPPORTED, "this meter has no supply command %u", command);
    good = good && address_of(call, address, error);
    if (good) control(address, command == PM_CONNECT ? 1 : 0, out);
    pm_call_free(call);
    return good;
}

/* The data of a `P`. */
static bool write_of(const pm_string *name, const pm_value *value, char out[HALO_DATA + 1],
                     pm_error *error) {
    const char *known = NULL;
    for (size_t at = 0; at < WRITABLES; at++)
        if (strlen(WRITABLE[at].name) == name->len &&
            memcmp(WRITABLE[at].name, name->ptr, name->len) == 0)
            known = WRITABLE[at].name;
    if (known == NULL)
        return pm_fail(error, PM_BAD_PARAMETER, "this meter has no parameter `%.*s`",
                       (int)name->len, (const char *)name->ptr);
    if (value->tag != POLYMETER_DRIVER_TYPES_VALUE_NUMBER || value->val.number.scale != 0 ||
        value->val.number.mantissa < 0 || value->val.number.mantissa > FEN_MOST)
        return pm_fail(error, PM_BAD_PARAMETER, "`%s` is 0 to %d fen", known, FEN_MOST);
    snprintf(out, HALO_DATA + 1, "%s=%lld", known, (long long)value->val.number.mantissa);
    return true;
}

/* Each one is proved by its echo alone: this meter cannot be asked for a parameter. */
static bool set_all(const char *address, const pm_extras *parameters,
                    exports_polymeter_driver_settings_set_outcome_t *out, pm_error *error) {
    char write[HALO_DATA + 1];
    /* All of them are understood before the first is sent. */
    for (size_t at = 0; at < parameters->len; at++)
        if (!write_of(&parameters->ptr[at].f0, &parameters->ptr[at].f1, write, error))
            return false;
    memset(out, 0, sizeof *out);
    for (size_t at = 0; at < parameters->len; at++) {
        struct answer answer;
        write_of(&parameters->ptr[at].f0, &parameters->ptr[at].f1, write, error);
        out->tag = EXPORTS_POLYMETER_DRIVER_SETTINGS_SET_OUTCOME_UNKNOWN;
        if (!ask(address, 'P', write, &answer, error)) {
            pm_setf(&out->val.unknown, "%s: %.*s", write, (int)error->detail.len,
                    (const char *)error->detail.ptr);
            polymeter_driver_types_driver_error_free(error);
            return true;
        }
        if (answer.yes && strcmp(answer.data, write) == 0) continue;
        if (!answer.yes && at == 0) {
            out->tag = EXPORTS_POLYMETER_DRIVER_SETTINGS_SET_OUTCOME_REFUSED;
            refused(&answer, &out->val.refused);
        } else {
            pm_setf(&out->val.unknown, "%s was not taken", write);
        }
        return true;
    }
    out->tag = EXPORTS_POLYMETER_DRIVER_SETTINGS_SET_OUTCOME_CONFIRMED;
    return true;
}

bool exports_polymeter_driver_settings_set_parameters(
    pm_call *call, pm_extras *parameters, exports_polymeter_driver_settings_set_outcome_t *out,
    pm_error *error) {
    char address[HALO_ADDRESS + 1];
    bool good = address_of(call, address, error) && set_all(address, parameters, out, error);
    pm_call_free(call);
    polymeter_driver_types_extras_free(parameters);
    return good;
}

bool exports_polymeter_driver_frames_decode(pm_bytes *bytes,
                                            exports_polymeter_driver_frames_explanation_t *out,
                                            pm_string *problem) {
    struct halo_frame frame;
    bool good = halo_parse(bytes->ptr, bytes->len, &frame);
    if (good) {
        char letter[2] = {frame.letter, '\0'};
        memset(out, 0, sizeof *out);
        pm_set(&out->address, frame.address);
        out->extras.ptr = pm_list(2, sizeof *out->extras.ptr);
        pm_add_text(&out->extras, "command", letter);
        pm_add_text(&out->extras, "data", frame.data);
    } else {
        pm_set(problem, "not a whole HALO frame");
    }
    meter_driver_list_u8_free(bytes);
    return good;
}
