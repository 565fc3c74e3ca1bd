//! H.245 §B.8: the modes that a terminal asks the other one to send in.

use super::capability::{DATA_PROTOCOL, ENCRYPTION_MODE, NLPID, NON_STANDARD};
use super::channel::H223_PARAMETERS;
use super::video::{BIT_RATE, BUFFER_SIZE, FRAME_EDGE, PICTURE_RATE, VIDEO_BIT_RATE};
use super::{NULL, UNSIGNED_32, alternatives, alternatives_and_more, element};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

pub(super) static REQUESTED_MODES: Type = Type::List(&MODE_DESCRIPTION, Size::Between(1, 256));
static MODE_DESCRIPTION: Component = element(&MODE_DESCRIPTION_KIND);
static MODE_DESCRIPTION_KIND: Type = Type::List(&MODE_ELEMENT, Size::Between(1, 256));
static MODE_ELEMENT: Component = element(&MODE_ELEMENT_KIND);
static MODE_ELEMENT_KIND: Type = sequence(
    &[
        required("type", &MODE_ELEMENT_TYPE),
        // H223ModeParameters has the components of H223LogicalChannelParameters.
        optional("h223ModeParameters", &H223_PARAMETERS),
    ],
    true,
    &[],
);
static MODE_ELEMENT_TYPE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("videoMode", &VIDEO_MODE),
        required("audioMode", &AUDIO_MODE),
        required("dataMode", &DATA_MODE),
        required("encryptionMode", &ENCRYPTION_MODE),
    ],
    extensible: true,
    additions: &[],
};

static VIDEO_MODE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("h261VideoMode", &H261_MODE),
        required("h262VideoMode", &H262_MODE),
        required("h263VideoMode", &H263_MODE),
        required("is11172VideoMode", &IS11172_MODE),
    ],
    extensible: true,
    additions: &[],
};
static H261_MODE: Type = sequence(
    &[
        required("resolution", &alternatives(2)),
        required("bitRate", &BIT_RATE),
        required("stillImageTransmission", &Type::Flags(1)),
    ],
    true,
    &[],
);
static H262_MODE: Type = sequence(
    &[
        required("profileAndLevel", &alternatives_and_more(11)),
        optional("videoBitRate", &VIDEO_BIT_RATE),
        optional("vbvBufferSize", &BUFFER_SIZE),
        optional("samplesPerLine", &FRAME_EDGE),
        optional("linesPerFrame", &FRAME_EDGE),
        optional("framesPerSecond", &PICTURE_RATE),
        optional("luminanceSampleRate", &UNSIGNED_32),
    ],
    true,
    &[],
);
static H263_MODE: Type = sequence(
    &[
        required("resolution", &alternatives_and_more(5)),
        required("bitRate", &BIT_RATE),
        required("unrestrictedVector … pbFrames", &Type::Flags(4)),
    ],
    true,
    &[],
);
static IS11172_MODE: Type = sequence(
    &[
        required("constrainedBitstream", &Type::Flags(1)),
        optional("videoBitRate", &VIDEO_BIT_RATE),
        optional("vbvBufferSize", &BUFFER_SIZE),
        optional("samplesPerLine", &FRAME_EDGE),
        optional("linesPerFrame", &FRAME_EDGE),
        optional("pictureRate", &PICTURE_RATE),
        optional("luminanceSampleRate", &UNSIGNED_32),
    ],
    true,
    &[],
);

static AUDIO_MODE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("g711Alaw64k", &NULL),
        required("g711Alaw56k", &NULL),
        required("g711Ulaw64k", &NULL),
        required("g711Ulaw56k", &NULL),
        required("g722-64k", &NULL),
        required("g722-56k", &NULL),
        required("g722-48k", &NULL),
        required("g728", &NULL),
        required("g729", &NULL),
        required("g729AnnexA", &NULL),
        required("g7231", &alternatives(4)),
        required("is11172AudioMode", &IS11172_AUDIO_MODE),
        required("is13818AudioMode", &IS13818_AUDIO_MODE),
    ],
    extensible: true,
    additions: &[],
};
static IS11172_AUDIO_MODE: Type = sequence(
    &[
        required("audioLayer", &alternatives(3)),
        required("audioSampling", &alternatives(3)),
        required("multichannelType", &alternatives(3)),
        required("bitRate", &Type::Integer(1, 447)),
    ],
    true,
    &[],
);
static IS13818_AUDIO_MODE: Type = sequence(
    &[
        required("audioLayer", &alternatives(3)),
        required("audioSampling", &alternatives(6)),
        required("multichannelType", &alternatives(10)),
        required("lowFrequencyEnhancement, multilingual", &Type::Flags(2)),
        required("bitRate", &Type::Integer(1, 1129)),
    ],
    true,
    &[],
);

static DATA_MODE: Type = sequence(
    &[required("application", &DATA_MODE_APPLICATION), required("bitRate", &UNSIGNED_32)],
    true,
    &[],
);
static DATA_MODE_APPLICATION: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("t120", &DATA_PROTOCOL),
        required("dsm-cc", &DATA_PROTOCOL),
        required("userData", &DATA_PROTOCOL),
        required("t84", &DATA_PROTOCOL),
        required("t434", &DATA_PROTOCOL),
        required("h224", &DATA_PROTOCOL),
        required("nlpid", &NLPID),
        required("dsvdControl", &NULL),
        required("h222DataPartitioning", &DATA_PROTOCOL),
    ],
    extensible: true,
    additions: &[],
};
