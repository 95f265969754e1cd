//! A disk that fills up, and has room again.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use redb::StorageBackend;

use super::*;
use crate::incident::Incident;
use crate::outbox::item::{Offer, Progress};
use crate::outbox::store::chunks::Accepted;

/// Memory that outlives what is opened on it, and refuses to be written while `full`.
#[derive(Debug, Default)]
struct Disk {
    bytes: Mutex<Vec<u8>>,
    full: AtomicBool,
}

#[derive(Debug)]
struct File(Arc<Disk>);

impl File {
    fn room(&self) -> io::Result<()> {
        if self.0.full.load(Ordering::Acquire) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

fn range(offset: u64, len: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + len
}

impl StorageBackend for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        out.copy_from_slice(&self.0.bytes.lock().unwrap()[range(offset, out.len())]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.0.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.0.bytes.lock().unwrap()[range(offset, data.len())].copy_from_slice(data);
        Ok(())
    }
}

fn accept(number: u64) -> Op {
    let incident = Incident {
        workflow_id: format!("am-{number}"),
        agent_target: "a".into(),
        text: "text".into(),
        traceparent: String::new(),
        tracestate: String::new(),
        timestamp: Timestamp::UNIX_EPOCH,
        fingerprint: "f".into(),
        starts_at: Timestamp::UNIX_EPOCH,
        severity: String::new(),
        alertname: String::new(),
        firing_workflow_id: None,
    };
    Op::Accept(number, Accepted::new(&incident, &progress(number, Offer::Never)).unwrap())
}

fn progress(number: u64, offer: Offer) -> Progress {
    Progress { id: format!("am-{number}"), target: "a".into(), offer, direct: None }
}

fn writer(disk: &Arc<Disk>) -> Writer {
    let store = Store::on(File(Arc::clone(disk))).unwrap();
    let disk = Arc::clone(disk);
    Writer::start(store, Some(Box::new(move || Store::on(File(Arc::clone(&disk)))))).unwrap()
}

/// Waits until what is wrong is, or is not.
async fn until(writer: &Writer, wrong: bool) {
    writer.trouble().wait_for(|trouble| trouble.is_some() == wrong).await.unwrap();
}

#[tokio::test]
async fn what_is_not_on_disk_is_an_error_and_what_was_stays() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk);
    writer.commit(vec![accept(0), accept(1)]).await.unwrap();
    disk.full.store(true, Ordering::Release);
    let error = writer.commit(vec![accept(2)]).await.unwrap_err();
    assert!(error.to_string().contains("disk"), "{error}");
    until(&writer, true).await;
    assert!(writer.commit(vec![accept(3)]).await.is_err());
    // Nobody waits for this: it is written as soon as it can be.
    writer.later(vec![Op::Progress(1, progress(1, Offer::Confirmed)), Op::Close(0)]);
    disk.full.store(false, Ordering::Release);
    until(&writer, false).await;
    writer.commit(vec![accept(4)]).await.unwrap();
    let open = writer.store().unwrap().progress().unwrap();
    assert_eq!(open, [(1, progress(1, Offer::Confirmed)), (4, progress(4, Offer::Never))]);
    writer.close();
    let again = Store::on(File(disk)).unwrap();
    assert_eq!(again.progress().unwrap().len(), 2);
    let kept: Vec<_> = again.incidents(&[0, 1, 4]).unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(kept, [1, 4]);
}

#[tokio::test]
async fn what_comes_together_is_written_together() {
    let disk = Arc::new(Disk::default());
    let writer = writer(&disk);
    let commits = (0..200).map(|number| writer.commit(vec![accept(number)]));
    for result in futures_util::future::join_all(commits).await {
        result.unwrap();
    }
    let open = writer.store().unwrap().progress().unwrap();
    assert_eq!(open.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..200).collect::<Vec<_>>());
    writer.close();
}
