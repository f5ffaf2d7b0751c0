//! What a remote's refusal means, in words for people: without addresses, which may carry signatures, and without secrets.

use std::error::Error;

use object_store::Error as RemoteError;
use object_store::client::{HttpError, HttpErrorKind};

use super::super::{RemoteFault, StoreError};

/// Codes with which S3 stores refuse who asks.
const WRONG_CREDENTIALS: [&str; 6] =
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "AuthenticationFailed", "InvalidAuthenticationInfo"];
/// What is said where credentials were looked for in vain: the machine's own metadata server was asked last.
const NO_CREDENTIALS: [&str; 5] = ["169.254.169.254", "metadata.google.internal", "instance metadata", "token endpoint", "credential"];

/// What the error of a request says that took too long.
pub const LATE: &str = "no answer in time";

/// What failed at `path` of a remote.
pub fn store_error(path: &str, error: &RemoteError) -> StoreError {
    let told = Told::of(error);
    let path = path.to_owned();
    let remote = |fault, why| StoreError::Remote { path: path.clone(), fault, why };
    match (error, told.code.as_deref()) {
        (_, Some("NoSuchBucket" | "ContainerNotFound")) => remote(RemoteFault::NoBucket, "there is no such bucket".into()),
        (_, Some(code)) if WRONG_CREDENTIALS.contains(&code) => remote(RemoteFault::Credentials, told.answer()),
        (RemoteError::NotFound { .. }, _) => StoreError::NotFound { path },
        (RemoteError::NotImplemented { .. } | RemoteError::NotSupported { .. }, _) => StoreError::ReadOnly { path },
        (RemoteError::PermissionDenied { .. }, _) => remote(RemoteFault::Denied, told.answer()),
        (RemoteError::Unauthenticated { .. }, _) => remote(RemoteFault::Credentials, told.answer()),
        _ if told.root == LATE => remote(RemoteFault::Unreachable, "it did not answer in time".into()),
        _ if NO_CREDENTIALS.iter().any(|word| told.chain.contains(word)) => remote(RemoteFault::NoCredentials, "no credentials were found".into()),
        _ => match told.kind {
            Some(HttpErrorKind::Timeout) => remote(RemoteFault::Unreachable, "it did not answer in time".into()),
            Some(HttpErrorKind::Connect | HttpErrorKind::Interrupted | HttpErrorKind::Request) => remote(RemoteFault::Unreachable, told.root),
            _ => remote(RemoteFault::Other, told.answer()),
        },
    }
}

/// What an error and those that it comes from say.
struct Told {
    chain: String,
    /// The innermost reason: those around it repeat addresses.
    root: String,
    kind: Option<HttpErrorKind>,
    /// Of an S3 or Azure store's answer, such as `NoSuchBucket`.
    code: Option<String>,
    /// Such as `403 Forbidden`.
    status: Option<String>,
}

impl Told {
    fn of(error: &RemoteError) -> Told {
        let mut parts = vec![error.to_string()];
        let (mut source, mut kind) = (error.source(), None);
        while let Some(inner) = source {
            kind = inner.downcast_ref::<HttpError>().map(HttpError::kind).or(kind);
            parts.push(inner.to_string());
            source = inner.source();
        }
        let chain = parts.join(": ");
        let between = |from: &str, to: &str| Some(chain.split_once(from)?.1.split_once(to)?.0.trim().to_owned());
        let (code, status) = (between("<Code>", "</Code>"), between("status code: ", ":"));
        let root = parts.pop().unwrap_or_default().replace(['\n', '\r'], " ");
        Told { root, kind, code, status, chain: chain.to_lowercase() }
    }

    fn answer(&self) -> String {
        match (&self.code, &self.status) {
            (Some(code), Some(status)) => format!("it answered {status}: {code}"),
            (None, Some(status)) => format!("it answered {status}"),
            _ => self.root.clone(),
        }
    }
}
