//! H.245 §B.3: logical channels.

use super::capability::{
    AUDIO_CAPABILITY, DATA_APPLICATION_CAPABILITY, ENCRYPTION_MODE, NON_STANDARD, NON_STANDARD_ELEMENT,
};
use super::video::VIDEO_CAPABILITY;
use super::{
    BOOLEAN, Mark, NULL, OBJECT_IDENTIFIER, OCTET_STRING, OCTET_STRING_1_TO_20, OCTET_STRING_4,
    OCTET_STRING_16, UNSIGNED_7, UNSIGNED_8, UNSIGNED_16, alternatives, alternatives_and_more, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// An OpenLogicalChannel that is an encoding of its own.
pub(crate) static FAST_START: Component =
    required("OpenLogicalChannel", &OPEN_LOGICAL_CHANNEL).marked(Mark::Channel);

pub(super) static LOGICAL_CHANNEL_NUMBER: Type = Type::Integer(1, 65534);
const CHANNEL_NUMBER: Component =
    required("forwardLogicalChannelNumber", &LOGICAL_CHANNEL_NUMBER).marked(Mark::ChannelNumber);

pub(super) static OPEN_LOGICAL_CHANNEL: Type = sequence(
    &[
        CHANNEL_NUMBER,
        required("forwardLogicalChannelParameters", &FORWARD_PARAMETERS).marked(Mark::Forward),
        optional("reverseLogicalChannelParameters", &REVERSE_PARAMETERS).marked(Mark::Reverse),
    ],
    true,
    &[optional("separateStack", &NETWORK_ACCESS_PARAMETERS)],
);
static FORWARD_PARAMETERS: Type = sequence(
    &[
        optional("portNumber", &UNSIGNED_16),
        required("dataType", &DATA_TYPE),
        required("multiplexParameters", &FORWARD_MULTIPLEX),
    ],
    true,
    &[],
);
static FORWARD_MULTIPLEX: Type = Type::Choice {
    root: &[
        required("h222LogicalChannelParameters", &H222_PARAMETERS),
        required("h223LogicalChannelParameters", &H223_PARAMETERS),
        required("v76LogicalChannelParameters", &V76_PARAMETERS),
    ],
    extensible: true,
    additions: &[required("h2250LogicalChannelParameters", &H2250_PARAMETERS)],
};
static REVERSE_PARAMETERS: Type = sequence(
    &[required("dataType", &DATA_TYPE), optional("multiplexParameters", &REVERSE_MULTIPLEX)],
    true,
    &[],
);
static REVERSE_MULTIPLEX: Type = Type::Choice {
    root: &[
        required("h223LogicalChannelParameters", &H223_PARAMETERS),
        required("v76LogicalChannelParameters", &V76_PARAMETERS),
    ],
    extensible: true,
    additions: &[required("h2250LogicalChannelParameters", &H2250_PARAMETERS)],
};

pub(super) static DATA_TYPE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("nullData", &NULL),
        required("videoData", &VIDEO_CAPABILITY),
        required("audioData", &AUDIO_CAPABILITY),
        required("data", &DATA_APPLICATION_CAPABILITY),
        required("encryptionData", &ENCRYPTION_MODE),
    ],
    extensible: true,
    additions: &[],
};

static H222_PARAMETERS: Type = sequence(
    &[
        required("resourceID", &UNSIGNED_16),
        required("subChannelID", &Type::Integer(0, 8191)),
        optional("pcr-pid", &Type::Integer(0, 8191)),
        optional("programDescriptors", &OCTET_STRING),
        optional("streamDescriptors", &OCTET_STRING),
    ],
    true,
    &[],
);
/// H223LogicalChannelParameters; H223ModeParameters is the same.
pub(super) static H223_PARAMETERS: Type = sequence(
    &[required("adaptationLayerType", &H223_ADAPTATION_LAYER), required("segmentableFlag", &BOOLEAN)],
    true,
    &[],
);
static H223_ADAPTATION_LAYER: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("al1Framed", &NULL),
        required("al1NotFramed", &NULL),
        required("al2WithoutSequenceNumbers", &NULL),
        required("al2WithSequenceNumbers", &NULL),
        required("al3", &AL3),
    ],
    extensible: true,
    additions: &[],
};
static AL3: Type = sequence(
    &[
        required("controlFieldOctets", &Type::Integer(0, 2)),
        required("sendBufferSize", &Type::Integer(0, 0xff_ffff)),
    ],
    false,
    &[],
);
static V76_PARAMETERS: Type = sequence(
    &[
        required("hdlcParameters", &V76_HDLC_PARAMETERS),
        required("suspendResume", &alternatives_and_more(3)),
        required("uIH", &BOOLEAN),
        required("mode", &V76_MODE),
        required("v75Parameters", &V75_PARAMETERS),
    ],
    true,
    &[],
);
static V76_HDLC_PARAMETERS: Type = sequence(
    &[
        required("crcLength", &alternatives_and_more(3)),
        required("n401", &Type::Integer(1, 4094)),
        required("loopbackTestProcedure", &BOOLEAN),
    ],
    true,
    &[],
);
static V76_MODE: Type = Type::Choice {
    root: &[required("eRM", &V76_ERM), required("uNERM", &NULL)],
    extensible: true,
    additions: &[],
};
static V76_ERM: Type = sequence(
    &[required("windowSize", &Type::Integer(1, 126)), required("recovery", &alternatives_and_more(3))],
    true,
    &[],
);
static V75_PARAMETERS: Type = sequence(&[required("audioHeaderPresent", &BOOLEAN)], true, &[]);

static H2250_PARAMETERS: Type = sequence(
    &[
        optional("nonStandard", &Type::List(&NON_STANDARD_ELEMENT, Size::Any)),
        required("sessionID", &UNSIGNED_8),
        optional("associatedSessionID", &SESSION_ID),
        optional("mediaChannel", &TRANSPORT_ADDRESS).marked(Mark::MediaChannel),
        optional("mediaGuaranteedDelivery", &BOOLEAN),
        optional("mediaControlChannel", &TRANSPORT_ADDRESS).marked(Mark::MediaControlChannel),
        optional("mediaControlGuaranteedDelivery", &BOOLEAN),
        optional("silenceSuppression", &BOOLEAN),
        optional("destination", &TERMINAL_LABEL),
        optional("dynamicRTPPayloadType", &DYNAMIC_PAYLOAD_TYPE),
        optional("mediaPacketization", &MEDIA_PACKETIZATION),
    ],
    true,
    &[],
);
static SESSION_ID: Type = Type::Integer(1, 254);
static DYNAMIC_PAYLOAD_TYPE: Type = Type::Integer(96, 31);
static TERMINAL_LABEL: Type = sequence(
    &[required("mcuNumber", &Type::Integer(0, 192)), required("terminalNumber", &Type::Integer(0, 192))],
    true,
    &[],
);
static MEDIA_PACKETIZATION: Type = Type::Choice {
    root: &[required("h261aVideoPacketization", &NULL)],
    extensible: true,
    additions: &[required("rtpPayloadType", &RTP_PAYLOAD_TYPE)],
};
static RTP_PAYLOAD_TYPE: Type = sequence(
    &[required("payloadDescriptor", &PAYLOAD_DESCRIPTOR), optional("payloadType", &UNSIGNED_7)],
    true,
    &[],
);
static PAYLOAD_DESCRIPTOR: Type = Type::Choice {
    root: &[
        required("nonStandardIdentifier", &NON_STANDARD),
        required("rfc-number", &Type::ExtensibleInteger(1, 32767)),
        required("oid", &OBJECT_IDENTIFIER),
    ],
    extensible: true,
    additions: &[],
};

/// TransportAddress of H.245, unlike that of H.225.0.
static TRANSPORT_ADDRESS: Type = Type::Choice {
    root: &[required("unicastAddress", &UNICAST_ADDRESS), required("multicastAddress", &MULTICAST_ADDRESS)],
    extensible: true,
    additions: &[],
};
static UNICAST_ADDRESS: Type = Type::Choice {
    root: &[
        required("iPAddress", &IP_ADDRESS),
        required("iPXAddress", &IPX_ADDRESS),
        required("iP6Address", &IP6_ADDRESS),
        required("netBios", &OCTET_STRING_16),
        required("iPSourceRouteAddress", &IP_SOURCE_ROUTE_ADDRESS),
    ],
    extensible: true,
    additions: &[],
};
static IP_ADDRESS: Type = sequence(
    &[
        required("network", &OCTET_STRING_4).marked(Mark::Ip4),
        required("tsapIdentifier", &UNSIGNED_16).marked(Mark::Port),
    ],
    true,
    &[],
);
static IPX_ADDRESS: Type = sequence(
    &[
        required("node", &Type::Octets(Size::Exactly(6))),
        required("netnum", &OCTET_STRING_4),
        required("tsapIdentifier", &Type::Octets(Size::Exactly(2))),
    ],
    true,
    &[],
);
static IP6_ADDRESS: Type = sequence(
    &[
        required("network", &OCTET_STRING_16).marked(Mark::Ip6),
        required("tsapIdentifier", &UNSIGNED_16).marked(Mark::Port),
    ],
    true,
    &[],
);
static IP_SOURCE_ROUTE_ADDRESS: Type = sequence(
    &[
        required("routing", &alternatives(2)),
        required("network", &OCTET_STRING_4),
        required("tsapIdentifier", &UNSIGNED_16),
        required("route", &Type::List(&HOP, Size::Any)),
    ],
    true,
    &[],
);
static HOP: Component = element(&OCTET_STRING_4);
static MULTICAST_ADDRESS: Type = Type::Choice {
    root: &[required("iPAddress", &MULTICAST_IP_ADDRESS), required("iP6Address", &MULTICAST_IP6_ADDRESS)],
    extensible: true,
    additions: &[],
};
static MULTICAST_IP_ADDRESS: Type =
    sequence(&[required("network", &OCTET_STRING_4), required("tsapIdentifier", &UNSIGNED_16)], true, &[]);
static MULTICAST_IP6_ADDRESS: Type =
    sequence(&[required("network", &OCTET_STRING_16), required("tsapIdentifier", &UNSIGNED_16)], true, &[]);

static NETWORK_ACCESS_PARAMETERS: Type = sequence(
    &[
        optional("distribution", &alternatives_and_more(2)),
        required("networkAddress", &NETWORK_ADDRESS),
        required("associateConference", &BOOLEAN),
        optional("externalReference", &Type::Octets(Size::Between(1, 255))),
    ],
    true,
    &[],
);
static NETWORK_ADDRESS: Type = Type::Choice {
    root: &[
        required("q2931Address", &Q2931_ADDRESS),
        required("e164Address", &Type::Text(4, Size::Between(1, 128))),
        required("localAreaAddress", &TRANSPORT_ADDRESS).marked(Mark::StackAddress),
    ],
    extensible: true,
    additions: &[],
};
static Q2931_ADDRESS: Type =
    sequence(&[required("address", &Q2931_NUMBER), optional("subaddress", &OCTET_STRING_1_TO_20)], true, &[]);
static Q2931_NUMBER: Type = Type::Choice {
    root: &[
        required("internationalNumber", &Type::Text(4, Size::Between(1, 16))),
        required("nsapAddress", &OCTET_STRING_1_TO_20),
    ],
    extensible: true,
    additions: &[],
};

pub(super) static OPEN_LOGICAL_CHANNEL_ACK: Type = sequence(
    &[
        CHANNEL_NUMBER,
        optional("reverseLogicalChannelParameters", &ACK_REVERSE_PARAMETERS).marked(Mark::Reverse),
    ],
    true,
    &[
        optional("separateStack", &NETWORK_ACCESS_PARAMETERS),
        optional("forwardMultiplexAckParameters", &FORWARD_ACK).marked(Mark::Forward),
    ],
);
static ACK_REVERSE_PARAMETERS: Type = sequence(
    &[
        required("reverseLogicalChannelNumber", &LOGICAL_CHANNEL_NUMBER),
        optional("portNumber", &UNSIGNED_16),
        optional("multiplexParameters", &ACK_REVERSE_MULTIPLEX),
    ],
    true,
    &[],
);
static ACK_REVERSE_MULTIPLEX: Type = Type::Choice {
    root: &[required("h222LogicalChannelParameters", &H222_PARAMETERS)],
    extensible: true,
    additions: &[required("h2250LogicalChannelParameters", &H2250_PARAMETERS)],
};
static FORWARD_ACK: Type = Type::Choice {
    root: &[required("h2250LogicalChannelAckParameters", &H2250_ACK_PARAMETERS)],
    extensible: true,
    additions: &[],
};
static H2250_ACK_PARAMETERS: Type = sequence(
    &[
        optional("nonStandard", &Type::List(&NON_STANDARD_ELEMENT, Size::Any)),
        optional("sessionID", &SESSION_ID),
        optional("mediaChannel", &TRANSPORT_ADDRESS).marked(Mark::MediaChannel),
        optional("mediaControlChannel", &TRANSPORT_ADDRESS).marked(Mark::MediaControlChannel),
        optional("dynamicRTPPayloadType", &DYNAMIC_PAYLOAD_TYPE),
    ],
    true,
    &[],
);
pub(super) static OPEN_LOGICAL_CHANNEL_REJECT: Type =
    sequence(&[CHANNEL_NUMBER, required("cause", &alternatives_and_more(6))], true, &[]);
pub(super) static CLOSE_LOGICAL_CHANNEL: Type =
    sequence(&[CHANNEL_NUMBER, required("source", &alternatives(2))], true, &[]);
/// Messages about a channel that have nothing but its number ahead of their extension marker.
pub(super) static ONLY_CHANNEL_NUMBER: Type = sequence(&[CHANNEL_NUMBER], true, &[]);
