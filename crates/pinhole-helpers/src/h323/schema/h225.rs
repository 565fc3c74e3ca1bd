//! H.225.0 §7.6: what call signalling and RAS have in common.

use super::{
    H221_NON_STANDARD, Mark, NON_STANDARD_PARAMETER, OCTET_STRING_1_TO_20, OCTET_STRING_1_TO_256,
    OCTET_STRING_4, OCTET_STRING_16, UNSIGNED_16, alternatives_and_more, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

pub(super) static TRANSPORT_ADDRESS: Type = Type::Choice {
    root: &[
        required("ipAddress", &IP_ADDRESS),
        required("ipSourceRoute", &IP_SOURCE_ROUTE),
        required("ipxAddress", &IPX_ADDRESS),
        required("ip6Address", &IP6_ADDRESS),
        required("netBios", &OCTET_STRING_16),
        required("nsap", &OCTET_STRING_1_TO_20),
        required("nonStandardAddress", &NON_STANDARD_PARAMETER),
    ],
    extensible: true,
    additions: &[],
};
static IP_ADDRESS: Type = sequence(
    &[required("ip", &OCTET_STRING_4).marked(Mark::Ip4), required("port", &UNSIGNED_16).marked(Mark::Port)],
    false,
    &[],
);
static IP_SOURCE_ROUTE: Type = sequence(
    &[
        required("ip", &OCTET_STRING_4),
        required("port", &UNSIGNED_16),
        required("route", &Type::List(&HOP, Size::Any)),
        required("routing", &Type::Alternatives { count: 2, extensible: true }),
    ],
    true,
    &[],
);
static HOP: Component = element(&OCTET_STRING_4);
static IPX_ADDRESS: Type = sequence(
    &[
        required("node", &Type::Octets(Size::Exactly(6))),
        required("netnum", &OCTET_STRING_4),
        required("port", &Type::Octets(Size::Exactly(2))),
    ],
    false,
    &[],
);
static IP6_ADDRESS: Type = sequence(
    &[required("ip", &OCTET_STRING_16).marked(Mark::Ip6), required("port", &UNSIGNED_16).marked(Mark::Port)],
    true,
    &[],
);

pub(super) static ALIAS_ADDRESSES: Type = Type::List(&ALIAS_ADDRESS, Size::Any);
static ALIAS_ADDRESS: Component = element(&ALIAS_ADDRESS_KIND);
pub(super) static ALIAS_ADDRESS_KIND: Type = Type::Choice {
    root: &[
        required("dialedDigits", &Type::Text(4, Size::Between(1, 128))),
        required("h323-ID", &Type::Text(16, Size::Between(1, 256))),
    ],
    extensible: true,
    additions: &[],
};

pub(super) static ENDPOINT_TYPE: Type = sequence(
    &[
        optional("nonStandardData", &NON_STANDARD_PARAMETER),
        optional("vendor", &VENDOR_IDENTIFIER),
        optional("gatekeeper", &ONLY_NON_STANDARD),
        optional("gateway", &GATEWAY_INFO),
        optional("mcu", &ONLY_NON_STANDARD),
        optional("terminal", &ONLY_NON_STANDARD),
        required("mc, undefinedNode", &Type::Flags(2)),
    ],
    true,
    &[],
);
/// GatekeeperInfo, McuInfo, TerminalInfo, and the capabilities that a gateway has for each protocol.
static ONLY_NON_STANDARD: Type = sequence(&[optional("nonStandardData", &NON_STANDARD_PARAMETER)], true, &[]);
static GATEWAY_INFO: Type = sequence(
    &[
        optional("protocol", &Type::List(&SUPPORTED_PROTOCOL, Size::Any)),
        optional("nonStandardData", &NON_STANDARD_PARAMETER),
    ],
    true,
    &[],
);
static SUPPORTED_PROTOCOL: Component = element(&SUPPORTED_PROTOCOL_KIND);
static SUPPORTED_PROTOCOL_KIND: Type = Type::Choice {
    root: &[
        required("nonStandardData", &NON_STANDARD_PARAMETER),
        required("h310", &ONLY_NON_STANDARD),
        required("h320", &ONLY_NON_STANDARD),
        required("h321", &ONLY_NON_STANDARD),
        required("h322", &ONLY_NON_STANDARD),
        required("h323", &ONLY_NON_STANDARD),
        required("h324", &ONLY_NON_STANDARD),
        required("voice", &ONLY_NON_STANDARD),
        required("t120-only", &ONLY_NON_STANDARD),
    ],
    extensible: true,
    additions: &[],
};
pub(super) static VENDOR_IDENTIFIER: Type = sequence(
    &[
        required("vendor", &H221_NON_STANDARD),
        optional("productId", &OCTET_STRING_1_TO_256),
        optional("versionId", &OCTET_STRING_1_TO_256),
    ],
    true,
    &[],
);

pub(super) static QSERIES_OPTIONS: Type = sequence(
    &[required("q932Full … q957Full", &Type::Flags(7)), required("q954Info", &Q954_DETAILS)],
    true,
    &[],
);
static Q954_DETAILS: Type =
    sequence(&[required("conferenceCalling, threePartyService", &Type::Flags(2))], true, &[]);

pub(super) static CALL_IDENTIFIER: Type = sequence(&[required("guid", &OCTET_STRING_16)], true, &[]);
pub(super) static CALL_TYPE: Type = alternatives_and_more(4);
/// GatekeeperIdentifier, EndpointIdentifier.
pub(super) static IDENTIFIER: Type = Type::Text(16, Size::Between(1, 128));
