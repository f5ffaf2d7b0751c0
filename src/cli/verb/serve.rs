//! `dsv serve`.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::cli::context::Context;
use crate::cli::error::CliError;

/// Bytes of a file that are sent at a time.
const PART_BYTES: u64 = 1 << 20;

/// Show this repository to others on the network, read only
///
/// They clone or read it by its address, http://HOST:PORT; nothing but the files of the repository is shown, and uncommitted changes are among them. With a token in DSV_TOKEN, only those who send the
/// same one (in their own DSV_TOKEN) are answered. Ends with Ctrl-C.
///
/// The connection is not encrypted: put a proxy in front of it where that matters. Any web server that shows the folder .dsv does as well.
///
/// Examples:
///
///   dsv serve --http                     on this machine, port 8484
///   dsv serve --http 0.0.0.0:8000        for the whole network
///   DSV_TOKEN=secret dsv serve --http 0.0.0.0:8000
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Serve {
    /// Speak HTTP, at this address and port
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:8484", required = true)]
    http: SocketAddr,
}

/// What is shown, and to whom.
#[derive(Debug)]
struct Shown {
    folder: PathBuf,
    token: Option<String>,
}

impl Serve {
    pub fn run(self, context: &Context) -> Result<(), CliError> {
        let repo = context.repo()?;
        if let Some(remote) = repo.lazy_remote()? {
            return Err(CliError::usage("this lazy clone has not all of its data").hint(format!("they are on '{remote}': {}", repo.remote_url(&remote)?)));
        }
        let folder = repo.dir().ok_or_else(|| CliError::usage("the repository is in no folder"))?.to_owned();
        let token = repo.environment().variable("DSV_TOKEN");
        let is_open = token.is_none();
        let app = Router::new().fallback(answer).with_state(Arc::new(Shown { folder, token }));
        let failed = |e: std::io::Error| CliError::fault(format!("{}: {e}", self.http));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
        let progress = context.ui.progress();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind(self.http).await.map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            context.ui.note(format!(
                "Serving http://{address}{}; Ctrl-C ends it",
                if is_open { ", to everybody who can reach it" } else { ", to who has the token" }
            ));
            let stopped = async move {
                while !progress.interrupted() {
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.map_err(failed)
        })
    }
}

async fn answer(State(shown): State<Arc<Shown>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if let Some(token) = &shown.token {
        let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        // Hashes are compared, so that the time it takes tells nothing of the token.
        if sent.is_none_or(|sent| blake3::hash(sent.as_bytes()) != blake3::hash(token.as_bytes())) {
            return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response();
        }
    }
    if method != Method::GET && method != Method::HEAD {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let Some(path) = file_of(uri.path()) else { return StatusCode::NOT_FOUND.into_response() };
    let (shown, headers) = (shown.clone(), headers.clone());
    let found = tokio::task::spawn_blocking(move || respond(&shown.folder, &path, method == Method::HEAD, &headers)).await;
    match found {
        Ok(Ok(response)) => response,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => StatusCode::NOT_FOUND.into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The file of the repository that an address asks for: the head pointer, a pack, a part of the catalogue, and nothing else.
fn file_of(path: &str) -> Option<String> {
    let path = path.trim_start_matches('/');
    let is_id = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_shown = match path.split_once('/') {
        None => path == "head",
        Some(("packs", name)) => name.strip_suffix(".pack").is_some_and(is_id),
        Some(("catalogs", name)) => is_id(name),
        Some(_) => false,
    };
    is_shown.then(|| path.to_owned())
}

fn respond(folder: &std::path::Path, path: &str, is_head: bool, headers: &HeaderMap) -> std::io::Result<Response> {
    let mut file = File::open(folder.join(path))?;
    // The head pointer is replaced, never written again: an open one stays what it was.
    let length = file.metadata()?.len();
    let etag = if path == "head" {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        format!("\"{}\"", blake3::hash(&bytes))
    } else {
        format!("\"{path}\"")
    };
    let cache = if path == "head" { "no-cache" } else { "public, max-age=31536000, immutable" };
    let common = [
        (header::ETAG, etag.clone()),
        (header::ACCEPT_RANGES, "bytes".into()),
        (header::CACHE_CONTROL, cache.into()),
        (header::CONTENT_TYPE, "application/octet-stream".into()),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|value| value.to_str().is_ok_and(|value| value.split(',').any(|one| one.trim() == etag))) {
        return Ok((StatusCode::NOT_MODIFIED, common).into_response());
    }
    let asked = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = match asked.map(|text| range_of(text, length)) {
        Some(Some(Ok(range))) => Some(range),
        Some(Some(Err(()))) => return Ok((StatusCode::RANGE_NOT_SATISFIABLE, common, [(header::CONTENT_RANGE, format!("bytes */{length}"))]).into_response()),
        // Several ranges, and what is none, are answered by the whole file, as the protocol allows.
        Some(None) | None => None,
    };
    let (from, to) = range.unwrap_or((0, length));
    let mut response = Response::new(if is_head { Body::empty() } else { body(file, from, to) });
    *response.status_mut() = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut set = |name, value: String| {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    };
    common.into_iter().for_each(|(name, value)| set(name, value));
    set(header::LAST_MODIFIED, "Thu, 01 Jan 1970 00:00:00 GMT".into());
    set(header::CONTENT_LENGTH, (to - from).to_string());
    if range.is_some() {
        set(header::CONTENT_RANGE, format!("bytes {from}-{}/{length}", to.saturating_sub(1)));
    }
    Ok(response)
}

/// `bytes=FROM-TO`, `bytes=FROM-`, `bytes=-LAST`, as from and end; an error where the file has none of them, nothing for other forms.
fn range_of(text: &str, length: u64) -> Option<Result<(u64, u64), ()>> {
    let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
    let range = match (from, to) {
        ("", last) => (length.saturating_sub(last.parse().ok()?), length),
        (from, "") => (from.parse().ok()?, length),
        (from, to) => (from.parse().ok()?, to.parse::<u64>().ok()?.saturating_add(1).min(length)),
    };
    Some(if range.0 < range.1 { Ok(range) } else { Err(()) })
}

/// The bytes `from..to` of a file, part by part.
fn body(file: File, from: u64, to: u64) -> Body {
    let parts = futures::stream::unfold((file, from), move |(mut file, at)| async move {
        if at >= to {
            return None;
        }
        let end = to.min(at + PART_BYTES);
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; (end - at) as usize];
            let done = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut bytes)).map(|()| Bytes::from(bytes));
            (file, done)
        });
        match read.await {
            Ok((file, Ok(bytes))) => Some((Ok(bytes), (file, end))),
            Ok((file, Err(error))) => Some((Err(error), (file, to))),
            Err(_) => None,
        }
    });
    Body::from_stream(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_the_repository_are_shown() {
        let id = "0123456789abcdef".repeat(4);
        for path in ["/head".to_owned(), format!("/packs/{id}.pack"), format!("//catalogs/{id}")] {
            assert!(file_of(&path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/config.toml",
            "/lock",
            "/packs/",
            "/packs/..%2fhead",
            "/packs/../head",
            "/packs/x.pack",
            "/tmp/1",
            "/.dsv/head",
            "/hooks/pre-commit",
            "/dsv.toml",
        ] {
            assert_eq!(file_of(path), None, "{path}");
        }
    }

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-9", Some(Ok((0, 10)))),
            ("bytes=5-", Some(Ok((5, 100)))),
            ("bytes=-7", Some(Ok((93, 100)))),
            ("bytes=-700", Some(Ok((0, 100)))),
            ("bytes=90-200", Some(Ok((90, 100)))),
            ("bytes=100-", Some(Err(()))),
            ("bytes=9-5", Some(Err(()))),
            ("bytes=0-1,5-6", None),
            ("rows=0-1", None),
            ("bytes=", None),
        ] {
            assert_eq!(range_of(text, 100), expected, "{text}");
        }
    }
}
