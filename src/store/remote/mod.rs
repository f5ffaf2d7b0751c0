//! A store on the network: S3, Google's, Azure's, or a web server to read from.
//!
//! The head pointer is swapped by a conditional PUT; all other files are written once. Requests that fail for want of a connection or of the server are tried again by the client; one that may have been
//! done all the same is told from what is there afterwards.

mod fault;
mod limit;
mod location;
mod lock;
mod probe;
mod profile;
mod runtime;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{Error as RemoteError, GetOptions, GetRange, GetResult, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion};

use super::{Listed, NewFile, RemoteFault, Store, StoreError};
use fault::store_error;
use limit::Limit;
use upload::RemoteFile;

pub use location::{Connect, Location, Scheme, check_endpoint};

const HEAD: &str = "head";
/// A head pointer lists at most some hundred packs: more bytes than these are none.
const HEAD_BYTES_MAX: u64 = 4 << 20;
/// For so many bytes of an answer room is made at once.
const ROOM_BYTES: u64 = 8 << 20;
/// What a swap that met a passing conflict waits before it asks again, in milliseconds.
const CONFLICT_WAIT_MS: u64 = 50;
const CONFLICTS_MAX: usize = 5;

/// A store on the network.
pub struct RemoteStore {
    shared: Arc<Shared>,
    /// The head that was read or written last, and what tells it from others.
    seen: Mutex<Option<(Vec<u8>, UpdateVersion)>>,
    lock: bool,
}

/// What requests need.
struct Shared {
    client: Arc<dyn ObjectStore>,
    prefix: String,
    shown: String,
    is_web: bool,
    limit: Limit,
    timeout_ms: u64,
    bytes_per_ms_min: u64,
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RemoteStore").field(&self.shared.shown).finish()
    }
}

impl Shared {
    /// Where a file of the repository is, for the client.
    fn place(&self, path: &str) -> Path {
        if self.prefix.is_empty() { Path::from(path) } else { Path::from(format!("{}/{path}", self.prefix)) }
    }

    /// Where a file is, for people.
    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.shown)
    }

    fn error(&self, path: &str, error: &RemoteError) -> StoreError {
        store_error(&self.shown(path), error)
    }

    /// A request that must end within the time that its bytes may take.
    async fn in_time<T>(&self, bytes: u64, request: impl Future<Output = Result<T, RemoteError>>) -> Result<T, RemoteError> {
        let limit = Duration::from_millis(self.timeout_ms.saturating_add(bytes / self.bytes_per_ms_min.max(1)));
        tokio::time::timeout(limit, request).await.unwrap_or_else(|_| Err(RemoteError::Generic { store: "remote", source: fault::LATE.into() }))
    }

    /// Asks for a file, or a part of it. Once it is answered, [`Self::next`] brings its bytes.
    async fn get(&self, place: &Path, options: GetOptions) -> Result<GetResult, RemoteError> {
        self.in_time(0, self.client.get_opts(place, options)).await
    }

    /// The next bytes of an answer. One that stops coming is given up at once, however much of it there is to come: a line that is slow goes on.
    async fn next(&self, stream: &mut BoxStream<'static, Result<Bytes, RemoteError>>) -> Result<Option<Bytes>, RemoteError> {
        self.in_time(0, stream.try_next()).await
    }

    fn stopped(&self, path: &str, error: std::io::Error) -> StoreError {
        StoreError::io(self.shown(path), error)
    }
}

impl RemoteStore {
    /// The store at an address on the network. Asks nothing yet.
    pub fn new(location: &Location, connect: &Connect) -> Result<RemoteStore, StoreError> {
        let Location::Url { scheme, host, prefix } = location else {
            return Err(StoreError::Remote { path: location.to_string(), fault: RemoteFault::Address, why: "it is a folder".into() });
        };
        let client = connect.client_of(*scheme, host, prefix).map_err(|e| store_error(&location.to_string(), &e))?;
        // A web server's client has the folder in its address.
        let prefix = if scheme.is_web() { String::new() } else { prefix.clone() };
        Ok(RemoteStore::on(client, prefix, location.to_string(), scheme.is_web(), connect))
    }

    /// The store that a client reaches: for tests, with a client that breaks.
    pub fn on(client: Arc<dyn ObjectStore>, prefix: String, shown: String, is_web: bool, connect: &Connect) -> RemoteStore {
        let limit = Limit::new(connect.concurrency, connect.bytes_per_second);
        RemoteStore {
            shared: Arc::new(Shared { client, prefix, shown, is_web, limit, timeout_ms: connect.timeout_ms, bytes_per_ms_min: connect.bytes_per_ms_min }),
            seen: Mutex::default(),
            lock: connect.lock,
        }
    }

    /// The address, for people.
    pub fn address(&self) -> &str {
        &self.shared.shown
    }

    /// Makes a request and waits for its answer.
    fn ask<T, F>(&self, path: &str, bytes: u64, request: impl FnOnce(Arc<Shared>, Path) -> F) -> Result<Result<T, RemoteError>, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RemoteError>> + Send + 'static,
    {
        let shared = self.shared.clone();
        let future = request(shared.clone(), shared.place(path));
        runtime::wait(async move {
            let _turn = shared.limit.turn(bytes).await;
            shared.in_time(bytes, future).await
        })
        .map_err(|e| self.shared.stopped(path, e))
    }

    /// Runs a request whose failure is the end of it.
    fn request<T, F>(&self, path: &str, bytes: u64, request: impl FnOnce(Arc<Shared>, Path) -> F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RemoteError>> + Send + 'static,
    {
        self.ask(path, bytes, request)?.map_err(|e| self.shared.error(path, &e))
    }

    /// A whole small file, and what tells this version of it from others.
    fn get_small(&self, path: &str, bytes_max: u64) -> Result<Option<(Vec<u8>, UpdateVersion)>, StoreError> {
        let got = self.ask(path, 0, |shared, place| async move {
            let got = shared.get(&place, GetOptions::default()).await?;
            let version = UpdateVersion { e_tag: got.meta.e_tag.clone(), version: got.meta.version.clone() };
            let mut bytes = Vec::new();
            let mut stream = got.into_stream();
            while let Some(part) = shared.next(&mut stream).await? {
                bytes.extend_from_slice(&part);
                if bytes.len() as u64 > bytes_max {
                    break;
                }
            }
            Ok((bytes, version))
        })?;
        match got.map_err(|e| self.shared.error(path, &e)) {
            Ok((bytes, _)) if bytes.len() as u64 > bytes_max => Err(StoreError::Large { path: self.shared.shown(path), bytes_max }),
            Ok(got) => Ok(Some(got)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn put_if(&self, path: &str, bytes: Vec<u8>, mode: PutMode) -> Result<Result<UpdateVersion, RemoteError>, StoreError> {
        if self.shared.is_web {
            return Err(StoreError::ReadOnly { path: self.shared.shown(path) });
        }
        self.ask(path, bytes.len() as u64, |shared, place| async move {
            let options = PutOptions { mode, ..PutOptions::default() };
            let put = shared.client.put_opts(&place, PutPayload::from(bytes), options).await?;
            Ok(UpdateVersion { e_tag: put.e_tag, version: put.version })
        })
    }

    fn see(&self, bytes: &[u8], version: UpdateVersion) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some((bytes.to_vec(), version));
    }

    /// The version of the head whose bytes are these, if it still is the newest as far as is known.
    fn version_of(&self, bytes: &[u8]) -> Result<Option<UpdateVersion>, StoreError> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match seen {
            Some((seen, version)) if seen == bytes => Ok(Some(version)),
            _ => Ok(self.get_small(HEAD, HEAD_BYTES_MAX)?.filter(|(now, _)| now == bytes).map(|(_, version)| version)),
        }
    }

    fn swap(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        for _ in 0..CONFLICTS_MAX {
            let mode = match expected {
                None => PutMode::Create,
                Some(bytes) => match self.version_of(bytes)? {
                    Some(version) if version.e_tag.is_some() || version.version.is_some() => PutMode::Update(version),
                    Some(_) => return Err(self.no_conditions()),
                    None => return Ok(false),
                },
            };
            match self.put_if(HEAD, new.to_vec(), mode)? {
                Ok(version) => {
                    self.see(new, version);
                    return Ok(true);
                }
                Err(error @ (RemoteError::AlreadyExists { .. } | RemoteError::Precondition { .. } | RemoteError::NotFound { .. })) => {
                    // It may be this very write that stands in the way: a lost answer made the client send it again.
                    match self.get_small(HEAD, HEAD_BYTES_MAX)? {
                        Some((now, version)) if now == new => {
                            self.see(&now, version);
                            return Ok(true);
                        }
                        Some((now, version)) => {
                            self.see(&now, version);
                            if Some(now.as_slice()) != expected {
                                return Ok(false);
                            }
                        }
                        None if expected.is_some() => return Ok(false),
                        // A bucket that is not there, or a passing conflict of two writers, both of which may have lost.
                        None if matches!(error, RemoteError::NotFound { .. }) => return Err(self.shared.error(HEAD, &error)),
                        None => {}
                    }
                    std::thread::sleep(Duration::from_millis(CONFLICT_WAIT_MS));
                }
                Err(error) => return Err(self.shared.error(HEAD, &error)),
            }
        }
        Ok(false)
    }

    fn no_conditions(&self) -> StoreError {
        StoreError::Remote {
            path: self.shared.shown(HEAD),
            fault: RemoteFault::NoConditions,
            why: "it writes over files whatever conditions a request makes".into(),
        }
    }
}

impl Store for RemoteStore {
    fn read_head(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.get_small(HEAD, HEAD_BYTES_MAX)?.map(|(bytes, version)| {
            self.see(&bytes, version);
            bytes
        }))
    }

    fn swap_head(&self, expected: Option<&[u8]>, new: &[u8]) -> Result<bool, StoreError> {
        if self.lock { self.swap_locked(expected, new) } else { self.swap(expected, new) }
    }

    fn read(&self, path: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let short = |length| StoreError::Short { path: self.shared.shown(path), length, wanted: range.end };
        let wanted = range.end.saturating_sub(range.start);
        if wanted == 0 {
            let length = self.length(path)?;
            return if range.end <= length { Ok(Bytes::new()) } else { Err(short(length)) };
        }
        let asked = range.clone();
        let got = self.ask(path, wanted, |shared, place| async move {
            let options = GetOptions { range: Some(GetRange::Bounded(asked)), ..GetOptions::default() };
            let mut stream = shared.get(&place, options).await?.into_stream();
            // Room is made for what comes, not for what a server claims; and no more is taken than was asked for.
            let mut bytes = Vec::with_capacity(usize::try_from(wanted.min(ROOM_BYTES)).unwrap_or_default());
            while let Some(part) = shared.next(&mut stream).await? {
                bytes.extend_from_slice(&part);
                if bytes.len() as u64 > wanted {
                    break;
                }
            }
            Ok(Bytes::from(bytes))
        })?;
        match got.map_err(|e| self.shared.error(path, &e)) {
            Ok(bytes) if bytes.len() as u64 == wanted => Ok(bytes),
            Ok(_) => Err(short(self.length(path)?)),
            Err(error @ StoreError::Remote { fault: RemoteFault::Other, .. }) => match self.length(path) {
                // Ranges past the end are refused in many ways.
                Ok(length) if length < range.end => Err(short(length)),
                _ => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    fn read_whole(&self, path: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        match self.get_small(path, bytes_max)? {
            Some((bytes, _)) => Ok(bytes.into()),
            None => Err(StoreError::NotFound { path: self.shared.shown(path) }),
        }
    }

    fn is_far(&self) -> bool {
        true
    }

    fn length(&self, path: &str) -> Result<u64, StoreError> {
        self.request(path, 0, |shared, place| async move { Ok(shared.client.head(&place).await?.size) })
    }

    fn create(&self) -> Result<Box<dyn NewFile>, StoreError> {
        if self.shared.is_web {
            return Err(StoreError::ReadOnly { path: self.shared.shown.clone() });
        }
        Ok(Box::new(RemoteFile::new(self.shared.clone())))
    }

    fn delete(&self, path: &str) -> Result<(), StoreError> {
        match self.request(path, 0, |shared, place| async move { shared.client.delete(&place).await }) {
            Err(StoreError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    fn list(&self, dir: &str) -> Result<Vec<Listed>, StoreError> {
        if self.shared.is_web {
            return Err(StoreError::Remote { path: self.shared.shown(dir), fault: RemoteFault::NoList, why: "a web server does not list its files".into() });
        }
        let listed = self.request(dir, 0, |shared, place| async move { shared.client.list_with_delimiter(Some(&place)).await })?;
        let (now, folder) = (chrono::Utc::now(), self.shared.place(dir));
        // Some stores keep a folder as a file without bytes, which then lies in itself.
        let files = listed.objects.into_iter().filter(|meta| meta.location != folder).filter_map(|meta| {
            let age_ms = u64::try_from((now - meta.last_modified).num_milliseconds()).unwrap_or(0);
            Some(Listed { name: meta.location.filename()?.to_owned(), length: meta.size, age_ms })
        });
        Ok(files.collect())
    }

    /// Parts of uploads that never ended are the store's own affair: rules of the bucket delete them.
    fn clear_unfinished(&self, _: u64) -> Result<u64, StoreError> {
        Ok(0)
    }

    fn send(&self, path: &str, length: u64, read: &(dyn Fn(Range<u64>) -> Result<Bytes, StoreError> + Sync)) -> Result<(), StoreError> {
        if self.shared.is_web {
            return Err(StoreError::ReadOnly { path: self.shared.shown(path) });
        }
        upload::send(&self.shared, path, length, read)
    }
}

#[cfg(test)]
pub mod tests;
