//! Numbers that survive JSON bit by bit.
//!
//! `serde_json` prints the shortest decimal that reads back as the same `f32`, but turns NaN and the infinities into
//! `null`. They do occur in a log (a diverged model is exactly what one wants to see), so they are written as the
//! strings `"nan"`, `"inf"` and `"-inf"`. The sign and payload of a NaN are not kept.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// An `f32` as JSON number or string.
#[derive(Clone, Copy)]
struct Exact(f32);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            serializer.serialize_f32(self.0)
        } else if self.0.is_nan() {
            serializer.serialize_str("nan")
        } else if self.0 > 0.0 {
            serializer.serialize_str("inf")
        } else {
            serializer.serialize_str("-inf")
        }
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // From the decimal itself: a deserializer that may meet a string hands numbers over as `f64`, and rounding that
        // again to `f32` is wrong for a few decimals, such as 7.038531e-26.
        Self::read(<&RawValue>::deserialize(deserializer)?.get())
    }
}

impl Exact {
    fn read<E: Error>(text: &str) -> Result<Self, E> {
        match text {
            r#""nan""# => Ok(Self(f32::NAN)),
            r#""inf""# => Ok(Self(f32::INFINITY)),
            r#""-inf""# => Ok(Self(f32::NEG_INFINITY)),
            number => number.parse().map(Self).map_err(|_| {
                E::custom(format_args!(
                    "{number} is no number, \"nan\", \"inf\" or \"-inf\""
                ))
            }),
        }
    }
}

/// `#[serde(with = "number::float")]` for an `f32`.
pub(crate) mod float {
    use super::{Deserialize, Deserializer, Exact, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &f32, serializer: S) -> Result<S::Ok, S::Error> {
        Exact(*value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f32, D::Error> {
        Exact::deserialize(deserializer).map(|exact| exact.0)
    }
}

/// `#[serde(with = "number::optional")]` for an `Option<f32>`; a number that nobody gave is `null`. With `default`, a field that is
/// not there is read as one, too.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Exact, RawValue, Serialize, Serializer};

    pub(crate) fn serialize<S: Serializer>(value: &Option<f32>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Exact).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f32>, D::Error> {
        match <&RawValue>::deserialize(deserializer)?.get() {
            "null" => Ok(None),
            number => Exact::read(number).map(|exact| Some(exact.0)),
        }
    }
}

/// `#[serde(with = "number::joints")]` for a [`robot::JointVec`].
pub(crate) mod joints {
    use super::{Deserializer, Error, Exact, Serializer, Visitor};
    use robot::JointVec;
    use serde::de::SeqAccess;

    pub(crate) fn serialize<S: Serializer>(values: &JointVec, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| Exact(*value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<JointVec, D::Error> {
        deserializer.deserialize_seq(JointsVisitor)
    }

    struct JointsVisitor;

    impl<'de> Visitor<'de> for JointsVisitor {
        type Value = JointVec;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at most {} numbers", robot::MAX_JOINTS)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<JointVec, A::Error> {
            let mut values = JointVec::new();
            while let Some(Exact(value)) = sequence.next_element()? {
                values
                    .push(value)
                    .map_err(|_| A::Error::invalid_length(values.len() + 1, &self))?;
            }
            Ok(values)
        }
    }
}

/// `#[serde(with = "number::hex")]` for a `u64`: sixteen hexadecimal digits.
pub(crate) mod hex {
    use super::{Deserializer, Error, Serializer, Visitor};

    pub(crate) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_str(HexVisitor)
    }

    struct HexVisitor;

    impl Visitor<'_> for HexVisitor {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("sixteen hexadecimal digits")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
            u64::from_str_radix(text, 16)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
}
