//! H.225.0 §7.7 to §7.19: registration, admission and status (RAS).
//!
//! The messages behind the extension marker of RasMessage announce nothing and are stepped over, but for admissionConfirmSequence.

use super::h225::{
    ALIAS_ADDRESSES, CALL_TYPE, ENDPOINT_TYPE, IDENTIFIER, QSERIES_OPTIONS, TRANSPORT_ADDRESS,
    VENDOR_IDENTIFIER,
};
use super::{
    ANY, BOOLEAN, Mark, NON_STANDARD_PARAMETER, NULL, OBJECT_IDENTIFIER, OCTET_STRING_16, POSITIVE_16,
    POSITIVE_32, UNSIGNED_7, UNSIGNED_16, UNSIGNED_32, alternatives_and_more, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// RasMessage.
pub(crate) static RAS_MESSAGE: Component = required("RasMessage", &RAS).marked(Mark::Ras);
static RAS: Type = Type::Choice {
    root: &[
        required("gatekeeperRequest", &GATEKEEPER_REQUEST),
        required("gatekeeperConfirm", &GATEKEEPER_CONFIRM),
        required("gatekeeperReject", &GATEKEEPER_REJECT),
        required("registrationRequest", &REGISTRATION_REQUEST),
        required("registrationConfirm", &REGISTRATION_CONFIRM),
        required("registrationReject", &REGISTRATION_REJECT),
        required("unregistrationRequest", &UNREGISTRATION_REQUEST),
        required("unregistrationConfirm", &CONFIRM),
        required("unregistrationReject", &UNREGISTRATION_REJECT),
        required("admissionRequest", &ADMISSION_REQUEST),
        required("admissionConfirm", &ADMISSION_CONFIRM),
        required("admissionReject", &ADMISSION_REJECT),
        required("bandwidthRequest", &BANDWIDTH_REQUEST),
        required("bandwidthConfirm", &BANDWIDTH_CONFIRM),
        required("bandwidthReject", &BANDWIDTH_REJECT),
        required("disengageRequest", &DISENGAGE_REQUEST),
        required("disengageConfirm", &CONFIRM),
        required("disengageReject", &DISENGAGE_REJECT),
        required("locationRequest", &LOCATION_REQUEST),
        required("locationConfirm", &LOCATION_CONFIRM),
        required("locationReject", &LOCATION_REJECT),
        required("infoRequest", &INFO_REQUEST),
        required("infoRequestResponse", &INFO_REQUEST_RESPONSE),
        required("nonStandardMessage", &NON_STANDARD_MESSAGE),
        required("unknownMessageResponse", &UNKNOWN_MESSAGE_RESPONSE),
    ],
    extensible: true,
    additions: &[
        required("requestInProgress", &ANY),
        required("resourcesAvailableIndicate", &ANY),
        required("resourcesAvailableConfirm", &ANY),
        required("infoRequestAck", &ANY),
        required("infoRequestNak", &ANY),
        required("serviceControlIndication", &ANY),
        required("serviceControlResponse", &ANY),
        required("admissionConfirmSequence", &ADMISSION_CONFIRM_SEQUENCE),
    ],
};

const SEQUENCE_NUMBER: Component = required("requestSeqNum", &POSITIVE_16).marked(Mark::SequenceNumber);
const PROTOCOL: Component = required("protocolIdentifier", &OBJECT_IDENTIFIER);
const NON_STANDARD: Component = optional("nonStandardData", &NON_STANDARD_PARAMETER);
const GATEKEEPER: Component = optional("gatekeeperIdentifier", &IDENTIFIER);
const ENDPOINT: Component = required("endpointIdentifier", &IDENTIFIER);
const TIME_TO_LIVE: Component = optional("timeToLive", &POSITIVE_32).marked(Mark::TimeToLive);
const SIGNAL_ADDRESSES: Component = required("callSignalAddress", &SIGNAL_ADDRESS_LIST);
static SIGNAL_ADDRESS_LIST: Type = Type::List(&SIGNAL_ADDRESS_ELEMENT, Size::Any);
static SIGNAL_ADDRESS_ELEMENT: Component = element(&TRANSPORT_ADDRESS).marked(Mark::SignalAddress);
static RAS_ADDRESS_ELEMENT: Component = element(&TRANSPORT_ADDRESS).marked(Mark::RasAddress);
const RAS_ADDRESS: Component = required("rasAddress", &TRANSPORT_ADDRESS).marked(Mark::RasAddress);

static GATEKEEPER_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        PROTOCOL,
        NON_STANDARD,
        RAS_ADDRESS,
        required("endpointType", &ENDPOINT_TYPE),
        GATEKEEPER,
        optional("callServices", &QSERIES_OPTIONS),
        optional("endpointAlias", &ALIAS_ADDRESSES),
    ],
    true,
    &[],
);
static GATEKEEPER_CONFIRM: Type = sequence(
    &[SEQUENCE_NUMBER, PROTOCOL, NON_STANDARD, GATEKEEPER, RAS_ADDRESS],
    true,
    &[optional("alternateGatekeeper", &ALTERNATE_GATEKEEPERS)],
);
static ALTERNATE_GATEKEEPERS: Type = Type::List(&ALTERNATE_GATEKEEPER_ELEMENT, Size::Any);
static ALTERNATE_GATEKEEPER_ELEMENT: Component = element(&ALTERNATE_GATEKEEPER);
static ALTERNATE_GATEKEEPER: Type = sequence(
    &[
        // A third host that may be asked later; it is not announced.
        required("rasAddress", &TRANSPORT_ADDRESS),
        GATEKEEPER,
        required("needToRegister", &BOOLEAN),
        required("priority", &UNSIGNED_7),
    ],
    true,
    &[],
);
static GATEKEEPER_REJECT: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        PROTOCOL,
        NON_STANDARD,
        GATEKEEPER,
        required("rejectReason", &GATEKEEPER_REJECT_REASON),
    ],
    true,
    &[],
);
static GATEKEEPER_REJECT_REASON: Type = alternatives_and_more(4);

static REGISTRATION_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        PROTOCOL,
        NON_STANDARD,
        required("discoveryComplete", &BOOLEAN),
        SIGNAL_ADDRESSES,
        required("rasAddress", &Type::List(&RAS_ADDRESS_ELEMENT, Size::Any)),
        required("terminalType", &ENDPOINT_TYPE),
        optional("terminalAlias", &ALIAS_ADDRESSES),
        GATEKEEPER,
        required("endpointVendor", &VENDOR_IDENTIFIER),
    ],
    true,
    &[
        optional("alternateEndpoints", &ANY),
        TIME_TO_LIVE,
        optional("tokens", &ANY),
        optional("cryptoTokens", &ANY),
        optional("integrityCheckValue", &ANY),
        required("keepAlive", &BOOLEAN).marked(Mark::KeepAlive),
    ],
);
static REGISTRATION_CONFIRM: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        PROTOCOL,
        NON_STANDARD,
        SIGNAL_ADDRESSES,
        optional("terminalAlias", &ALIAS_ADDRESSES),
        GATEKEEPER,
        ENDPOINT,
    ],
    true,
    &[optional("alternateGatekeeper", &ALTERNATE_GATEKEEPERS), TIME_TO_LIVE],
);
static REGISTRATION_REJECT: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        PROTOCOL,
        NON_STANDARD,
        required("rejectReason", &REGISTRATION_REJECT_REASON),
        GATEKEEPER,
    ],
    true,
    &[],
);
static REGISTRATION_REJECT_REASON: Type = Type::Choice {
    root: &[
        required("discoveryRequired", &NULL),
        required("invalidRevision", &NULL),
        required("invalidCallSignalAddress", &NULL),
        required("invalidRASAddress", &NULL),
        required("duplicateAlias", &ALIAS_ADDRESSES),
        required("invalidTerminalType", &NULL),
        required("undefinedReason", &NULL),
        required("transportNotSupported", &NULL),
    ],
    extensible: true,
    additions: &[],
};

static UNREGISTRATION_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        SIGNAL_ADDRESSES,
        optional("endpointAlias", &ALIAS_ADDRESSES),
        NON_STANDARD,
        optional("endpointIdentifier", &IDENTIFIER),
    ],
    true,
    &[],
);
/// UnregistrationConfirm, DisengageConfirm.
static CONFIRM: Type = sequence(&[SEQUENCE_NUMBER, NON_STANDARD], true, &[]);
static UNREGISTRATION_REJECT: Type = sequence(
    &[SEQUENCE_NUMBER, required("rejectReason", &UNREGISTRATION_REJECT_REASON), NON_STANDARD],
    true,
    &[],
);
static UNREGISTRATION_REJECT_REASON: Type = alternatives_and_more(3);

static ADMISSION_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("callType", &CALL_TYPE),
        optional("callModel", &CALL_MODEL),
        ENDPOINT,
        optional("destinationInfo", &ALIAS_ADDRESSES),
        optional("destCallSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::DestinationAddress),
        optional("destExtraCallInfo", &ALIAS_ADDRESSES),
        required("srcInfo", &ALIAS_ADDRESSES),
        optional("srcCallSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::SourceAddress),
        required("bandWidth", &UNSIGNED_32),
        required("callReferenceValue", &UNSIGNED_16),
        NON_STANDARD,
        optional("callServices", &QSERIES_OPTIONS),
        required("conferenceID", &OCTET_STRING_16),
        required("activeMC", &BOOLEAN),
        required("answerCall", &BOOLEAN),
    ],
    true,
    &[],
);
static CALL_MODEL: Type = alternatives_and_more(2);
static ADMISSION_CONFIRM: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("bandWidth", &UNSIGNED_32),
        required("callModel", &CALL_MODEL),
        required("destCallSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::DestinationAddress),
        optional("irrFrequency", &POSITIVE_16),
        NON_STANDARD,
    ],
    true,
    &[],
);
static ADMISSION_CONFIRM_SEQUENCE: Type = Type::List(&ADMISSION_CONFIRM_ELEMENT, Size::Any);
static ADMISSION_CONFIRM_ELEMENT: Component = element(&ADMISSION_CONFIRM);
static ADMISSION_REJECT: Type =
    sequence(&[SEQUENCE_NUMBER, required("rejectReason", &ADMISSION_REJECT_REASON), NON_STANDARD], true, &[]);
static ADMISSION_REJECT_REASON: Type = alternatives_and_more(8);

static BANDWIDTH_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        ENDPOINT,
        required("conferenceID", &OCTET_STRING_16),
        required("callReferenceValue", &UNSIGNED_16),
        optional("callType", &CALL_TYPE),
        required("bandWidth", &UNSIGNED_32),
        NON_STANDARD,
    ],
    true,
    &[],
);
static BANDWIDTH_CONFIRM: Type =
    sequence(&[SEQUENCE_NUMBER, required("bandWidth", &UNSIGNED_32), NON_STANDARD], true, &[]);
static BANDWIDTH_REJECT: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("rejectReason", &BANDWIDTH_REJECT_REASON),
        required("allowedBandWidth", &UNSIGNED_32),
        NON_STANDARD,
    ],
    true,
    &[],
);
static BANDWIDTH_REJECT_REASON: Type = alternatives_and_more(6);

static DISENGAGE_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        ENDPOINT,
        required("conferenceID", &OCTET_STRING_16),
        required("callReferenceValue", &UNSIGNED_16),
        required("disengageReason", &DISENGAGE_REASON),
        NON_STANDARD,
    ],
    true,
    &[],
);
static DISENGAGE_REASON: Type = alternatives_and_more(3);
static DISENGAGE_REJECT: Type =
    sequence(&[SEQUENCE_NUMBER, required("rejectReason", &DISENGAGE_REJECT_REASON), NON_STANDARD], true, &[]);
static DISENGAGE_REJECT_REASON: Type = alternatives_and_more(2);

static LOCATION_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        optional("endpointIdentifier", &IDENTIFIER),
        required("destinationInfo", &ALIAS_ADDRESSES),
        NON_STANDARD,
        required("replyAddress", &TRANSPORT_ADDRESS).marked(Mark::ReplyAddress),
    ],
    true,
    &[],
);
static LOCATION_CONFIRM: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("callSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::DestinationAddress),
        RAS_ADDRESS,
        NON_STANDARD,
    ],
    true,
    &[],
);
static LOCATION_REJECT: Type =
    sequence(&[SEQUENCE_NUMBER, required("rejectReason", &LOCATION_REJECT_REASON), NON_STANDARD], true, &[]);
static LOCATION_REJECT_REASON: Type = alternatives_and_more(4);

static INFO_REQUEST: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("callReferenceValue", &UNSIGNED_16),
        NON_STANDARD,
        optional("replyAddress", &TRANSPORT_ADDRESS).marked(Mark::ReplyAddress),
    ],
    true,
    &[],
);
static INFO_REQUEST_RESPONSE: Type = sequence(
    &[
        NON_STANDARD,
        SEQUENCE_NUMBER,
        required("endpointType", &ENDPOINT_TYPE),
        ENDPOINT,
        RAS_ADDRESS,
        SIGNAL_ADDRESSES,
        optional("endpointAlias", &ALIAS_ADDRESSES),
        optional("perCallInfo", &Type::List(&PER_CALL_INFO_ELEMENT, Size::Any)),
    ],
    true,
    &[],
);
static PER_CALL_INFO_ELEMENT: Component = element(&PER_CALL_INFO);
static PER_CALL_INFO: Type = sequence(
    &[
        NON_STANDARD,
        required("callReferenceValue", &UNSIGNED_16),
        required("conferenceID", &OCTET_STRING_16),
        optional("originator", &BOOLEAN),
        optional("audio", &Type::List(&RTP_SESSION_ELEMENT, Size::Any)),
        optional("video", &Type::List(&RTP_SESSION_ELEMENT, Size::Any)),
        optional("data", &Type::List(&TRANSPORT_CHANNEL_ELEMENT, Size::Any)),
        required("h245", &TRANSPORT_CHANNEL_INFO),
        required("callSignaling", &TRANSPORT_CHANNEL_INFO),
        required("callType", &CALL_TYPE),
        required("bandWidth", &UNSIGNED_32),
        required("callModel", &CALL_MODEL),
    ],
    true,
    &[],
);
static RTP_SESSION_ELEMENT: Component = element(&RTP_SESSION);
static RTP_SESSION: Type = sequence(
    &[
        required("rtpAddress", &TRANSPORT_CHANNEL_INFO),
        required("rtcpAddress", &TRANSPORT_CHANNEL_INFO),
        required("cname", &Type::Text(8, Size::Any)),
        required("ssrc", &POSITIVE_32),
        required("sessionId", &SESSION_ID),
        required("associatedSessionIds", &Type::List(&SESSION_ID_ELEMENT, Size::Any)),
    ],
    true,
    &[],
);
static SESSION_ID: Type = Type::Integer(1, 254);
static SESSION_ID_ELEMENT: Component = element(&SESSION_ID);
static TRANSPORT_CHANNEL_ELEMENT: Component = element(&TRANSPORT_CHANNEL_INFO);
static TRANSPORT_CHANNEL_INFO: Type = sequence(
    &[optional("sendAddress", &TRANSPORT_ADDRESS), optional("recvAddress", &TRANSPORT_ADDRESS)],
    true,
    &[],
);

static NON_STANDARD_MESSAGE: Type =
    sequence(&[SEQUENCE_NUMBER, required("nonStandardData", &NON_STANDARD_PARAMETER)], true, &[]);
static UNKNOWN_MESSAGE_RESPONSE: Type = sequence(&[SEQUENCE_NUMBER], true, &[]);
