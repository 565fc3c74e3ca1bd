//! H.235.0 tokens, which stand ahead of the media of a Progress message.

use super::h225::ALIAS_ADDRESS_KIND;
use super::{NON_STANDARD_PARAMETER, NULL, OBJECT_IDENTIFIER, OCTET_STRING, POSITIVE_32, element};
use crate::h323::per::{Component, Size, Type, optional, required, sequence};

/// H245Security (H.225.0 §7.6).
pub(super) static H245_SECURITY: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_PARAMETER),
        required("noSecurity", &NULL),
        required("tls", &SECURITY_CAPABILITIES),
        required("ipsec", &SECURITY_CAPABILITIES),
    ],
    extensible: true,
    additions: &[],
};
static SECURITY_CAPABILITIES: Type = sequence(
    &[
        optional("nonStandard", &NON_STANDARD_PARAMETER),
        required("encryption", &SECURITY_SERVICE_MODE),
        required("authenticaton", &SECURITY_SERVICE_MODE),
        required("integrity", &SECURITY_SERVICE_MODE),
    ],
    true,
    &[],
);
static SECURITY_SERVICE_MODE: Type = Type::Choice {
    root: &[
        required("nonStandard", &NON_STANDARD_PARAMETER),
        required("none", &NULL),
        required("default", &NULL),
    ],
    extensible: true,
    additions: &[],
};

pub(super) static CLEAR_TOKENS: Type = Type::List(&CLEAR_TOKEN, Size::Any);
static CLEAR_TOKEN: Component = element(&CLEAR_TOKEN_KIND);
static CLEAR_TOKEN_KIND: Type = sequence(
    &[
        required("tokenOID", &OBJECT_IDENTIFIER),
        optional("timeStamp", &POSITIVE_32),
        optional("password", &IDENTIFIER),
        optional("dhkey", &DIFFIE_HELLMAN),
        optional("challenge", &Type::Octets(Size::Between(8, 128))),
        optional("random", &Type::Unbounded),
        optional("certificate", &TYPED_CERTIFICATE),
        optional("generalID", &IDENTIFIER),
        optional("nonStandard", &NON_STANDARD),
    ],
    true,
    &[],
);
/// Password, Identifier.
static IDENTIFIER: Type = Type::Text(16, Size::Between(1, 128));
static DIFFIE_HELLMAN_NUMBER: Type = Type::Bits(Size::Between(0, 4096));
static DIFFIE_HELLMAN: Type = sequence(
    &[
        required("halfkey", &DIFFIE_HELLMAN_NUMBER),
        required("modSize", &DIFFIE_HELLMAN_NUMBER),
        required("generator", &DIFFIE_HELLMAN_NUMBER),
    ],
    true,
    &[],
);
static TYPED_CERTIFICATE: Type =
    sequence(&[required("type", &OBJECT_IDENTIFIER), required("certificate", &OCTET_STRING)], true, &[]);
/// H.235.0 has its own NonStandardParameter.
static NON_STANDARD: Type = sequence(
    &[required("nonStandardIdentifier", &OBJECT_IDENTIFIER), required("data", &OCTET_STRING)],
    false,
    &[],
);

pub(super) static CRYPTO_TOKENS: Type = Type::List(&CRYPTO_H323_TOKEN, Size::Any);
static CRYPTO_H323_TOKEN: Component = element(&CRYPTO_H323_TOKEN_KIND);
static CRYPTO_H323_TOKEN_KIND: Type = Type::Choice {
    root: &[
        required("cryptoEPPwdHash", &ENDPOINT_PASSWORD_HASH),
        required("cryptoGKPwdHash", &GATEKEEPER_PASSWORD_HASH),
        required("cryptoEPPwdEncr", &ENCRYPTED),
        required("cryptoGKPwdEncr", &ENCRYPTED),
        required("cryptoEPCert", &SIGNED),
        required("cryptoGKCert", &SIGNED),
        required("cryptoFastStart", &SIGNED),
        required("nestedcryptoToken", &CRYPTO_TOKEN),
    ],
    extensible: true,
    additions: &[],
};
static ENDPOINT_PASSWORD_HASH: Type = sequence(
    &[
        required("alias", &ALIAS_ADDRESS_KIND),
        required("timeStamp", &POSITIVE_32),
        required("token", &HASHED),
    ],
    false,
    &[],
);
static GATEKEEPER_PASSWORD_HASH: Type = sequence(
    &[required("gatekeeperId", &IDENTIFIER), required("timeStamp", &POSITIVE_32), required("token", &HASHED)],
    false,
    &[],
);
static PARAMS: Type = sequence(
    &[optional("ranInt", &Type::Unbounded), optional("iv8", &Type::Octets(Size::Exactly(8)))],
    true,
    &[],
);
static HASHED: Type = sequence(
    &[
        required("algorithmOID", &OBJECT_IDENTIFIER),
        required("paramS", &PARAMS),
        required("hash", &Type::Bits(Size::Any)),
    ],
    false,
    &[],
);
static ENCRYPTED: Type = sequence(
    &[
        required("algorithmOID", &OBJECT_IDENTIFIER),
        required("paramS", &PARAMS),
        required("encryptedData", &OCTET_STRING),
    ],
    false,
    &[],
);
/// What is signed is an open type: a length and octets.
static SIGNED: Type = sequence(
    &[
        required("toBeSigned", &Type::Opaque),
        required("algorithmOID", &OBJECT_IDENTIFIER),
        required("paramS", &PARAMS),
        required("signature", &Type::Bits(Size::Any)),
    ],
    false,
    &[],
);
static CRYPTO_TOKEN: Type = Type::Choice {
    root: &[
        required("cryptoEncryptedToken", &ENCRYPTED_TOKEN),
        required("cryptoSignedToken", &SIGNED_TOKEN),
        required("cryptoHashedToken", &HASHED_TOKEN),
        required("cryptoPwdEncr", &ENCRYPTED),
    ],
    extensible: true,
    additions: &[],
};
static ENCRYPTED_TOKEN: Type =
    sequence(&[required("tokenOID", &OBJECT_IDENTIFIER), required("token", &ENCRYPTED)], false, &[]);
static SIGNED_TOKEN: Type =
    sequence(&[required("tokenOID", &OBJECT_IDENTIFIER), required("token", &SIGNED)], false, &[]);
static HASHED_TOKEN: Type = sequence(
    &[
        required("tokenOID", &OBJECT_IDENTIFIER),
        required("hashedVals", &CLEAR_TOKEN_KIND),
        required("token", &HASHED),
    ],
    false,
    &[],
);
