//! Writing files: what is small in one request, the rest in parts, several at a time.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};

use super::super::local::read_range;
use super::super::{NewFile, StoreError};
use super::{Shared, runtime};
use object_store::Error as RemoteError;

/// A part of a large file, and the largest file that goes in one request. S3 takes at most 10,000 parts, and none below 5 MiB but the last.
const PART_BYTES: u64 = 8 << 20;
/// Parts of one file on their way at the same time.
const PARTS_AT_A_TIME: usize = 4;

/// Writes a file of which the pieces can be read. That it is there already is no error: files are named by what they hold.
pub fn send(shared: &Arc<Shared>, path: &str, length: u64, read: &(dyn Fn(Range<u64>) -> Result<Bytes, StoreError> + Sync)) -> Result<(), StoreError> {
    if length <= PART_BYTES {
        return put(shared, path, read(0..length)?);
    }
    let (client, place, limit) = (shared.clone(), shared.place(path), shared.clone());
    let fail = |e: &RemoteError| shared.error(path, e);
    let stopped = |e| shared.stopped(path, e);
    let begun = runtime::wait(async move { client.in_time(0, client.client.put_multipart(&place)).await });
    let mut upload = begun.map_err(stopped)?.map_err(|e| fail(&e))?;
    let mut waiting = Vec::new();
    let mut failed = None;
    let mut from = 0;
    while from < length && failed.is_none() {
        let to = (from + PART_BYTES).min(length);
        match read(from..to) {
            Ok(bytes) => {
                let (part, limit) = (upload.put_part(PutPayload::from_bytes(bytes)), limit.clone());
                waiting.push(runtime::start(async move {
                    let _turn = limit.limit.turn(to - from).await;
                    limit.in_time(to - from, part).await
                }));
            }
            Err(error) => failed = Some(error),
        }
        if waiting.len() >= PARTS_AT_A_TIME || to == length || failed.is_some() {
            // The oldest alone, so that the others go on meanwhile.
            let ended = if to == length || failed.is_some() { waiting.len() } else { 1 };
            for part in waiting.drain(..ended) {
                match part.and_then(runtime::Running::wait) {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => failed = failed.or_else(|| Some(fail(&error))),
                    Err(error) => failed = failed.or_else(|| Some(stopped(error))),
                }
            }
        }
        from = to;
    }
    // A part that came after the upload was given up would stay.
    for part in waiting {
        let _ = part.and_then(runtime::Running::wait);
    }
    let limit = shared.clone();
    let ended = runtime::wait(async move {
        match failed {
            None => (limit.in_time(0, upload.complete()).await.map(|_| ()), None),
            Some(error) => (limit.in_time(0, upload.abort()).await, Some(error)),
        }
    });
    match ended.map_err(stopped)? {
        // What could not be taken back is left to the rules of the bucket.
        (_, Some(error)) => Err(error),
        (Ok(()), None) => Ok(()),
        (Err(error), None) => Err(fail(&error)),
    }
}

fn put(shared: &Arc<Shared>, path: &str, bytes: Bytes) -> Result<(), StoreError> {
    let (client, place, length) = (shared.clone(), shared.place(path), bytes.len() as u64);
    let done = runtime::wait(async move {
        let _turn = client.limit.turn(length).await;
        // Over one that is there: its bytes are the same, and to ask for a condition costs some stores more.
        let options = PutOptions { mode: PutMode::Overwrite, ..PutOptions::default() };
        client.in_time(length, client.client.put_opts(&place, PutPayload::from_bytes(bytes), options)).await
    });
    done.map_err(|e| shared.stopped(path, e))?.map_err(|e| shared.error(path, &e)).map(|_| ())
}

/// A file whose name is known only when all of it is: kept in memory while it is small, on this machine's disk when it is not.
pub struct RemoteFile {
    shared: Arc<Shared>,
    memory: Vec<u8>,
    disk: Option<(File, u64)>,
}

impl RemoteFile {
    /// An empty file.
    pub fn new(shared: Arc<Shared>) -> RemoteFile {
        RemoteFile { shared, memory: Vec::new(), disk: None }
    }

    fn length(&self) -> u64 {
        self.disk.as_ref().map_or(self.memory.len() as u64, |(_, length)| *length)
    }
}

fn unfinished(error: std::io::Error) -> StoreError {
    StoreError::io("an unfinished file", error)
}

fn read_file(file: &File, range: Range<u64>) -> Result<Bytes, StoreError> {
    read_range(file, std::path::Path::new("an unfinished file"), range)
}

impl NewFile for RemoteFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.disk.is_none() && self.memory.len() as u64 + bytes.len() as u64 > PART_BYTES {
            let mut file = tempfile::tempfile().map_err(unfinished)?;
            file.write_all(&self.memory).map_err(unfinished)?;
            self.disk = Some((file, self.memory.len() as u64));
            self.memory = Vec::new();
        }
        match &mut self.disk {
            None => self.memory.extend_from_slice(bytes),
            Some((file, length)) => {
                file.seek(SeekFrom::Start(*length)).map_err(unfinished)?;
                file.write_all(bytes).map_err(unfinished)?;
                *length += bytes.len() as u64;
            }
        }
        Ok(())
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let length = self.length();
        if range.start > range.end || range.end > length {
            return Err(StoreError::Short { path: "an unfinished file".into(), length, wanted: range.end });
        }
        match &self.disk {
            None => Ok(Bytes::copy_from_slice(self.memory.get(range.start as usize..range.end as usize).unwrap_or_default())),
            Some((file, _)) => read_file(file, range),
        }
    }

    fn finish(self: Box<Self>, path: &str) -> Result<(), StoreError> {
        match self.disk {
            None => put(&self.shared, path, self.memory.into()),
            Some((file, length)) => send(&self.shared, path, length, &|range| read_file(&file, range)),
        }
    }
}
