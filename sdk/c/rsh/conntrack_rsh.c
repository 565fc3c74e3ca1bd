/* rsh(1) and rcp(1): the first text of the client, ended by a zero byte, is the port at which it waits for standard error. An empty text or
 * "0" says that there is none. What follows, names and the command, opens nothing and is not read.
 *
 * Both ends use reserved ports, 512 to 1023: that is all the proof of identity which the protocol has, and why the module asks to be allowed
 * privileged ports. */
#include "../pinhole_helper.h"

/* The longest text: five digits. */
#define LONGEST 5
#define FIRST_RESERVED 512
#define LAST_RESERVED 1023

/* The first text ends the reading one way or the other, so there is nothing to remember. */
struct session { uint8_t nothing; };

PINHOLE_CONNTRACK(struct session, LONGEST)

static void announce(struct pinhole_remembered *remembered, const uint8_t *text, struct pinhole_span span) {
    const struct pinhole_master *master = &remembered->master;
    int64_t port = pinhole_decimal(text, span.end - span.start, LONGEST);
    enum pinhole_refusal refusal = pinhole_admit_port(master, (uint32_t)port);
    if (refusal == PINHOLE_ADMITTED && port < FIRST_RESERVED) refusal = PINHOLE_PRIVILEGED_PORT;
    if (refusal == PINHOLE_ADMITTED && port > LAST_RESERVED) refusal = PINHOLE_POLICY;
    if (refusal != PINHOLE_ADMITTED) {
        pinhole_refuse(refusal, span);
        return;
    }
    struct pinhole_expectation expectation =
        pinhole_expecting(master, PINHOLE_ORIGINAL, PINHOLE_TCP, (uint16_t)port, span);
    expectation.source_port_kind = PINHOLE_RANGE;
    expectation.source_port_first = FIRST_RESERVED;
    expectation.source_port_last = LAST_RESERVED;
    uint32_t handle = pinhole_expect(remembered, expectation);
    pinhole_locate(handle, span, PINHOLE_PORT, 0);
}

static pinhole_progress pinhole_session_read(struct pinhole_remembered *remembered, struct session *session,
                                             enum pinhole_direction from, const uint8_t *bytes, uint32_t length) {
    (void)session;
    /* The server's first byte says whether the command was accepted; it announces nothing. */
    if (from == PINHOLE_REPLY) return pinhole_consumed(length);
    for (uint32_t at = 0; at < length; at++) {
        if (bytes[at] == 0) {
            bool none = at == 0 || (at == 1 && bytes[0] == '0');
            if (!none) announce(remembered, bytes, (struct pinhole_span){0, at});
            return pinhole_done();
        }
        if (bytes[at] < '0' || bytes[at] > '9' || at == LONGEST) return pinhole_blind(PINHOLE_NOT_THIS_PROTOCOL);
    }
    return pinhole_consumed(0);
}
