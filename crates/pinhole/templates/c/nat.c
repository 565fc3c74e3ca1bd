/* The NAT half of NAME: the port, in decimal digits. */
#include "pinhole_helper.h"

PINHOLE_NAT()

static enum pinhole_encoded pinhole_nat_encode(enum pinhole_field field, uint8_t notation, const struct pinhole_endpoint *endpoint,
                                               const uint8_t *old, uint32_t length) {
    (void)old, (void)length;
    if (field != PINHOLE_PORT || notation != 0) return PINHOLE_UNKNOWN_NOTATION;
    pinhole_write_decimal(endpoint->port);
    return PINHOLE_WRITTEN;
}
