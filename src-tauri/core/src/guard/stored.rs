//! How paths are written into a baseline: as text where they are text, and else without losing a byte, because a
//! container can give a file any name. What the paths mean is not known here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serializer};

/// No path holds this, so that what begins with it is no path as it is.
const ENCODED: char = '\0';

fn encode(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => format!("{ENCODED}{}", STANDARD.encode(path.as_os_str().as_encoded_bytes())),
    }
}

fn decode<E: serde::de::Error>(text: String) -> Result<PathBuf, E> {
    let Some(encoded) = text.strip_prefix(ENCODED) else { return Ok(text.into()) };
    let bytes = STANDARD.decode(encoded).map_err(E::custom)?;
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        Ok(OsString::from_vec(bytes).into())
    }
    #[cfg(windows)]
    {
        Ok(OsString::from(String::from_utf8_lossy(&bytes).into_owned()).into())
    }
}

/// A path.
pub(super) mod one {
    use super::{Deserialize, Deserializer, Path, PathBuf, Serializer};

    pub(in crate::guard) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::encode(path))
    }

    pub(in crate::guard) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PathBuf, D::Error> {
        super::decode(String::deserialize(from)?)
    }
}

/// Several, in their order.
pub(super) mod several {
    use super::{Deserialize, Deserializer, PathBuf, Serializer};

    pub(in crate::guard) fn serialize<'p, S: Serializer>(
        paths: impl IntoIterator<Item = &'p PathBuf>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(paths.into_iter().map(|path| super::encode(path)))
    }

    pub(in crate::guard) fn deserialize<'a, D: Deserializer<'a>, C: FromIterator<PathBuf>>(
        from: D,
    ) -> Result<C, D::Error> {
        Vec::<String>::deserialize(from)?.into_iter().map(super::decode).collect()
    }
}

/// What is known of each.
pub(super) mod of_each {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::{Deserialize, Deserializer, PathBuf, Serializer};

    pub(in crate::guard) fn serialize<S: Serializer, T: Serialize>(
        all: &BTreeMap<PathBuf, T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(all.iter().map(|(path, value)| (super::encode(path), value)))
    }

    pub(in crate::guard) fn deserialize<'a, D: Deserializer<'a>, T: Deserialize<'a>>(
        from: D,
    ) -> Result<BTreeMap<PathBuf, T>, D::Error> {
        let all = BTreeMap::<String, T>::deserialize(from)?;
        all.into_iter().map(|(path, value)| Ok((super::decode(path)?, value))).collect()
    }
}
