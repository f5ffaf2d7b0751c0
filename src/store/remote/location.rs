//! Where a remote is: its address as people write it, and what is asked there.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::super::{RemoteFault, StoreError};
use super::profile::profile;

/// A remote's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder of this machine: a path, or `file://`.
    Folder(PathBuf),
    /// `s3://`, `gs://`, `az://`, `http://` or `https://`.
    Url {
        /// What it starts with, without `://`.
        scheme: Scheme,
        /// The bucket, the container, or the host with its port.
        host: String,
        /// The folder within, without slashes at its ends; empty at the top.
        prefix: String,
    },
}

/// What kind of store answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Amazon's, and all that speak its protocol.
    S3,
    /// Google's.
    Gs,
    /// Microsoft's.
    Az,
    /// Any web server, to be read from.
    Http,
    /// The same, encrypted.
    Https,
}

impl Scheme {
    const ALL: [(&'static str, Scheme); 5] = [("s3", Scheme::S3), ("gs", Scheme::Gs), ("az", Scheme::Az), ("http", Scheme::Http), ("https", Scheme::Https)];

    fn name(self) -> &'static str {
        Scheme::ALL.iter().find(|(_, scheme)| *scheme == self).map_or("", |(name, _)| name)
    }

    /// True where nothing can be written.
    pub fn is_web(self) -> bool {
        matches!(self, Scheme::Http | Scheme::Https)
    }
}

impl Location {
    /// Reads an address. One with a password in it is refused: addresses are kept in settings and shown.
    pub fn parse(text: &str) -> Result<Location, StoreError> {
        let refused = |why: &str| StoreError::Remote { path: hidden(text), fault: RemoteFault::Address, why: why.to_owned() };
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { Err(refused("an empty address")) } else { Ok(Location::Folder(PathBuf::from(text))) };
        };
        if scheme.eq_ignore_ascii_case("file") {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            return if path.starts_with('/') {
                Ok(Location::Folder(PathBuf::from(decoded(path))))
            } else {
                Err(refused("a file:// address has no host: file:///path"))
            };
        }
        let found = Scheme::ALL.iter().find(|(name, _)| scheme.eq_ignore_ascii_case(name));
        let (_, scheme) = found.ok_or_else(|| refused("none of s3://, gs://, az://, file://, http://, https://"))?;
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if host.contains('@') || rest.contains(['?', '#']) {
            return Err(refused("an address has no password, query or fragment in it: credentials come from the environment or from profiles"));
        }
        if host.is_empty() {
            return Err(refused("a bucket or a host is missing"));
        }
        let prefix = prefix.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        if prefix.split('/').any(|part| part == "." || part == "..") {
            return Err(refused("'.' and '..' name no folder of a remote"));
        }
        Ok(Location::Url { scheme: *scheme, host: host.to_owned(), prefix })
    }
}

/// Refuses the address of a server that carries a password or a query: it is kept in settings.
pub fn check_endpoint(text: &str) -> Result<(), StoreError> {
    if text.contains(['@', '?', '#']) {
        let why = "an endpoint has no password or query in it: credentials come from the environment or from profiles".to_owned();
        return Err(StoreError::Remote { path: hidden(text), fault: RemoteFault::Address, why });
    }
    Ok(())
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Folder(path) => path.display().fmt(f),
            Location::Url { scheme, host, prefix } if prefix.is_empty() => write!(f, "{}://{host}", scheme.name()),
            Location::Url { scheme, host, prefix } => write!(f, "{}://{host}/{prefix}", scheme.name()),
        }
    }
}

/// An address for people, without what may be a secret in it.
fn hidden(text: &str) -> String {
    let (start, rest) = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => (format!("{scheme}://...@"), host),
        _ => (String::new(), text),
    };
    format!("{start}{}", rest.split(['?', '#']).next().unwrap_or_default())
}

/// Percent signs of an address as the characters that they stand for.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = after.get(if byte.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How remotes are asked.
#[derive(Clone)]
pub struct Connect {
    /// Where environment variables are looked up: credentials come from there.
    pub variable: Arc<dyn Fn(&str) -> Option<String> + Send + Sync>,
    /// The address of a store that speaks S3's, Azure's or Google's protocol elsewhere than they do.
    pub endpoint: Option<String>,
    /// The region of a bucket.
    pub region: Option<String>,
    /// How often a request that failed for want of a connection, or of the server, is tried again.
    pub retries: usize,
    /// Milliseconds after which a request that brought no answer has failed.
    pub timeout_ms: u64,
    /// A connection that takes fewer bytes a millisecond is as good as none: what is sent has so much longer.
    pub bytes_per_ms_min: u64,
    /// Requests at the same time, at most.
    pub concurrency: usize,
    /// Bytes a second, at most.
    pub bytes_per_second: Option<u64>,
    /// Whether a store that ignores conditions is used all the same, with a lock object.
    pub lock: bool,
}

impl Connect {
    /// As is usual, with the variables of `variable`.
    pub fn new(variable: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Connect {
        Connect {
            variable: Arc::new(variable),
            endpoint: None,
            region: None,
            retries: 5,
            timeout_ms: 60_000,
            bytes_per_ms_min: 8,
            concurrency: 16,
            bytes_per_second: None,
            lock: false,
        }
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new().with_allow_http(true).with_timeout_disabled().with_connect_timeout(Duration::from_millis(self.timeout_ms.min(10_000)))
    }

    fn retry(&self) -> RetryConfig {
        let backoff = BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
        RetryConfig { backoff, max_retries: self.retries, retry_timeout: Duration::from_secs(120) }
    }

    /// The client of a location on the network.
    pub fn client_of(&self, scheme: Scheme, host: &str, prefix: &str) -> object_store::Result<Arc<dyn ObjectStore>> {
        let set = |names: &[(&str, &str)], values: &std::collections::BTreeMap<&str, String>| -> Vec<(String, String)> {
            let value = |name: &str| (self.variable)(name).or_else(|| values.get(name).cloned());
            names.iter().filter_map(|(variable, key)| Some(((*key).to_owned(), value(variable)?))).collect()
        };
        let nothing = std::collections::BTreeMap::new();
        Ok(match scheme {
            Scheme::S3 => {
                let found = profile(&*self.variable);
                let mut builder = AmazonS3Builder::new().with_bucket_name(host).with_client_options(self.client()).with_retry(self.retry());
                for (key, value) in set(&S3_VARIABLES, &found) {
                    if let Ok(key) = key.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint);
                }
                if let Some(region) = &self.region {
                    builder = builder.with_region(region);
                }
                Arc::new(builder.build()?)
            }
            Scheme::Gs => {
                let mut builder = GoogleCloudStorageBuilder::new().with_bucket_name(host).with_client_options(self.client()).with_retry(self.retry());
                for (key, value) in set(&GS_VARIABLES, &nothing) {
                    if let Ok(key) = key.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                if let Some(endpoint) = self.endpoint.clone().or_else(|| (self.variable)("STORAGE_EMULATOR_HOST")) {
                    let endpoint = if endpoint.contains("://") { endpoint } else { format!("http://{endpoint}") };
                    let account = format!(
                        "{{\"gcs_base_url\": {}, \"disable_oauth\": true, \"client_email\": \"\", \"private_key\": \"\", \"private_key_id\": \"\"}}",
                        quoted(&endpoint)
                    );
                    builder = builder.with_service_account_key(account);
                }
                Arc::new(builder.build()?)
            }
            Scheme::Az => {
                let mut builder = MicrosoftAzureBuilder::new().with_container_name(host).with_client_options(self.client()).with_retry(self.retry());
                for (key, value) in set(&AZ_VARIABLES, &nothing) {
                    if let Ok(key) = key.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                if let Some(endpoint) = &self.endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                Arc::new(builder.build()?)
            }
            Scheme::Http | Scheme::Https => {
                // The folder is part of the address: such a server has no buckets.
                let url = format!("{}://{host}/{prefix}", scheme.name());
                let mut client = self.client();
                if let Some(token) = (self.variable)("DSV_TOKEN") {
                    let mut headers = object_store::HeaderMap::new();
                    if let Ok(mut value) = object_store::HeaderValue::from_str(&format!("Bearer {token}")) {
                        value.set_sensitive(true);
                        headers.insert("authorization", value);
                    }
                    client = client.with_default_headers(headers);
                }
                Arc::new(HttpBuilder::new().with_url(url).with_client_options(client).with_retry(self.retry()).build()?)
            }
        })
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

const S3_VARIABLES: [(&str, &str); 11] = [
    ("AWS_ACCESS_KEY_ID", "aws_access_key_id"),
    ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"),
    ("AWS_SESSION_TOKEN", "aws_session_token"),
    ("AWS_DEFAULT_REGION", "aws_region"),
    ("AWS_REGION", "aws_region"),
    ("AWS_ENDPOINT_URL", "aws_endpoint"),
    ("AWS_ENDPOINT_URL_S3", "aws_endpoint"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "aws_container_credentials_relative_uri"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "aws_web_identity_token_file"),
    ("AWS_ROLE_ARN", "aws_role_arn"),
    ("AWS_SKIP_SIGNATURE", "aws_skip_signature"),
];
const GS_VARIABLES: [(&str, &str); 3] = [
    ("GOOGLE_SERVICE_ACCOUNT", "google_service_account"),
    ("GOOGLE_SERVICE_ACCOUNT_KEY", "google_service_account_key"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "google_application_credentials"),
];
/// Of those that mean the same the later ones win.
const AZ_VARIABLES: [(&str, &str); 12] = [
    ("AZURE_STORAGE_ACCOUNT", "azure_storage_account_name"),
    ("AZURE_STORAGE_ACCOUNT_NAME", "azure_storage_account_name"),
    ("AZURE_STORAGE_KEY", "azure_storage_account_key"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "azure_storage_account_key"),
    ("AZURE_STORAGE_ENDPOINT", "azure_storage_endpoint"),
    ("AZURE_STORAGE_SAS_TOKEN", "azure_storage_sas_key"),
    ("AZURE_STORAGE_SAS_KEY", "azure_storage_sas_key"),
    ("AZURE_CLIENT_ID", "azure_client_id"),
    ("AZURE_CLIENT_SECRET", "azure_client_secret"),
    ("AZURE_TENANT_ID", "azure_tenant_id"),
    ("AZURE_FEDERATED_TOKEN_FILE", "azure_federated_token_file"),
    ("AZURE_STORAGE_USE_EMULATOR", "azure_storage_use_emulator"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn url(scheme: Scheme, host: &str, prefix: &str) -> Location {
        Location::Url { scheme, host: host.into(), prefix: prefix.into() }
    }

    #[test]
    fn addresses() {
        for (text, expected, shown) in [
            ("s3://bucket/data/frames/", url(Scheme::S3, "bucket", "data/frames"), "s3://bucket/data/frames"),
            ("S3://bucket", url(Scheme::S3, "bucket", ""), "s3://bucket"),
            ("https://host:8080//a", url(Scheme::Https, "host:8080", "a"), "https://host:8080/a"),
            ("../other", Location::Folder("../other".into()), "../other"),
            ("file:///a%20b/c", Location::Folder("/a b/c".into()), "/a b/c"),
            ("file://localhost/a%2", Location::Folder("/a%2".into()), "/a%2"),
        ] {
            let location = Location::parse(text).unwrap();
            assert_eq!((&location, location.to_string().as_str()), (&expected, shown));
        }
        for (text, why) in [
            ("", "empty"),
            ("ftp://host/a", "none of s3://"),
            ("s3:///a", "missing"),
            ("file://host/a", "no host"),
            ("s3://bucket/../a", "'..'"),
            ("https://ada:secret@host/a", "no password"),
            ("https://host/a?token=secret", "no password"),
            ("https://ada:se?secret@host/a", "no password"),
        ] {
            let error = Location::parse(text).unwrap_err().to_string();
            assert!(error.contains(why) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
