//! A client that breaks on purpose, at one request or at some of them.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The request fails and does nothing.
    Fail,
    /// It is done, and its answer is lost.
    LoseReply,
    /// It does nothing, and is never answered.
    Hang,
    /// It is done, and never answered.
    Late,
    /// Of what is read, the second half never comes.
    Stall,
    /// Of what is read, the second half is missing.
    Cut,
    /// Of what is read, a bit is another.
    Flip,
    /// What is read is not there, as if it had not been written yet.
    Gone,
    /// It is answered, if it reads or lists, by how the store was once.
    Stale,
}

impl Break {
    /// True where something is answered, but not what is there.
    fn is_lie(self) -> bool {
        matches!(self, Break::Stall | Break::Cut | Break::Flip | Break::Gone | Break::Stale)
    }

    /// How a request that this happens to ends, where it does not get through.
    async fn end<T>(self, done: impl Future<Output = Result<T>>) -> Result<T> {
        match self {
            Break::Fail => Err(broken()),
            Break::LoseReply => {
                done.await?;
                Err(broken())
            }
            Break::Hang => std::future::pending().await,
            Break::Late => {
                done.await?;
                std::future::pending().await
            }
            _ => done.await,
        }
    }
}

/// A client whose `n`-th request, counted from 0, meets a [`Break`].
#[derive(Debug)]
pub struct Breaking {
    inner: Arc<dyn ObjectStore>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    requests: AtomicU64,
    /// Files that were written, and their bytes.
    puts: AtomicU64,
    bytes: AtomicU64,
    lists: AtomicU64,
    at: u64,
    /// Whether all requests from there on meet it.
    goes_on: bool,
    what: Break,
    /// How the store was once.
    old: Option<Arc<dyn ObjectStore>>,
}

impl Shared {
    /// Counts a request; how it breaks, if it does.
    fn step(&self) -> Option<Break> {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        (number == self.at || (self.goes_on && number > self.at)).then_some(self.what)
    }
}

fn broken() -> Error {
    Error::Generic { store: "a store", source: "made to fail".into() }
}

impl Breaking {
    /// Breaks `inner` at request `at`; never, where there are fewer.
    pub fn new(inner: Arc<dyn ObjectStore>, at: u64, what: Break) -> Breaking {
        let (requests, puts, bytes, lists) = Default::default();
        Breaking { inner, shared: Arc::new(Shared { requests, puts, bytes, lists, at, goes_on: false, what, old: None }) }
    }

    /// Lets `old` answer what is read at request `at`, and where it `goes_on` at all later ones.
    pub fn stale(inner: Arc<dyn ObjectStore>, old: Arc<dyn ObjectStore>, at: u64, goes_on: bool) -> Breaking {
        let (requests, puts, bytes, lists) = Default::default();
        Breaking { inner, shared: Arc::new(Shared { requests, puts, bytes, lists, at, goes_on, what: Break::Stale, old: Some(old) }) }
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// How many of them asked for a list.
    pub fn lists(&self) -> u64 {
        self.shared.lists.load(Ordering::SeqCst)
    }

    /// How many files were written in one request each, and their bytes.
    pub fn written(&self) -> (u64, u64) {
        (self.shared.puts.load(Ordering::SeqCst), self.shared.bytes.load(Ordering::SeqCst))
    }
}

impl fmt::Display for Breaking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that breaks")
    }
}

#[async_trait]
impl ObjectStore for Breaking {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.shared.puts.fetch_add(1, Ordering::SeqCst);
        self.shared.bytes.fetch_add(payload.content_length() as u64, Ordering::SeqCst);
        let put = self.inner.put_opts(location, payload, options);
        match self.shared.step() {
            Some(what) => what.end(put).await,
            None => put.await,
        }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let begun = async {
            let inner = self.inner.put_multipart_opts(location, options).await?;
            Ok(Box::new(Parts { inner, shared: self.shared.clone() }) as Box<dyn MultipartUpload>)
        };
        match self.shared.step() {
            Some(what) => what.end(begun).await,
            None => begun.await,
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(what) = self.shared.step() else { return self.inner.get_opts(location, options).await };
        if what == Break::Gone {
            return Err(Error::NotFound { path: location.to_string(), source: "made to be gone".into() });
        }
        let from = if what == Break::Stale { self.shared.old.as_ref().unwrap_or(&self.inner) } else { &self.inner };
        let got = what.end(from.get_opts(location, options)).await?;
        if !what.is_lie() || what == Break::Stale {
            return Ok(got);
        }
        let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let mut bytes = got.bytes().await?.to_vec();
        let middle = bytes.len() / 2;
        match what {
            Break::Flip => bytes.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 16),
            _ => bytes.truncate(middle),
        }
        let parts = futures::stream::iter([Ok(Bytes::from(bytes))]);
        let stream = if what == Break::Stall { parts.chain(futures::stream::pending()).boxed() } else { parts.boxed() };
        Ok(GetResult { payload: GetResultPayload::Stream(stream), meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, shared) = (self.inner.clone(), self.shared.clone());
        let delete = move |location: Result<Path>| {
            let (inner, shared) = (inner.clone(), shared.clone());
            async move {
                let location = location?;
                let deleted = inner.delete(&location);
                match shared.step() {
                    Some(what) => what.end(deleted).await?,
                    None => deleted.await?,
                }
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.shared.lists.fetch_add(1, Ordering::SeqCst);
        match self.shared.step() {
            Some(Break::Stale) => self.shared.old.as_ref().unwrap_or(&self.inner).list(prefix),
            Some(Break::Fail | Break::LoseReply) => futures::stream::iter([Err(broken())]).boxed(),
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.shared.lists.fetch_add(1, Ordering::SeqCst);
        match self.shared.step() {
            Some(Break::Stale) => self.shared.old.as_ref().unwrap_or(&self.inner).list_with_delimiter(prefix).await,
            Some(what) => what.end(self.inner.list_with_delimiter(prefix)).await,
            None => self.inner.list_with_delimiter(prefix).await,
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// A file in parts, each of which may break.
#[derive(Debug)]
struct Parts {
    inner: Box<dyn MultipartUpload>,
    shared: Arc<Shared>,
}

#[async_trait]
impl MultipartUpload for Parts {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.inner.put_part(data);
        match self.shared.step() {
            Some(what) => Box::pin(what.end(part)),
            None => part,
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let what = self.shared.step();
        let completed = self.inner.complete();
        match what {
            Some(what) => what.end(completed).await,
            None => completed.await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
