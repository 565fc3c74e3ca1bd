//! H.245 Annex A: control messages, but for channels, capabilities and modes.

use super::capability::{CAPABILITY, MULTIPLEX_CAPABILITY, NON_STANDARD};
use super::channel::{
    CLOSE_LOGICAL_CHANNEL, LOGICAL_CHANNEL_NUMBER, ONLY_CHANNEL_NUMBER, OPEN_LOGICAL_CHANNEL,
    OPEN_LOGICAL_CHANNEL_ACK, OPEN_LOGICAL_CHANNEL_REJECT,
};
use super::mode::REQUESTED_MODES;
use super::{
    BOOLEAN, EMPTY_SEQUENCE, GENERAL_STRING, Mark, NULL, OBJECT_IDENTIFIER, OCTET_STRING, POSITIVE_16,
    UNSIGNED_8, UNSIGNED_16, alternatives, alternatives_and_more, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// MultimediaSystemControlMessage.
pub(crate) static CONTROL_MESSAGE: Component = required("MultimediaSystemControlMessage", &CONTROL);
static CONTROL: Type = Type::Choice {
    root: &[
        required("request", &REQUEST).marked(Mark::Request),
        required("response", &RESPONSE).marked(Mark::Response),
        required("command", &COMMAND).marked(Mark::Command),
        required("indication", &INDICATION).marked(Mark::Indication),
    ],
    extensible: true,
    additions: &[],
};
static REQUEST: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_MESSAGE),
        required("masterSlaveDetermination", &MASTER_SLAVE_DETERMINATION),
        required("terminalCapabilitySet", &TERMINAL_CAPABILITY_SET),
        required("openLogicalChannel", &OPEN_LOGICAL_CHANNEL),
        required("closeLogicalChannel", &CLOSE_LOGICAL_CHANNEL),
        required("requestChannelClose", &ONLY_CHANNEL_NUMBER),
        required("multiplexEntrySend", &MULTIPLEX_ENTRY_SEND),
        required("requestMultiplexEntry", &ENTRY_NUMBERS),
        required("requestMode", &REQUEST_MODE),
        required("roundTripDelayRequest", &ONLY_SEQUENCE_NUMBER),
        required("maintenanceLoopRequest", &MAINTENANCE_LOOP),
    ],
    extensible: true,
    additions: &[],
};
static RESPONSE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_MESSAGE),
        required("masterSlaveDeterminationAck", &MASTER_SLAVE_DETERMINATION_ACK),
        required("masterSlaveDeterminationReject", &MASTER_SLAVE_DETERMINATION_REJECT),
        required("terminalCapabilitySetAck", &ONLY_SEQUENCE_NUMBER),
        required("terminalCapabilitySetReject", &TERMINAL_CAPABILITY_SET_REJECT),
        required("openLogicalChannelAck", &OPEN_LOGICAL_CHANNEL_ACK),
        required("openLogicalChannelReject", &OPEN_LOGICAL_CHANNEL_REJECT),
        required("closeLogicalChannelAck", &ONLY_CHANNEL_NUMBER),
        required("requestChannelCloseAck", &ONLY_CHANNEL_NUMBER),
        required("requestChannelCloseReject", &REQUEST_CHANNEL_CLOSE_REJECT),
        required("multiplexEntrySendAck", &MULTIPLEX_ENTRY_SEND_ACK),
        required("multiplexEntrySendReject", &MULTIPLEX_ENTRY_SEND_REJECT),
        required("requestMultiplexEntryAck", &ENTRY_NUMBERS),
        required("requestMultiplexEntryReject", &REQUEST_MULTIPLEX_ENTRY_REJECT),
        required("requestModeAck", &REQUEST_MODE_ACK),
        required("requestModeReject", &REQUEST_MODE_REJECT),
        required("roundTripDelayResponse", &ONLY_SEQUENCE_NUMBER),
        required("maintenanceLoopAck", &MAINTENANCE_LOOP),
        required("maintenanceLoopReject", &MAINTENANCE_LOOP_REJECT),
    ],
    extensible: true,
    additions: &[],
};
static COMMAND: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_MESSAGE),
        required("maintenanceLoopOffCommand", &EMPTY_SEQUENCE),
        required("sendTerminalCapabilitySet", &SEND_TERMINAL_CAPABILITY_SET),
        required("encryptionCommand", &ENCRYPTION_COMMAND),
        required("flowControlCommand", &FLOW_CONTROL_COMMAND),
        required("endSessionCommand", &END_SESSION_COMMAND),
        required("miscellaneousCommand", &MISCELLANEOUS_COMMAND),
    ],
    extensible: true,
    additions: &[],
};
static INDICATION: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_MESSAGE),
        required("functionNotUnderstood", &FUNCTION_NOT_UNDERSTOOD),
        required("masterSlaveDeterminationRelease", &EMPTY_SEQUENCE),
        required("terminalCapabilitySetRelease", &EMPTY_SEQUENCE),
        required("openLogicalChannelConfirm", &ONLY_CHANNEL_NUMBER),
        required("requestChannelCloseRelease", &ONLY_CHANNEL_NUMBER),
        required("multiplexEntrySendRelease", &ENTRY_NUMBERS),
        required("requestMultiplexEntryRelease", &ENTRY_NUMBERS),
        required("requestModeRelease", &EMPTY_SEQUENCE),
        required("miscellaneousIndication", &MISCELLANEOUS_INDICATION),
        required("jitterIndication", &JITTER_INDICATION),
        required("h223SkewIndication", &H223_SKEW_INDICATION),
        required("newATMVCIndication", &NEW_ATM_VC_INDICATION),
        required("userInput", &USER_INPUT),
    ],
    extensible: true,
    additions: &[],
};

static NON_STANDARD_MESSAGE: Type = sequence(&[required("nonStandardData", &NON_STANDARD)], true, &[]);
const SEQUENCE_NUMBER: Component = required("sequenceNumber", &UNSIGNED_8);
/// Messages that begin with a sequence number and have nothing else ahead of their extension marker.
static ONLY_SEQUENCE_NUMBER: Type = sequence(&[SEQUENCE_NUMBER], true, &[]);

static MASTER_SLAVE_DETERMINATION: Type = sequence(
    &[
        required("terminalType", &UNSIGNED_8),
        required("statusDeterminationNumber", &Type::Integer(0, 0xff_ffff)),
    ],
    true,
    &[],
);
static MASTER_SLAVE_DETERMINATION_ACK: Type = sequence(&[required("decision", &alternatives(2))], true, &[]);
static MASTER_SLAVE_DETERMINATION_REJECT: Type =
    sequence(&[required("cause", &alternatives_and_more(1))], true, &[]);

static TERMINAL_CAPABILITY_SET: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("protocolIdentifier", &OBJECT_IDENTIFIER),
        optional("multiplexCapability", &MULTIPLEX_CAPABILITY),
        optional("capabilityTable", &Type::List(&CAPABILITY_TABLE_ENTRY, Size::Between(1, 256))),
        optional("capabilityDescriptors", &Type::List(&CAPABILITY_DESCRIPTOR, Size::Between(1, 256))),
    ],
    true,
    &[],
);
static CAPABILITY_TABLE_ENTRY: Component = element(&CAPABILITY_TABLE_ENTRY_KIND);
static CAPABILITY_TABLE_ENTRY_KIND: Type = sequence(
    &[required("capabilityTableEntryNumber", &POSITIVE_16), optional("capability", &CAPABILITY)],
    false,
    &[],
);
static CAPABILITY_DESCRIPTOR: Component = element(&CAPABILITY_DESCRIPTOR_KIND);
static CAPABILITY_DESCRIPTOR_KIND: Type = sequence(
    &[
        required("capabilityDescriptorNumber", &UNSIGNED_8),
        optional("simultaneousCapabilities", &Type::List(&ALTERNATIVE_SET, Size::Between(1, 256))),
    ],
    false,
    &[],
);
static ALTERNATIVE_SET: Component = element(&ALTERNATIVE_CAPABILITY_SET);
static ALTERNATIVE_CAPABILITY_SET: Type = Type::List(&TABLE_ENTRY_NUMBER, Size::Between(1, 256));
static TABLE_ENTRY_NUMBER: Component = element(&POSITIVE_16);
static TERMINAL_CAPABILITY_SET_REJECT: Type =
    sequence(&[SEQUENCE_NUMBER, required("cause", &CAPABILITY_SET_CAUSE)], true, &[]);
static CAPABILITY_SET_CAUSE: Type = Type::Choice {
    root: &[
        required("unspecified", &NULL),
        required("undefinedTableEntryUsed", &NULL),
        required("descriptorCapacityExceeded", &NULL),
        required("tableEntryCapacityExceeded", &ENTRY_CAPACITY_EXCEEDED),
    ],
    extensible: true,
    additions: &[],
};
static ENTRY_CAPACITY_EXCEEDED: Type = Type::Choice {
    root: &[required("highestEntryNumberProcessed", &POSITIVE_16), required("noneProcessed", &NULL)],
    extensible: false,
    additions: &[],
};

static REQUEST_CHANNEL_CLOSE_REJECT: Type = sequence(
    &[
        required("forwardLogicalChannelNumber", &LOGICAL_CHANNEL_NUMBER),
        required("cause", &alternatives_and_more(1)),
    ],
    true,
    &[],
);

static ENTRY_NUMBER: Type = Type::Integer(1, 14);
static ENTRY_NUMBER_ELEMENT: Component = element(&ENTRY_NUMBER);
static ENTRY_NUMBER_SET: Type = Type::List(&ENTRY_NUMBER_ELEMENT, Size::Between(1, 15));
/// RequestMultiplexEntry, its Ack and Release, MultiplexEntrySendRelease.
static ENTRY_NUMBERS: Type = sequence(&[required("entryNumbers", &ENTRY_NUMBER_SET)], true, &[]);
static MULTIPLEX_ENTRY_SEND: Type = sequence(
    &[
        SEQUENCE_NUMBER,
        required("multiplexEntryDescriptors", &Type::List(&ENTRY_DESCRIPTOR, Size::Between(1, 15))),
    ],
    true,
    &[],
);
static ENTRY_DESCRIPTOR: Component = element(&ENTRY_DESCRIPTOR_KIND);
static ENTRY_DESCRIPTOR_KIND: Type = sequence(
    &[
        required("multiplexTableEntryNumber", &ENTRY_NUMBER),
        optional("elementList", &Type::List(&MULTIPLEX_ELEMENT, Size::Between(1, 256))),
    ],
    false,
    &[],
);
static MULTIPLEX_ELEMENT: Component = element(&MULTIPLEX_ELEMENT_KIND);
static MULTIPLEX_ELEMENT_KIND: Type = sequence(
    &[required("type", &MULTIPLEX_ELEMENT_TYPE), required("repeatCount", &REPEAT_COUNT)],
    false,
    &[],
);
static MULTIPLEX_ELEMENT_TYPE: Type = Type::Choice {
    root: &[
        required("logicalChannelNumber", &UNSIGNED_16),
        required("subElementList", &Type::List(&MULTIPLEX_ELEMENT, Size::Between(2, 255))),
    ],
    extensible: false,
    additions: &[],
};
static REPEAT_COUNT: Type = Type::Choice {
    root: &[required("finite", &POSITIVE_16), required("untilClosingFlag", &NULL)],
    extensible: false,
    additions: &[],
};
static MULTIPLEX_ENTRY_SEND_ACK: Type =
    sequence(&[SEQUENCE_NUMBER, required("multiplexTableEntryNumber", &ENTRY_NUMBER_SET)], true, &[]);
static MULTIPLEX_ENTRY_SEND_REJECT: Type = sequence(
    &[SEQUENCE_NUMBER, required("rejectionDescriptions", &Type::List(&SEND_REJECTION, Size::Between(1, 15)))],
    true,
    &[],
);
static SEND_REJECTION: Component = element(&SEND_REJECTION_KIND);
static SEND_REJECTION_KIND: Type = sequence(
    &[required("multiplexTableEntryNumber", &ENTRY_NUMBER), required("cause", &alternatives_and_more(2))],
    true,
    &[],
);
static REQUEST_MULTIPLEX_ENTRY_REJECT: Type = sequence(
    &[
        required("entryNumbers", &ENTRY_NUMBER_SET),
        required("rejectionDescriptions", &Type::List(&REQUEST_REJECTION, Size::Between(1, 15))),
    ],
    true,
    &[],
);
static REQUEST_REJECTION: Component = element(&REQUEST_REJECTION_KIND);
static REQUEST_REJECTION_KIND: Type = sequence(
    &[required("multiplexTableEntryNumber", &ENTRY_NUMBER), required("cause", &alternatives_and_more(1))],
    true,
    &[],
);

static REQUEST_MODE: Type =
    sequence(&[SEQUENCE_NUMBER, required("requestedModes", &REQUESTED_MODES)], true, &[]);
static REQUEST_MODE_ACK: Type =
    sequence(&[SEQUENCE_NUMBER, required("response", &alternatives_and_more(2))], true, &[]);
static REQUEST_MODE_REJECT: Type =
    sequence(&[SEQUENCE_NUMBER, required("cause", &alternatives_and_more(3))], true, &[]);

/// MaintenanceLoopRequest, MaintenanceLoopAck.
static MAINTENANCE_LOOP: Type = sequence(&[required("type", &LOOP_TYPE)], true, &[]);
static LOOP_TYPE: Type = Type::Choice {
    root: &[
        required("systemLoop", &NULL),
        required("mediaLoop", &LOGICAL_CHANNEL_NUMBER),
        required("logicalChannelLoop", &LOGICAL_CHANNEL_NUMBER),
    ],
    extensible: true,
    additions: &[],
};
static MAINTENANCE_LOOP_REJECT: Type =
    sequence(&[required("type", &LOOP_TYPE), required("cause", &alternatives_and_more(1))], true, &[]);

static SEND_TERMINAL_CAPABILITY_SET: Type = Type::Choice {
    root: &[required("specificRequest", &SPECIFIC_REQUEST), required("genericRequest", &NULL)],
    extensible: true,
    additions: &[],
};
static SPECIFIC_REQUEST: Type = sequence(
    &[
        required("multiplexCapability", &BOOLEAN),
        optional("capabilityTableEntryNumbers", &Type::List(&TABLE_ENTRY_NUMBER, Size::Between(1, 65535))),
        optional("capabilityDescriptorNumbers", &Type::List(&DESCRIPTOR_NUMBER, Size::Between(1, 256))),
    ],
    true,
    &[],
);
static DESCRIPTOR_NUMBER: Component = element(&UNSIGNED_8);
static ENCRYPTION_COMMAND: Type = Type::Choice {
    root: &[
        required("encryptionSE", &OCTET_STRING),
        required("encryptionIVRequest", &NULL),
        required("encryptionAlgorithmID", &ENCRYPTION_ALGORITHM),
    ],
    extensible: true,
    additions: &[],
};
static ENCRYPTION_ALGORITHM: Type = sequence(
    &[required("h233AlgorithmIdentifier", &UNSIGNED_8), required("associatedAlgorithm", &NON_STANDARD)],
    false,
    &[],
);
static SCOPE: Type = Type::Choice {
    root: &[
        required("logicalChannelNumber", &LOGICAL_CHANNEL_NUMBER),
        required("resourceID", &UNSIGNED_16),
        required("wholeMultiplex", &NULL),
    ],
    extensible: false,
    additions: &[],
};
static FLOW_CONTROL_COMMAND: Type =
    sequence(&[required("scope", &SCOPE), required("restriction", &RESTRICTION)], true, &[]);
static RESTRICTION: Type = Type::Choice {
    root: &[required("maximumBitRate", &Type::Integer(0, 0xff_ffff)), required("noRestriction", &NULL)],
    extensible: false,
    additions: &[],
};
static END_SESSION_COMMAND: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("disconnect", &NULL),
        required("gstnOptions", &alternatives_and_more(5)),
    ],
    extensible: true,
    additions: &[],
};
static MISCELLANEOUS_COMMAND: Type = sequence(
    &[
        required("logicalChannelNumber", &LOGICAL_CHANNEL_NUMBER),
        required("type", &MISCELLANEOUS_COMMAND_TYPE),
    ],
    true,
    &[],
);
static MISCELLANEOUS_COMMAND_TYPE: Type = Type::Choice {
    root: &[
        required("equaliseDelay", &NULL),
        required("zeroDelay", &NULL),
        required("multipointModeCommand", &NULL),
        required("cancelMultipointModeCommand", &NULL),
        required("videoFreezePicture", &NULL),
        required("videoFastUpdatePicture", &NULL),
        required("videoFastUpdateGOB", &FAST_UPDATE_GOB),
        required("videoTemporalSpatialTradeOff", &TRADE_OFF),
        required("videoSendSyncEveryGOB", &NULL),
        required("videoSendSyncEveryGOBCancel", &NULL),
    ],
    extensible: true,
    additions: &[],
};
static TRADE_OFF: Type = Type::Integer(0, 31);
static FAST_UPDATE_GOB: Type = sequence(
    &[required("firstGOB", &Type::Integer(0, 17)), required("numberOfGOBs", &Type::Integer(1, 17))],
    false,
    &[],
);

static FUNCTION_NOT_UNDERSTOOD: Type = Type::Choice {
    root: &[required("request", &REQUEST), required("response", &RESPONSE), required("command", &COMMAND)],
    extensible: false,
    additions: &[],
};
static MISCELLANEOUS_INDICATION: Type = sequence(
    &[
        required("logicalChannelNumber", &LOGICAL_CHANNEL_NUMBER),
        required("type", &MISCELLANEOUS_INDICATION_TYPE),
    ],
    true,
    &[],
);
static MISCELLANEOUS_INDICATION_TYPE: Type = Type::Choice {
    root: &[
        required("logicalChannelActive", &NULL),
        required("logicalChannelInactive", &NULL),
        required("multipointConference", &NULL),
        required("cancelMultipointConference", &NULL),
        required("multipointZeroComm", &NULL),
        required("cancelMultipointZeroComm", &NULL),
        required("multipointSecondaryStatus", &NULL),
        required("cancelMultipointSecondaryStatus", &NULL),
        required("videoIndicateReadyToActivate", &NULL),
        required("videoTemporalSpatialTradeOff", &TRADE_OFF),
    ],
    extensible: true,
    additions: &[],
};
static JITTER_INDICATION: Type = sequence(
    &[
        required("scope", &SCOPE),
        required("estimatedReceivedJitterMantissa", &Type::Integer(0, 3)),
        required("estimatedReceivedJitterExponent", &Type::Integer(0, 7)),
        optional("skippedFrameCount", &Type::Integer(0, 15)),
        optional("additionalDecoderBuffer", &Type::Integer(0, 262_143)),
    ],
    true,
    &[],
);
static H223_SKEW_INDICATION: Type = sequence(
    &[
        required("logicalChannelNumber1", &LOGICAL_CHANNEL_NUMBER),
        required("logicalChannelNumber2", &LOGICAL_CHANNEL_NUMBER),
        required("skew", &Type::Integer(0, 4095)),
    ],
    true,
    &[],
);
static NEW_ATM_VC_INDICATION: Type = sequence(
    &[
        required("resourceID", &UNSIGNED_16),
        required("bitRate", &POSITIVE_16),
        required("bitRateLockedToPCRClock, bitRateLockedToNetworkClock", &Type::Flags(2)),
        required("aal", &ADAPTATION_LAYER),
        required("multiplex", &alternatives_and_more(3)),
    ],
    true,
    &[],
);
static ADAPTATION_LAYER: Type = Type::Choice {
    root: &[required("aal1", &AAL1), required("aal5", &AAL5)],
    extensible: true,
    additions: &[],
};
static AAL1: Type = sequence(
    &[
        required("clockRecovery", &alternatives_and_more(3)),
        required("errorCorrection", &alternatives_and_more(4)),
        required("structuredDataTransfer, partiallyFilledCells", &Type::Flags(2)),
    ],
    true,
    &[],
);
static AAL5: Type = sequence(
    &[required("forwardMaximumSDUSize", &UNSIGNED_16), required("backwardMaximumSDUSize", &UNSIGNED_16)],
    true,
    &[],
);
static USER_INPUT: Type = Type::Choice {
    root: &[required("nonStandard", &NON_STANDARD), required("alphanumeric", &GENERAL_STRING)],
    extensible: true,
    additions: &[],
};
