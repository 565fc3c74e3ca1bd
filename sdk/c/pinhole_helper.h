/* A pinhole helper module in C: the binary interface of docs/helper-abi.md, version 1.
 *
 * A conntrack half says PINHOLE_CONNTRACK(struct session, longest_message) once, and defines pinhole_session_read(); a NAT half says
 * PINHOLE_NAT() once, and defines pinhole_nat_encode(). Everything here is static: the file is included by one source file a module.
 *
 * What a session must remember between two calls belongs into its `struct session`; everything else (globals, statics) is scratch, and may
 * hold what another session left there. There is no libc, and nothing of a module may use floating point.
 *
 * Numbers and names are those of docs/helper-abi.md; the requests are those of crates/pinhole-helper.
 *
 * Licence: MIT OR Apache-2.0. */
#ifndef PINHOLE_HELPER_H
#define PINHOLE_HELPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PINHOLE_VERSION 1

/* Directions: that of the connection's first packet, and the other. */
enum pinhole_direction { PINHOLE_ORIGINAL = 0, PINHOLE_REPLY = 1 };

/* Layer-4 protocols. */
enum { PINHOLE_TCP = 6, PINHOLE_UDP = 17 };

/* Why a session reads no more. */
enum pinhole_blind {
    PINHOLE_NOT_THIS_PROTOCOL = 1,
    PINHOLE_ENCRYPTED = 2,
    PINHOLE_MESSAGE_TOO_LONG = 6,
    PINHOLE_TOO_MANY_ERRORS = 8,
};

/* Why an announcement opens nothing. Zero is none of them: it may be announced. */
enum pinhole_refusal {
    PINHOLE_ADMITTED = 0,
    PINHOLE_FOREIGN_ADDRESS = 1,
    PINHOLE_PRIVILEGED_PORT = 2,
    PINHOLE_PORT_ZERO = 3,
    PINHOLE_BAD_NUMBER = 4,
    PINHOLE_MALFORMED = 5,
    PINHOLE_ADDRESS_FAMILY = 6,
    PINHOLE_UNSOLICITED = 7,
    PINHOLE_OUT_OF_SEQUENCE = 8,
    PINHOLE_REVERSE_OFFER = 9,
    PINHOLE_LIMIT = 10,
    PINHOLE_CLASH = 11,
    PINHOLE_POLICY = 12,
    PINHOLE_UNSUPPORTED = 13,
    PINHOLE_UNANSWERED = 14,
};

/* Kinds of located fields. */
enum pinhole_field { PINHOLE_ENDPOINT = 0, PINHOLE_ADDRESS = 1, PINHOLE_PORT = 2 };

/* What pinhole_session_read() came to. */
typedef int64_t pinhole_progress;

static inline pinhole_progress pinhole_consumed(uint32_t bytes) { return (pinhole_progress)bytes; }
static inline pinhole_progress pinhole_blind(enum pinhole_blind why) { return ((pinhole_progress)1 << 32) | (uint32_t)why; }
static inline pinhole_progress pinhole_done(void) { return (pinhole_progress)2 << 32; }

/* An address: IPv6 as it is, IPv4 as ::ffff:a.b.c.d. */
struct pinhole_address { uint8_t bytes[16]; };

struct pinhole_endpoint {
    struct pinhole_address address;
    uint16_t port;
    uint8_t family; /* 4 or 6 */
    uint8_t zero;
};

/* Bits of pinhole_master.flags. */
enum { PINHOLE_THIRD_PARTY = 1, PINHOLE_WAIT_FOR_ANSWER = 2, PINHOLE_ANY_CALLER = 4 };

/* The connection that is read, and what may be opened. */
struct pinhole_master {
    uint8_t version;
    uint8_t protocol;
    uint16_t flags;
    uint16_t lowest_port;
    uint8_t media_source;
    uint8_t zero;
    struct pinhole_endpoint original_source, original_destination;
    struct pinhole_endpoint reply_source, reply_destination;
};
_Static_assert(sizeof(struct pinhole_master) == 88, "the master of docs/helper-abi.md");

/* The block through which host and module talk. */
struct pinhole_exchange {
    uint32_t version, input, input_capacity, output, output_capacity, state, state_capacity;
    uint32_t state_length, output_length, longest_message;
    uint64_t now, offset;
    uint64_t reserved;
};
_Static_assert(sizeof(struct pinhole_exchange) == 64, "the exchange block of docs/helper-abi.md");
_Static_assert(offsetof(struct pinhole_exchange, now) == 40, "the exchange block of docs/helper-abi.md");

/* Bytes of input of this call, from start to before end. */
struct pinhole_span { uint32_t start, end; };

/* One expected connection. pinhole_expecting() gives the usual one; what is different is set before pinhole_expect(). */
struct pinhole_expectation {
    uint16_t kind, size;
    uint32_t handle;
    uint8_t class_index;
    uint8_t protocol;
    uint8_t permanent;          /* 0: gone with its first connection */
    uint8_t flags;              /* PINHOLE_ACTIVE and the others */
    uint8_t source_kind;        /* 0 exactly source, 1 its prefix, 2 any */
    uint8_t source_prefix;
    uint8_t source_port_kind;   /* 0 exactly the first, 1 from first to last, 2 any */
    uint8_t destination_port_kind;
    uint8_t source_family;      /* 0 if any */
    uint8_t destination_family;
    uint8_t helper_length;
    uint8_t zero;
    struct pinhole_address source, destination;
    uint16_t source_port_first, source_port_last;
    uint16_t destination_port_first, destination_port_last;
    uint32_t group;
    uint32_t timeout;           /* seconds, with PINHOLE_HAS_TIMEOUT */
    struct pinhole_span span;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pinhole_expectation) == 80, "the request expect of docs/helper-abi.md");
_Static_assert(offsetof(struct pinhole_expectation, source) == 20, "the request expect of docs/helper-abi.md");
_Static_assert(offsetof(struct pinhole_expectation, span) == 68, "the request expect of docs/helper-abi.md");

enum { PINHOLE_ACTIVE = 1, PINHOLE_HAS_GROUP = 2, PINHOLE_FIRST_HIT_CANCELS = 4, PINHOLE_HAS_TIMEOUT = 8 };
enum { PINHOLE_EXACT = 0, PINHOLE_RANGE = 1, PINHOLE_PREFIX = 1, PINHOLE_ANY = 2 };

/* What every session remembers, before its own `struct session`. */
struct pinhole_remembered {
    struct pinhole_master master;
    uint32_t next_handle;
    uint32_t zero;
};

/* The areas. A module whose messages or answers are larger defines these before it includes this file. */
#ifndef PINHOLE_INPUT_CAPACITY
#define PINHOLE_INPUT_CAPACITY 16384
#endif
#ifndef PINHOLE_OUTPUT_CAPACITY
#define PINHOLE_OUTPUT_CAPACITY 32768
#endif

static _Alignas(8) uint8_t pinhole_input[PINHOLE_INPUT_CAPACITY];
static _Alignas(8) uint8_t pinhole_output[PINHOLE_OUTPUT_CAPACITY];
static _Alignas(8) struct pinhole_exchange pinhole_block;

#define PINHOLE_EXPORT(name) __attribute__((export_name(name), used))

static inline uint32_t pinhole_at(const void *place) { return (uint32_t)(uintptr_t)place; }

/* Room for a record in the output area. There is room for as many as a host takes of one call, and what does not fit is a mistake of the
 * module's: it ends here, and the host knows what to do with it. */
static inline void *pinhole_record(uint16_t kind, uint16_t size) {
    uint32_t at = pinhole_block.output_length;
    if (size > PINHOLE_OUTPUT_CAPACITY - at) __builtin_trap();
    uint16_t *record = (uint16_t *)(void *)(pinhole_output + at);
    __builtin_memset(record, 0, size);
    record[0] = kind;
    record[1] = size;
    pinhole_block.output_length = at + size;
    return record;
}

static inline void pinhole_record_words(uint16_t kind, uint32_t count, const uint32_t *words) {
    uint32_t *record = pinhole_record(kind, (uint16_t)(4 + 4 * count));
    for (uint32_t index = 0; index < count; index++) record[1 + index] = words[index];
}

/* Lets an expectation that was not active match from now on. */
static inline void pinhole_activate(uint32_t handle) { pinhole_record_words(2, 1, &handle); }
/* Lets an expectation live so many seconds from now on. */
static inline void pinhole_extend(uint32_t handle, uint32_t seconds) { pinhole_record_words(3, 2, (uint32_t[]){handle, seconds}); }
/* Lets the control connection live at least so many seconds from now on. */
static inline void pinhole_prolong(uint32_t seconds) { pinhole_record_words(4, 1, &seconds); }
/* Removes an expectation. */
static inline void pinhole_cancel(uint32_t handle) { pinhole_record_words(5, 1, &handle); }

/* Lets an expectation be met from this address instead, 16 bytes of the family 4 or 6. */
static inline void pinhole_aim(uint32_t handle, const uint8_t *address, uint8_t family) {
    uint8_t *record = pinhole_record(13, 28);
    __builtin_memcpy(record + 4, &handle, 4);
    record[10] = family;
    __builtin_memcpy(record + 12, address, 16);
}

/* Tells the NAT half that this span holds that field of that expectation, in a notation that both halves know. */
static inline void pinhole_locate(uint32_t handle, struct pinhole_span span, enum pinhole_field field, uint8_t notation) {
    uint32_t what = (uint32_t)field | (uint32_t)notation << 8;
    pinhole_record_words(6, 4, (uint32_t[]){handle, span.start, span.end, what});
}

/* Tells the NAT half that this span names an end of the control connection itself: 0 the sender, 1 its peer. */
static inline void pinhole_mention(uint32_t end, struct pinhole_span span, enum pinhole_field field, uint8_t notation) {
    uint32_t what = (uint32_t)field | (uint32_t)notation << 8;
    pinhole_record_words(7, 4, (uint32_t[]){end, span.start, span.end, what});
}

/* Tells the NAT half that the first span holds the length of the second, in decimal digits. */
static inline void pinhole_length(struct pinhole_span digits, struct pinhole_span body) {
    pinhole_record_words(8, 4, (uint32_t[]){digits.start, digits.end, body.start, body.end});
}

/* An announcement that is not honoured. */
static inline void pinhole_refuse(enum pinhole_refusal why, struct pinhole_span span) {
    pinhole_record_words(11, 3, (uint32_t[]){(uint32_t)why, span.start, span.end});
}

/* Whether what passes can be read: 0 yes, 1 it is encrypted. */
static inline void pinhole_condition(uint32_t condition) { pinhole_record_words(12, 1, &condition); }

/* The sender of a direction, as it calls itself. */
static inline const struct pinhole_endpoint *pinhole_sender(const struct pinhole_master *master, enum pinhole_direction from) {
    return from == PINHOLE_ORIGINAL ? &master->original_source : &master->reply_source;
}

/* The sender of a direction, as the other side knows it: another one than it calls itself only under NAT. */
static inline const struct pinhole_endpoint *pinhole_sender_seen_by_peer(const struct pinhole_master *master, enum pinhole_direction from) {
    return from == PINHOLE_ORIGINAL ? &master->reply_destination : &master->original_destination;
}

/* The receiver of a direction, as it calls itself. */
static inline const struct pinhole_endpoint *pinhole_receiver(const struct pinhole_master *master, enum pinhole_direction from) {
    return pinhole_sender(master, from == PINHOLE_ORIGINAL ? PINHOLE_REPLY : PINHOLE_ORIGINAL);
}

static inline bool pinhole_same_address(const struct pinhole_address *one, const struct pinhole_address *other) {
    uint8_t difference = 0;
    for (int index = 0; index < 16; index++) difference |= one->bytes[index] ^ other->bytes[index];
    return difference == 0;
}

/* An IPv4 address of four bytes. */
static inline struct pinhole_address pinhole_ipv4(const uint8_t *bytes) {
    struct pinhole_address address = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, bytes[0], bytes[1], bytes[2], bytes[3]}};
    return address;
}

/* Whether a port may be announced. The host asks again. */
static inline enum pinhole_refusal pinhole_admit_port(const struct pinhole_master *master, uint32_t port) {
    if (port == 0) return PINHOLE_PORT_ZERO;
    if (port > 65535) return PINHOLE_BAD_NUMBER;
    return port < master->lowest_port ? PINHOLE_PRIVILEGED_PORT : PINHOLE_ADMITTED;
}

/* A decimal number of up to `longest` digits; -1: it is none. */
static inline int64_t pinhole_decimal(const uint8_t *text, uint32_t length, uint32_t longest) {
    if (length == 0 || length > longest || longest > 10) return -1;
    int64_t value = 0;
    for (uint32_t index = 0; index < length; index++) {
        if (text[index] < '0' || text[index] > '9') return -1;
        value = value * 10 + (text[index] - '0');
    }
    return value;
}

/* One connection of the first class, of the receiver of `from` to its sender's own address and this port. */
static inline struct pinhole_expectation pinhole_expecting(const struct pinhole_master *master, enum pinhole_direction from, uint8_t protocol, uint16_t port, struct pinhole_span span) {
    const struct pinhole_endpoint *source = pinhole_receiver(master, from);
    const struct pinhole_endpoint *destination = pinhole_sender_seen_by_peer(master, from);
    struct pinhole_expectation expectation;
    __builtin_memset(&expectation, 0, sizeof expectation);
    expectation.protocol = protocol;
    expectation.flags = PINHOLE_ACTIVE;
    expectation.source_kind = PINHOLE_EXACT;
    expectation.source_family = source->family;
    expectation.source = source->address;
    expectation.source_port_kind = PINHOLE_ANY;
    expectation.destination_port_kind = PINHOLE_EXACT;
    expectation.destination_family = destination->family;
    expectation.destination = destination->address;
    expectation.destination_port_first = expectation.destination_port_last = port;
    expectation.span = span;
    return expectation;
}

/* Asks for an expectation; the answer is the session's name for it. */
static inline uint32_t pinhole_expect(struct pinhole_remembered *remembered, struct pinhole_expectation expectation) {
    struct pinhole_expectation *record = pinhole_record(1, sizeof *record);
    expectation.kind = 1;
    expectation.size = sizeof *record;
    expectation.handle = remembered->next_handle++;
    *record = expectation;
    return expectation.handle;
}

#define PINHOLE_AREAS(state_place, state_size) \
    PINHOLE_EXPORT("pinhole_exchange") int32_t pinhole_exchange_export(void) { \
        pinhole_block.version = PINHOLE_VERSION; \
        pinhole_block.input = pinhole_at(pinhole_input); \
        pinhole_block.input_capacity = PINHOLE_INPUT_CAPACITY; \
        pinhole_block.output = pinhole_at(pinhole_output); \
        pinhole_block.output_capacity = PINHOLE_OUTPUT_CAPACITY; \
        pinhole_block.state = pinhole_at(state_place); \
        pinhole_block.state_capacity = (state_size); \
        return (int32_t)pinhole_at(&pinhole_block); \
    }

/* A conntrack half: `type` is what a session remembers, which begins as zeros; `longest` the longest message that it waits for, in bytes. The
 * module defines
 *     static pinhole_progress pinhole_session_read(struct pinhole_remembered *remembered, type *session,
 *                                                  enum pinhole_direction from, const uint8_t *bytes, uint32_t length); */
#define PINHOLE_CONNTRACK(type, longest) \
    static _Alignas(8) struct { struct pinhole_remembered remembered; type session; } pinhole_state; \
    PINHOLE_AREAS(&pinhole_state, sizeof pinhole_state) \
    static pinhole_progress pinhole_session_read(struct pinhole_remembered *, type *, enum pinhole_direction, const uint8_t *, uint32_t); \
    PINHOLE_EXPORT("pinhole_attach") int32_t pinhole_attach_export(void) { \
        __builtin_memset(&pinhole_state, 0, sizeof pinhole_state); \
        __builtin_memcpy(&pinhole_state.remembered.master, pinhole_input, sizeof(struct pinhole_master)); \
        pinhole_block.state_length = sizeof pinhole_state; \
        pinhole_block.longest_message = (longest); \
        return 0; \
    } \
    PINHOLE_EXPORT("pinhole_read") int64_t pinhole_read_export(int32_t from, int32_t length) { \
        return pinhole_session_read(&pinhole_state.remembered, &pinhole_state.session, from == 0 ? PINHOLE_ORIGINAL : PINHOLE_REPLY, pinhole_input, (uint32_t)length); \
    } \
    /* All that a session knows lies in the state area: it goes on after a restart of the host. */ \
    PINHOLE_EXPORT("pinhole_restore") int32_t pinhole_restore_export(void) { \
        return 1; \
    }

/* Answers of pinhole_nat_encode(). */
enum pinhole_encoded { PINHOLE_WRITTEN = 0, PINHOLE_UNKNOWN_NOTATION = 1, PINHOLE_NO_ROOM = 2 };

/* Appends bytes to what is to stand in place of the old ones. */
static inline void pinhole_write(const void *bytes, uint32_t length) {
    if (length > PINHOLE_OUTPUT_CAPACITY - pinhole_block.output_length) __builtin_trap();
    __builtin_memcpy(pinhole_output + pinhole_block.output_length, bytes, length);
    pinhole_block.output_length += length;
}

/* Appends a number in decimal digits. */
static inline void pinhole_write_decimal(uint32_t number) {
    char digits[10];
    uint32_t count = 0;
    do digits[count++] = (char)('0' + number % 10); while ((number /= 10) != 0);
    while (count > 0) pinhole_write(&digits[--count], 1);
}

/* A NAT half. The module defines
 *     static enum pinhole_encoded pinhole_nat_encode(enum pinhole_field field, uint8_t notation, const struct pinhole_endpoint *endpoint,
 *                                                    const uint8_t *old, uint32_t length); */
#define PINHOLE_NAT() \
    static _Alignas(8) uint8_t pinhole_state[8]; \
    PINHOLE_AREAS(pinhole_state, sizeof pinhole_state) \
    static enum pinhole_encoded pinhole_nat_encode(enum pinhole_field, uint8_t, const struct pinhole_endpoint *, const uint8_t *, uint32_t); \
    PINHOLE_EXPORT("pinhole_encode") int32_t pinhole_encode_export(int32_t kind, int32_t notation, int32_t length) { \
        if (kind < 0 || kind > 2 || notation < 0 || notation > 255) return PINHOLE_UNKNOWN_NOTATION; \
        return pinhole_nat_encode((enum pinhole_field)kind, (uint8_t)notation, (const struct pinhole_endpoint *)(const void *)pinhole_input, pinhole_input + sizeof(struct pinhole_endpoint), (uint32_t)length); \
    }

#endif
