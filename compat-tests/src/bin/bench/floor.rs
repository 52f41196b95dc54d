//! The floor: a program that does with the frames of the load what no broker can leave out, and nothing else.
//!
//! - Produce: receives the frame, checks the batch's CRC, gives it its offset, appends it to one file, answers. With
//!   `fsync`, `acks=all` is answered by a second thread behind one `fdatasync` for all that was written meanwhile.
//! - Fetch: sends the batches from where they lie in that file, by `sendfile`.
//! - Anything else is answered with zeros, which reads as success.
//!
//! One thread, one file, one list of places per partition; no limits, no checks of what it is sent (it trusts the load),
//! no recovery. It ends when it is killed.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::arguments::Durability;
use crate::cursor::Cursor;
use crate::frames::{self, PARTITION_BYTES_MAX};

const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const LISTENER: Token = Token(usize::MAX);
/// What is read at once; a frame of the bulk load fits.
const BUFFER_BYTES: usize = 256 * 1024;
/// Batches below this are cheaper to copy into the answer than to send by a call of their own.
const COPIED_BYTES_MAX: usize = 16 * 1024;
/// As long as a small answer of a broker.
const ZEROS: [u8; 60] = [0; 60];

/// A batch in the file.
#[derive(Clone, Copy)]
struct Place {
    base_offset: i64,
    position: u64,
    bytes: usize,
}

/// The file and what is in it.
struct Log {
    file: Arc<File>,
    end: u64,
    /// By topic and partition.
    partitions: HashMap<Vec<u8>, Vec<Partition>>,
}

#[derive(Clone, Default)]
struct Partition {
    places: Vec<Place>,
    next_offset: i64,
}

struct Peer {
    stream: Arc<TcpStream>,
    buffer: Vec<u8>,
    filled: usize,
}

/// An answer that waits for the disk.
type Waiting = (Arc<TcpStream>, Vec<u8>);

/// Serves until it is killed.
pub(crate) fn run(address: &str, directory: &Path, durability: Durability) -> ! {
    let listener = TcpListener::bind(address).expect("the address is free");
    listener.set_nonblocking(true).expect("a listener can be non-blocking");
    let path = directory.join("log");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
    let file = Arc::new(file.unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display())));
    let syncer = (durability == Durability::Fsync).then(|| start_syncer(Arc::clone(&file)));
    let mut log = Log { file, end: 0, partitions: HashMap::new() };
    let mut poll = Poll::new().expect("the system has a poller");
    let listening = listener.as_raw_fd();
    poll.registry().register(&mut SourceFd(&listening), LISTENER, Interest::READABLE).expect("it can be polled");
    let mut peers: Vec<Option<Peer>> = Vec::new();
    let mut events = Events::with_capacity(256);
    loop {
        poll.poll(&mut events, None).expect("polling goes on");
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut peers);
            } else if let Some(peer) = &mut peers[event.token().0]
                && !peer.serve(&mut log, syncer.as_ref())
            {
                peers[event.token().0] = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, poll: &Poll, peers: &mut Vec<Option<Peer>>) {
    while let Ok((stream, _)) = listener.accept() {
        stream.set_nodelay(true).expect("a fresh socket takes options");
        stream.set_nonblocking(true).expect("a fresh socket takes options");
        let descriptor = stream.as_raw_fd();
        let token = Token(peers.len());
        poll.registry().register(&mut SourceFd(&descriptor), token, Interest::READABLE).expect("it can be polled");
        peers.push(Some(Peer { stream: Arc::new(stream), buffer: vec![0; BUFFER_BYTES], filled: 0 }));
    }
}

fn start_syncer(file: Arc<File>) -> mpsc::Sender<Waiting> {
    let (sender, receiver) = mpsc::channel::<Waiting>();
    thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let all: Vec<Waiting> = std::iter::once(first).chain(receiver.try_iter()).collect();
            file.sync_data().expect("the disk takes what was written");
            for (stream, answer) in all {
                send(&stream, &answer);
            }
        }
    });
    sender
}

impl Peer {
    /// Reads what is there and answers each whole frame. Whether the peer is still there.
    fn serve(&mut self, log: &mut Log, syncer: Option<&mpsc::Sender<Waiting>>) -> bool {
        loop {
            match (&*self.stream).read(&mut self.buffer[self.filled..]) {
                Ok(0) => return false,
                Ok(read) => self.filled += read,
                Err(error) => return error.kind() == ErrorKind::WouldBlock,
            }
            let mut begin = 0;
            while let Some(whole) = whole_frame(&self.buffer[begin..self.filled]) {
                log.answer(&self.stream, &mut self.buffer[begin + 4..begin + whole], syncer);
                begin += whole;
            }
            self.buffer.copy_within(begin..self.filled, 0);
            self.filled -= begin;
        }
    }
}

/// The bytes of the frame at the begin of `bytes`, with its length, if all of it is there.
fn whole_frame(bytes: &[u8]) -> Option<usize> {
    let whole = 4 + usize::try_from(Cursor(bytes).i32()?).ok()?;
    (whole <= bytes.len()).then_some(whole)
}

impl Log {
    fn answer(&mut self, stream: &Arc<TcpStream>, frame: &mut [u8], syncer: Option<&mpsc::Sender<Waiting>>) {
        let key = Cursor(frame).i16().expect("a frame has a header");
        let correlation_id = *frame[4..].first_chunk().expect("a frame has a header");
        match key {
            PRODUCE => {
                let (answer, acks) = self.produce(frame, correlation_id);
                match syncer {
                    Some(syncer) if acks != 1 => {
                        syncer.send((Arc::clone(stream), answer)).expect("the other thread runs");
                    }
                    _ => send(stream, &answer),
                }
            }
            FETCH => self.fetch(stream, frame, correlation_id),
            _ => {
                let length = u32::try_from(4 + ZEROS.len()).expect("a short answer").to_be_bytes();
                send(stream, &[&length[..], &correlation_id, &ZEROS].concat());
            }
        }
    }

    fn produce(&mut self, frame: &mut [u8], correlation_id: [u8; 4]) -> (Vec<u8>, i16) {
        let batch_at = frames::read_produce(frame).expect("the load sends Produce 8").batch_at;
        let (head, batch) = frame.split_at_mut(batch_at);
        let produce = frames::read_produce(head).expect("it was read before");
        let crc = Cursor(&batch[17..]).array().map(u32::from_be_bytes);
        assert_eq!(Some(crc32c::crc32c(&batch[21..])), crc, "the batch's CRC");
        let records = Cursor(&batch[23..]).i32().expect("a batch has a header") + 1;
        let known = entry(&mut self.partitions, produce.topic, produce.partition);
        let base_offset = known.next_offset;
        known.next_offset += i64::from(records);
        known.places.push(Place { base_offset, position: self.end, bytes: batch.len() });
        batch[..8].copy_from_slice(&base_offset.to_be_bytes());
        self.file.write_all_at(batch, self.end).expect("the disk has room");
        self.end += batch.len() as u64;
        (frames::produce_answer(correlation_id, &produce, base_offset), produce.acks)
    }

    fn fetch(&mut self, stream: &TcpStream, frame: &[u8], correlation_id: [u8; 4]) {
        let (topic, from) = frames::read_fetch(frame).expect("the load sends Fetch 11");
        let mut parts = Vec::with_capacity(from.len());
        let mut behind = 0;
        for (partition, offset) in from {
            let known = entry(&mut self.partitions, topic, partition);
            let (next, stretches) = (known.next_offset, stretches(&known.places, offset));
            let records = stretches.iter().map(|(_, bytes)| bytes).sum();
            let head = frames::fetched_head(partition, next, records);
            behind += head.len() + records;
            parts.push((head, stretches));
        }
        let mut ready = frames::fetched_start(correlation_id, topic, parts.len(), behind);
        for (head, stretches) in parts {
            ready.extend(head);
            for (position, bytes) in stretches {
                if bytes < COPIED_BYTES_MAX {
                    let end = ready.len();
                    ready.resize(end + bytes, 0);
                    self.file.read_exact_at(&mut ready[end..], position).expect("it was written");
                } else {
                    send(stream, &ready);
                    ready.clear();
                    self.send_stretch(stream, position, bytes);
                }
            }
        }
        send(stream, &ready);
    }

    fn send_stretch(&self, stream: &TcpStream, mut position: u64, mut bytes: usize) {
        while bytes > 0 {
            match rustix::fs::sendfile(stream, &*self.file, Some(&mut position), bytes) {
                Ok(sent) => bytes -= sent,
                Err(rustix::io::Errno::AGAIN) => wait_for(stream),
                Err(_) => return,
            }
        }
    }
}

/// The batches from an offset on, up to what a partition may send at once, adjacent ones together.
fn stretches(places: &[Place], offset: i64) -> Vec<(u64, usize)> {
    let first = places.partition_point(|place| place.base_offset < offset);
    let mut left = usize::try_from(PARTITION_BYTES_MAX).expect("it is positive");
    let mut stretches: Vec<(u64, usize)> = Vec::new();
    for place in &places[first..] {
        let Some(rest) = left.checked_sub(place.bytes) else { break };
        left = rest;
        match stretches.last_mut() {
            Some((position, bytes)) if *position + *bytes as u64 == place.position => *bytes += place.bytes,
            _ => stretches.push((place.position, place.bytes)),
        }
    }
    stretches
}

/// What there is for a partition.
fn entry<'a>(all: &'a mut HashMap<Vec<u8>, Vec<Partition>>, topic: &[u8], partition: i32) -> &'a mut Partition {
    let partition = usize::try_from(partition).expect("a partition is not negative");
    if !all.contains_key(topic) {
        all.insert(topic.to_vec(), Vec::new());
    }
    let partitions = all.get_mut(topic).expect("it was just put there");
    if partitions.len() <= partition {
        partitions.resize(partition + 1, Partition::default());
    }
    &mut partitions[partition]
}

/// Sends all of it; a peer that is gone is noticed where it is read.
fn send(mut stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait_for(stream),
            Err(_) => return,
        }
    }
}

/// Waits until a peer takes bytes.
fn wait_for(stream: &TcpStream) {
    let mut poll = Poll::new().expect("the system has a poller");
    let descriptor = stream.as_raw_fd();
    poll.registry().register(&mut SourceFd(&descriptor), Token(0), Interest::WRITABLE).expect("it can be polled");
    poll.poll(&mut Events::with_capacity(1), None).expect("polling goes on");
}
