//! H.245 §B.2.2.4 to §B.2.2.8: video capabilities. What H.263 added later stands behind its extension marker.

use super::capability::NON_STANDARD;
use super::{UNSIGNED_16, UNSIGNED_32};
use crate::h323::per::{Type, optional, required, sequence};

pub(super) static VIDEO_CAPABILITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD),
        required("h261VideoCapability", &H261),
        required("h262VideoCapability", &H262),
        required("h263VideoCapability", &H263),
        required("is11172VideoCapability", &IS11172),
    ],
    extensible: true,
    additions: &[],
};
static FROM_1_TO_4: Type = Type::Integer(1, 3);
static FROM_1_TO_32: Type = Type::Integer(1, 31);
/// Units of 100 bit/s.
pub(super) static BIT_RATE: Type = Type::Integer(1, 19_199);
/// Units of 400 bit/s.
pub(super) static VIDEO_BIT_RATE: Type = Type::Integer(0, 1_073_741_823);
pub(super) static BUFFER_SIZE: Type = Type::Integer(0, 262_143);
pub(super) static FRAME_EDGE: Type = Type::Integer(0, 16_383);
pub(super) static PICTURE_RATE: Type = Type::Integer(0, 15);

static H261: Type = sequence(
    &[
        optional("qcifMPI", &FROM_1_TO_4),
        optional("cifMPI", &FROM_1_TO_4),
        required("temporalSpatialTradeOffCapability", &Type::Flags(1)),
        required("maxBitRate", &BIT_RATE),
        required("stillImageTransmission", &Type::Flags(1)),
    ],
    true,
    &[],
);
static H262: Type = sequence(
    &[
        required("profileAndLevel-SPatML … profileAndLevel-HPatHL", &Type::Flags(11)),
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
static H263: Type = sequence(
    &[
        optional("sqcifMPI", &FROM_1_TO_32),
        optional("qcifMPI", &FROM_1_TO_32),
        optional("cifMPI", &FROM_1_TO_32),
        optional("cif4MPI", &FROM_1_TO_32),
        optional("cif16MPI", &FROM_1_TO_32),
        required("maxBitRate", &Type::Integer(1, 192_399)),
        required("unrestrictedVector … temporalSpatialTradeOffCapability", &Type::Flags(5)),
        optional("hrd-B", &Type::Integer(0, 524_287)),
        optional("bppMaxKb", &UNSIGNED_16),
    ],
    true,
    &[],
);
static IS11172: Type = sequence(
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
