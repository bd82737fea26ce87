//! Certificates that the user wants builds and containers to trust. Only PEM, and only certificates: a file that
//! also holds a private key must never reach an image.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::ImageError;
use crate::digest::hexadecimal;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    /// Its file's name in the image, from its content, so that two are never mixed up.
    pub name: String,
    /// PEM, with a newline at the end.
    pub pem: String,
}

/// Reads every certificate in `files`; bundles are cut up, because the system's store wants one to a file.
///
/// # Errors
/// [`ImageError::BadCertificate`] names the file.
pub async fn read(files: &[PathBuf]) -> Result<Vec<Certificate>, ImageError> {
    let mut all = Vec::new();
    for file in files {
        let bad = |cause: &str| ImageError::BadCertificate { file: file.clone(), cause: cause.to_owned() };
        let text = read_text(file).await.map_err(|error| bad(&error.to_string()))?;
        let found = split(&text).map_err(bad)?;
        all.extend(found);
    }
    all.sort();
    all.dedup();
    Ok(all)
}

async fn read_text(file: &Path) -> std::io::Result<String> {
    tokio::fs::read_to_string(file).await
}

fn split(text: &str) -> Result<Vec<Certificate>, &'static str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let from = &rest[at..];
        let end = from.find(END).ok_or("a certificate in it does not end")? + END.len();
        let pem = format!("{}\n", &from[..end]).replace("\r\n", "\n");
        found.push(Certificate { name: format!("{}.crt", &hexadecimal(&Sha256::digest(&pem))[..16]), pem });
        rest = &from[end..];
    }
    if found.is_empty() { Err("it holds no certificate in PEM form") } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bundles_are_cut_up_and_keys_stay_outside() {
        let one = format!("{BEGIN}\nAAA\n{END}");
        let two = format!("{BEGIN}\r\nBBB\r\n{END}");
        let key = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----";
        let found = split(&format!("# a bundle\n{one}\n{key}\n{two}\n")).unwrap();
        assert_eq!(found.len(), 2, "both certificates are found");
        assert!(found.iter().all(|one| !one.pem.contains("SECRET")), "a key never goes along");
        assert_ne!(found[0].name, found[1].name, "each has its own file");
        assert_eq!(split("hello"), Err("it holds no certificate in PEM form"), "text is no certificate");
        assert_eq!(split(BEGIN), Err("a certificate in it does not end"), "half of one is none");
    }
}
