/* NAME: what is it, and what does it open?
 *
 *   client   HELLO …        the first line
 *   client   PORT 50000     connect to me there
 */
#include "pinhole_helper.h"

/* Longest line, its end included. */
#define LINE_LIMIT 512

/* What a session remembers: begins as zeros. */
struct session { bool has_opened; };

PINHOLE_CONNTRACK(struct session, LINE_LIMIT)

/* Whether a text begins with a word; the word's length, or 0. */
static uint32_t begins(const uint8_t *text, uint32_t length, const char *word) {
    uint32_t at = 0;
    for (; word[at] != 0; at++) {
        if (at == length || text[at] != (uint8_t)word[at]) return 0;
    }
    return at;
}

/* `PORT 50000`; `at` is where the line begins in the input. */
static void announce(struct pinhole_remembered *remembered, const uint8_t *line, uint32_t at, uint32_t length, uint32_t digits) {
    const struct pinhole_master *master = &remembered->master;
    struct pinhole_span whole = {at, at + length};
    bool is_number = digits < length;
    for (uint32_t index = digits; index < length; index++) is_number = is_number && line[index] >= '0' && line[index] <= '9';
    int64_t port = pinhole_decimal(line + digits, length - digits, 5);
    enum pinhole_refusal refusal = !is_number ? PINHOLE_MALFORMED : port < 0 ? PINHOLE_BAD_NUMBER : pinhole_admit_port(master, (uint32_t)port);
    if (refusal != PINHOLE_ADMITTED) {
        pinhole_refuse(refusal, whole);
        return;
    }
    uint32_t handle = pinhole_expect(remembered, pinhole_expecting(master, PINHOLE_ORIGINAL, PINHOLE_TCP, (uint16_t)port, whole));
    pinhole_locate(handle, (struct pinhole_span){at + digits, at + length}, PINHOLE_PORT, 0);
}

static pinhole_progress pinhole_session_read(struct pinhole_remembered *remembered, struct session *session,
                                             enum pinhole_direction from, const uint8_t *bytes, uint32_t length) {
    /* The server announces nothing. */
    if (from == PINHOLE_REPLY) return pinhole_consumed(length);
    uint32_t at = 0;
    for (;;) {
        /* Where a segment ends means nothing: half a line is shown again with what follows it. */
        uint32_t end = at;
        while (end < length && bytes[end] != '\n') end++;
        if (end - at >= LINE_LIMIT) return pinhole_blind(session->has_opened ? PINHOLE_MESSAGE_TOO_LONG : PINHOLE_NOT_THIS_PROTOCOL);
        if (end == length) return pinhole_consumed(at);
        const uint8_t *line = bytes + at;
        uint32_t size = end - at;
        if (size > 0 && line[size - 1] == '\r') size--;
        if (!session->has_opened) {
            if (!begins(line, size, "HELLO ")) return pinhole_blind(PINHOLE_NOT_THIS_PROTOCOL);
            session->has_opened = true;
        } else {
            uint32_t digits = begins(line, size, "PORT ");
            if (digits > 0) announce(remembered, line, at, size, digits);
        }
        at = end + 1;
    }
}
