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
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// The request fails and does nothing.
    Fail,
    /// It is done, and its answer is lost.
    LoseReply,
    /// Of what is read, the second half is missing.
    Cut,
    /// Of what is read, a bit is another.
    Flip,
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
    at: u64,
    what: Break,
}

impl Shared {
    /// Counts a request; how it breaks, if it does.
    fn step(&self) -> Option<Break> {
        (self.requests.fetch_add(1, Ordering::SeqCst) == self.at).then_some(self.what)
    }
}

fn broken() -> Error {
    Error::Generic { store: "a store", source: "made to fail".into() }
}

impl Breaking {
    /// Breaks `inner` at request `at`; never, where there are fewer.
    pub fn new(inner: Arc<dyn ObjectStore>, at: u64, what: Break) -> Breaking {
        Breaking { inner, shared: Arc::new(Shared { requests: AtomicU64::new(0), puts: AtomicU64::new(0), bytes: AtomicU64::new(0), at, what }) }
    }

    /// How many requests there were.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

impl Breaking {
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
        match self.shared.step() {
            Some(Break::Fail) => Err(broken()),
            Some(Break::LoseReply) => {
                self.inner.put_opts(location, payload, options).await?;
                Err(broken())
            }
            _ => self.inner.put_opts(location, payload, options).await,
        }
    }

    async fn put_multipart_opts(&self, location: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        match self.shared.step() {
            Some(Break::Fail | Break::LoseReply) => Err(broken()),
            _ => Ok(Box::new(Parts { inner: self.inner.put_multipart_opts(location, options).await?, shared: self.shared.clone() })),
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let found = match self.shared.step() {
            Some(Break::Fail | Break::LoseReply) => return Err(broken()),
            found => found,
        };
        let got = self.inner.get_opts(location, options).await?;
        let Some(what) = found else { return Ok(got) };
        let (meta, range, attributes) = (got.meta.clone(), got.range.clone(), got.attributes.clone());
        let mut bytes = got.bytes().await?.to_vec();
        match what {
            Break::Cut => bytes.truncate(bytes.len() / 2),
            _ => {
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 16;
                }
            }
        }
        let payload = GetResultPayload::Stream(futures::stream::iter([Ok(Bytes::from(bytes))]).boxed());
        Ok(GetResult { payload, meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
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
        match self.shared.step() {
            Some(Break::Fail | Break::LoseReply) => Box::pin(async { Err(broken()) }),
            _ => self.inner.put_part(data),
        }
    }

    async fn complete(&mut self) -> Result<PutResult> {
        match self.shared.step() {
            Some(Break::Fail) => Err(broken()),
            Some(Break::LoseReply) => {
                self.inner.complete().await?;
                Err(broken())
            }
            _ => self.inner.complete().await,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
