//! H.225.0 §7.3: the H323-UserInformation of call signalling messages.

use super::h225::{
    ALIAS_ADDRESSES, CALL_IDENTIFIER, CALL_TYPE, ENDPOINT_TYPE, QSERIES_OPTIONS, TRANSPORT_ADDRESS,
};
use super::security::{CLEAR_TOKENS, CRYPTO_TOKENS, H245_SECURITY};
use super::{
    ANY, BOOLEAN, Mark, NON_STANDARD_PARAMETER, OBJECT_IDENTIFIER, OCTET_STRING, OCTET_STRING_16, UNSIGNED_8,
    UNSIGNED_16, alternatives_and_more, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// H323-UserInformation.
pub(crate) static USER_INFORMATION: Component = required("H323-UserInformation", &H323_USER_INFORMATION);
static H323_USER_INFORMATION: Type =
    sequence(&[required("h323-uu-pdu", &H323_UU_PDU), optional("user-data", &USER_DATA)], true, &[]);
static USER_DATA: Type = sequence(
    &[
        required("protocol-discriminator", &UNSIGNED_8),
        required("user-information", &Type::Octets(Size::Between(1, 131))),
    ],
    true,
    &[],
);
static H323_UU_PDU: Type = sequence(
    &[
        required("h323-message-body", &MESSAGE_BODY).marked(Mark::Body),
        optional("nonStandardData", &NON_STANDARD_PARAMETER),
    ],
    true,
    &[
        optional("h4501SupplementaryService", &ANY),
        required("h245Tunneling", &BOOLEAN),
        optional("h245Control", &CONTROL_MESSAGES),
    ],
);
static MESSAGE_BODY: Type = Type::Choice {
    root: &[
        required("setup", &SETUP),
        required("callProceeding", &CALL_PROCEEDING),
        required("connect", &CONNECT),
        required("alerting", &CALL_PROCEEDING),
        required("information", &INFORMATION),
        required("releaseComplete", &RELEASE_COMPLETE),
        required("facility", &FACILITY),
    ],
    extensible: true,
    additions: &[required("progress", &PROGRESS)],
};

static FAST_START: Type = Type::List(&FAST_START_ELEMENT, Size::Any);
static FAST_START_ELEMENT: Component = element(&OCTET_STRING).marked(Mark::FastStart);
static CONTROL_MESSAGES: Type = Type::List(&CONTROL_ELEMENT, Size::Any);
static CONTROL_ELEMENT: Component = element(&OCTET_STRING).marked(Mark::Tunnelled);

static SETUP: Type = sequence(
    &[
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        optional("h245Address", &TRANSPORT_ADDRESS).marked(Mark::H245Address),
        optional("sourceAddress", &ALIAS_ADDRESSES),
        required("sourceInfo", &ENDPOINT_TYPE),
        optional("destinationAddress", &ALIAS_ADDRESSES),
        optional("destCallSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::DestinationAddress),
        optional("destExtraCallInfo", &ALIAS_ADDRESSES),
        optional("destExtraCRV", &CALL_REFERENCES),
        required("activeMC", &BOOLEAN),
        required("conferenceID", &OCTET_STRING_16),
        required("conferenceGoal", &CONFERENCE_GOAL),
        optional("callServices", &QSERIES_OPTIONS),
        required("callType", &CALL_TYPE),
    ],
    true,
    &[
        optional("sourceCallSignalAddress", &TRANSPORT_ADDRESS).marked(Mark::SourceAddress),
        optional("remoteExtensionAddress", &ANY),
        required("callIdentifier", &ANY),
        optional("h245SecurityCapability", &ANY),
        optional("tokens", &ANY),
        optional("cryptoTokens", &ANY),
        optional("fastStart", &FAST_START),
        required("mediaWaitForConnect", &ANY),
        required("canOverlapSend", &ANY),
        optional("endpointIdentifier", &ANY),
        required("multipleCalls", &ANY),
        required("maintainConnection", &ANY),
        optional("connectionParameters", &ANY),
        optional("language", &ANY),
        optional("presentationIndicator", &ANY),
        optional("screeningIndicator", &ANY),
        optional("serviceControl", &ANY),
        optional("symmetricOperationRequired", &ANY),
        optional("capacity", &ANY),
        optional("circuitInfo", &ANY),
        optional("desiredProtocols", &ANY),
        optional("neededFeatures", &ANY),
        optional("desiredFeatures", &ANY),
        optional("supportedFeatures", &ANY),
        optional("parallelH245Control", &CONTROL_MESSAGES),
    ],
);
static CALL_REFERENCES: Type = Type::List(&CALL_REFERENCE, Size::Any);
static CALL_REFERENCE: Component = element(&UNSIGNED_16);
static CONFERENCE_GOAL: Type = alternatives_and_more(3);

/// CallProceeding-UUIE; Alerting-UUIE has the same beginning.
static CALL_PROCEEDING: Type = sequence(
    &[
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        required("destinationInfo", &ENDPOINT_TYPE),
        optional("h245Address", &TRANSPORT_ADDRESS).marked(Mark::H245Address),
    ],
    true,
    ANSWER_ADDITIONS,
);
static CONNECT: Type = sequence(
    &[
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        optional("h245Address", &TRANSPORT_ADDRESS).marked(Mark::H245Address),
        required("destinationInfo", &ENDPOINT_TYPE),
        required("conferenceID", &OCTET_STRING_16),
    ],
    true,
    ANSWER_ADDITIONS,
);
/// The first additions of CallProceeding, Connect and Alerting.
static ANSWER_ADDITIONS: &[Component] = &[
    required("callIdentifier", &ANY),
    optional("h245SecurityMode", &ANY),
    optional("tokens", &ANY),
    optional("cryptoTokens", &ANY),
    optional("fastStart", &FAST_START),
];
static INFORMATION: Type = sequence(
    &[required("protocolIdentifier", &OBJECT_IDENTIFIER)],
    true,
    &[
        required("callIdentifier", &ANY),
        optional("tokens", &ANY),
        optional("cryptoTokens", &ANY),
        optional("fastStart", &FAST_START),
    ],
);
static RELEASE_COMPLETE: Type = sequence(
    &[required("protocolIdentifier", &OBJECT_IDENTIFIER), optional("reason", &RELEASE_COMPLETE_REASON)],
    true,
    &[],
);
static RELEASE_COMPLETE_REASON: Type = alternatives_and_more(12);
static FACILITY: Type = sequence(
    &[
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        optional("alternativeAddress", &TRANSPORT_ADDRESS).marked(Mark::AlternativeAddress),
        optional("alternativeAliasAddress", &ALIAS_ADDRESSES),
        optional("conferenceID", &OCTET_STRING_16),
        required("reason", &FACILITY_REASON).marked(Mark::FacilityReason),
    ],
    true,
    &[
        required("callIdentifier", &ANY),
        optional("destExtraCallInfo", &ANY),
        optional("remoteExtensionAddress", &ANY),
        optional("tokens", &ANY),
        optional("cryptoTokens", &ANY),
        optional("conferences", &ANY),
        optional("h245Address", &TRANSPORT_ADDRESS).marked(Mark::H245Address),
        optional("fastStart", &FAST_START),
    ],
);
static FACILITY_REASON: Type = alternatives_and_more(4);
static PROGRESS: Type = sequence(
    &[
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        required("destinationInfo", &ENDPOINT_TYPE),
        optional("h245Address", &TRANSPORT_ADDRESS).marked(Mark::H245Address),
        required("callIdentifier", &CALL_IDENTIFIER),
        optional("h245SecurityMode", &H245_SECURITY),
        optional("tokens", &CLEAR_TOKENS),
        optional("cryptoTokens", &CRYPTO_TOKENS),
        optional("fastStart", &FAST_START),
    ],
    true,
    &[],
);
