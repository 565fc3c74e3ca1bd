//! H.245 §B.2: capabilities of multiplexes, audio, data and conferences.

use super::video::VIDEO_CAPABILITY;
use super::{
    BOOLEAN, FROM_1_TO_256, Mark, NULL, OBJECT_IDENTIFIER, OCTET_STRING, POSITIVE_16, UNSIGNED_8,
    UNSIGNED_16, UNSIGNED_32, element,
};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// NonStandardParameter of H.245, whose parts cannot be extended as those of H.225.0 can.
pub(super) static NON_STANDARD: Type = sequence(
    &[required("nonStandardIdentifier", &NON_STANDARD_IDENTIFIER), required("data", &OCTET_STRING)],
    false,
    &[],
);
pub(super) static NON_STANDARD_ELEMENT: Component = element(&NON_STANDARD);
static NON_STANDARD_IDENTIFIER: Type = Type::Choice {
    root: &[required("object", &OBJECT_IDENTIFIER), required("h221NonStandard", &H221_NON_STANDARD)],
    extensible: false,
    additions: &[],
};
static H221_NON_STANDARD: Type = sequence(
    &[
        required("t35CountryCode", &UNSIGNED_8),
        required("t35Extension", &UNSIGNED_8),
        required("manufacturerCode", &UNSIGNED_16),
    ],
    false,
    &[],
);

pub(super) static CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("receiveVideoCapability", &VIDEO_CAPABILITY),
        required("transmitVideoCapability", &VIDEO_CAPABILITY),
        required("receiveAndTransmitVideoCapability", &VIDEO_CAPABILITY),
        required("receiveAudioCapability", &AUDIO_CAPABILITY),
        required("transmitAudioCapability", &AUDIO_CAPABILITY),
        required("receiveAndTransmitAudioCapability", &AUDIO_CAPABILITY),
        required("receiveDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("transmitDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("receiveAndTransmitDataApplicationCapability", &DATA_APPLICATION_CAPABILITY),
        required("h233EncryptionTransmitCapability", &BOOLEAN),
        required("h233EncryptionReceiveCapability", &H233_RECEIVE),
    ],
    extensible: true,
    additions: &[],
};
static H233_RECEIVE: Type = sequence(&[required("h233IVResponseTime", &UNSIGNED_8)], true, &[]);

pub(super) static MULTIPLEX_CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("h222Capability", &H222_CAPABILITY),
        required("h223Capability", &H223_CAPABILITY),
        required("v76Capability", &V76_CAPABILITY),
    ],
    extensible: true,
    additions: &[required("h2250Capability", &H2250_CAPABILITY)],
};
static H222_CAPABILITY: Type = sequence(
    &[
        required("numberOfVCs", &FROM_1_TO_256),
        required("vcCapability", &Type::List(&VC_CAPABILITY, Size::Any)),
    ],
    true,
    &[],
);
static VC_CAPABILITY: Component = element(&VC_CAPABILITY_KIND);
static VC_CAPABILITY_KIND: Type = sequence(
    &[
        optional("aal1", &VC_AAL1),
        optional("aal5", &VC_AAL5),
        required("transportStream, programStream", &Type::Flags(2)),
        required("availableBitRates", &AVAILABLE_BIT_RATES),
    ],
    true,
    &[],
);
static VC_AAL1: Type =
    sequence(&[required("nullClockRecovery … partiallyFilledCells", &Type::Flags(9))], true, &[]);
static VC_AAL5: Type = sequence(
    &[required("forwardMaximumSDUSize", &UNSIGNED_16), required("backwardMaximumSDUSize", &UNSIGNED_16)],
    true,
    &[],
);
static AVAILABLE_BIT_RATES: Type = sequence(&[required("type", &BIT_RATE_TYPE)], true, &[]);
static BIT_RATE_TYPE: Type = Type::Choice {
    root: &[required("singleBitRate", &POSITIVE_16), required("rangeOfBitRates", &BIT_RATE_RANGE)],
    extensible: false,
    additions: &[],
};
static BIT_RATE_RANGE: Type =
    sequence(&[required("lowerBitRate", &POSITIVE_16), required("higherBitRate", &POSITIVE_16)], false, &[]);
static H223_CAPABILITY: Type = sequence(
    &[
        required("transportWithI-frames … dataWithAL3", &Type::Flags(10)),
        required("maximumAl2SDUSize", &UNSIGNED_16),
        required("maximumAl3SDUSize", &UNSIGNED_16),
        required("maximumDelayJitter", &DELAY_JITTER),
        required("h223MultiplexTableCapability", &H223_TABLE_CAPABILITY),
    ],
    true,
    &[],
);
static DELAY_JITTER: Type = Type::Integer(0, 1023);
static H223_TABLE_CAPABILITY: Type = Type::Choice {
    root: &[required("basic", &NULL), required("enhanced", &H223_ENHANCED_TABLE)],
    extensible: false,
    additions: &[],
};
static H223_ENHANCED_TABLE: Type = sequence(
    &[
        required("maximumNestingDepth", &Type::Integer(1, 14)),
        required("maximumElementListSize", &Type::Integer(2, 253)),
        required("maximumSubElementListSize", &Type::Integer(2, 253)),
    ],
    true,
    &[],
);
static V76_CAPABILITY: Type = sequence(
    &[
        required("suspendResumeCapabilitywAddress … uihCapability", &Type::Flags(9)),
        required("numOfDLCS", &Type::Integer(2, 8189)),
        required("twoOctetAddressFieldCapability, loopBackTestCapability", &Type::Flags(2)),
        required("n401Capability", &Type::Integer(1, 4094)),
        required("maxWindowSizeCapability", &Type::Integer(1, 126)),
        required("v75Capability", &V75_CAPABILITY),
    ],
    true,
    &[],
);
static V75_CAPABILITY: Type = sequence(&[required("audioHeader", &BOOLEAN)], true, &[]);

static H2250_CAPABILITY: Type = sequence(
    &[
        required("maximumAudioDelayJitter", &DELAY_JITTER),
        required("receiveMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("transmitMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("receiveAndTransmitMultipointCapability", &MULTIPOINT_CAPABILITY),
        required("mcCapability", &MC_CAPABILITY),
        required("rtcpVideoControlCapability", &BOOLEAN),
        required("mediaPacketizationCapability", &MEDIA_PACKETIZATION_CAPABILITY),
    ],
    true,
    &[],
);
static MC_CAPABILITY: Type =
    sequence(&[required("centralizedConferenceMC, decentralizedConferenceMC", &Type::Flags(2))], true, &[]);
static MEDIA_PACKETIZATION_CAPABILITY: Type =
    sequence(&[required("h261aVideoPacketization", &BOOLEAN)], true, &[]);
static MULTIPOINT_CAPABILITY: Type = sequence(
    &[
        required("multicastCapability, multiUniCastConference", &Type::Flags(2)),
        required("mediaDistributionCapability", &Type::List(&MEDIA_DISTRIBUTION, Size::Any)),
    ],
    true,
    &[],
);
static MEDIA_DISTRIBUTION: Component = element(&MEDIA_DISTRIBUTION_KIND);
static MEDIA_DISTRIBUTION_KIND: Type = sequence(
    &[
        required("centralizedControl … distributedVideo", &Type::Flags(6)),
        optional("centralizedData", &Type::List(&DATA_ELEMENT, Size::Any)),
        optional("distributedData", &Type::List(&DATA_ELEMENT, Size::Any)),
    ],
    true,
    &[],
);
static DATA_ELEMENT: Component = element(&DATA_APPLICATION_CAPABILITY);

pub(super) static AUDIO_CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("g711Alaw64k", &FROM_1_TO_256),
        required("g711Alaw56k", &FROM_1_TO_256),
        required("g711Ulaw64k", &FROM_1_TO_256),
        required("g711Ulaw56k", &FROM_1_TO_256),
        required("g722-64k", &FROM_1_TO_256),
        required("g722-56k", &FROM_1_TO_256),
        required("g722-48k", &FROM_1_TO_256),
        required("g7231", &G7231),
        required("g728", &FROM_1_TO_256),
        required("g729", &FROM_1_TO_256),
        required("g729AnnexA", &FROM_1_TO_256),
        required("is11172AudioCapability", &IS11172_AUDIO),
        required("is13818AudioCapability", &IS13818_AUDIO),
    ],
    extensible: true,
    additions: &[],
};
static G7231: Type = sequence(
    &[required("maxAl-sduAudioFrames", &FROM_1_TO_256), required("silenceSuppression", &BOOLEAN)],
    false,
    &[],
);
static IS11172_AUDIO: Type = sequence(
    &[required("audioLayer1 … twoChannels", &Type::Flags(8)), required("bitRate", &Type::Integer(1, 447))],
    true,
    &[],
);
static IS13818_AUDIO: Type = sequence(
    &[required("audioLayer1 … multilingual", &Type::Flags(20)), required("bitRate", &Type::Integer(1, 1129))],
    true,
    &[],
);

pub(super) static DATA_APPLICATION_CAPABILITY: Type = sequence(
    &[required("application", &APPLICATION).marked(Mark::Application), required("maxBitRate", &UNSIGNED_32)],
    true,
    &[],
);
static APPLICATION: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("t120", &DATA_PROTOCOL),
        required("dsm-cc", &DATA_PROTOCOL),
        required("userData", &DATA_PROTOCOL),
        required("t84", &T84),
        required("t434", &DATA_PROTOCOL),
        required("h224", &DATA_PROTOCOL),
        required("nlpid", &NLPID),
        required("dsvdControl", &NULL),
        required("h222DataPartitioning", &DATA_PROTOCOL),
    ],
    extensible: true,
    additions: &[
        required("t30fax", &DATA_PROTOCOL),
        required("t140", &DATA_PROTOCOL),
        required("t38fax", &T38_FAX),
    ],
};
pub(super) static DATA_PROTOCOL: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("v14buffered", &NULL),
        required("v42lapm", &NULL),
        required("hdlcFrameTunnelling", &NULL),
        required("h310SeparateVCStack", &NULL),
        required("h310SingleVCStack", &NULL),
        required("transparent", &NULL),
    ],
    extensible: true,
    additions: &[],
};
static T84: Type =
    sequence(&[required("t84Protocol", &DATA_PROTOCOL), required("t84Profile", &T84_PROFILE)], false, &[]);
static T84_PROFILE: Type = Type::Choice {
    root: &[required("t84Unrestricted", &NULL), required("t84Restricted", &T84_RESTRICTED)],
    extensible: false,
    additions: &[],
};
static T84_RESTRICTED: Type = sequence(&[required("qcif … digPhotoHighProg", &Type::Flags(19))], true, &[]);
pub(super) static NLPID: Type =
    sequence(&[required("nlpidProtocol", &DATA_PROTOCOL), required("nlpidData", &OCTET_STRING)], false, &[]);
static T38_FAX: Type = sequence(
    &[
        required("t38FaxProtocol", &DATA_PROTOCOL).marked(Mark::DataProtocol),
        required("t38FaxProfile", &T38_FAX_PROFILE),
    ],
    false,
    &[],
);
static T38_FAX_PROFILE: Type =
    sequence(&[required("fillBitRemoval, transcodingJBIG, transcodingMMR", &Type::Flags(3))], true, &[]);

pub(super) static ENCRYPTION_MODE: Type = Type::Choice {
    root: &[required("nonStandard", &NON_STANDARD), required("h233Encryption", &NULL)],
    extensible: true,
    additions: &[],
};
