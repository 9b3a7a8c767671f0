//! Servers of the made-up internet.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// How long one waits for what should not come.
const PATIENCE: Duration = Duration::from_millis(1500);

/// Greets every connection with its client's address, and then says again what it is told.
pub(super) struct TcpServer {
    accepted: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl TcpServer {
    /// Starts a server in the calling thread's namespace, on all its addresses.
    pub(super) fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (accepted, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, end) = (Arc::clone(&accepted), Arc::clone(&ended));
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, client)) => {
                        count.fetch_add(1, Ordering::Relaxed);
                        thread::spawn(move || echo(stream, client));
                    }
                    Err(_) => thread::park_timeout(Duration::from_millis(2)),
                }
            }
        });
        Self { accepted, ended, thread: Some(thread) }
    }

    /// How many connections there have been.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for TcpServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn echo(mut stream: TcpStream, client: SocketAddr) {
    // The client may be gone at any time, which ends the conversation.
    let mut buffer = [0; 64];
    let mut said = client.ip().to_string().into_bytes();
    said.push(b'\n');
    while stream.write_all(&said).is_ok() {
        match stream.read(&mut buffer) {
            Ok(length) if length > 0 => said = buffer[..length].to_vec(),
            _ => return,
        }
    }
}

/// Connects in the calling thread's namespace; the first line that the server says.
pub(super) fn greeting(server: SocketAddr) -> Option<String> {
    let mut stream = connect(server)?;
    Some(line(&mut stream))
}

pub(super) fn connect(server: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect_timeout(&server, PATIENCE).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    Some(stream)
}

pub(super) fn line(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

/// Answers a few names, over UDP and TCP, until the process ends or it is dropped.
pub(super) struct NameServer {
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl NameServer {
    /// Starts a server in the calling thread's namespace.
    pub(super) fn start(address: Ipv4Addr) -> Self {
        let udp = UdpSocket::bind((address, 53)).unwrap();
        udp.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let tcp = TcpListener::bind((address, 53)).unwrap();
        tcp.set_nonblocking(true).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let (end_udp, end_tcp) = (Arc::clone(&ended), Arc::clone(&ended));
        let udp = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !end_udp.load(Ordering::Relaxed) {
                let Ok((length, client)) = udp.recv_from(&mut buffer) else { continue };
                let Some(answer) = answer(&buffer[..length]) else { continue };
                let bytes = answer.to_vec().unwrap();
                let bytes =
                    if bytes.len() > 1232 { answer.truncate().to_vec().unwrap() } else { bytes };
                udp.send_to(&bytes, client).unwrap();
            }
        });
        let tcp = thread::spawn(move || {
            while !end_tcp.load(Ordering::Relaxed) {
                match tcp.accept() {
                    Ok((stream, _)) => {
                        stream.set_nonblocking(false).unwrap();
                        serve_stream(stream);
                    }
                    Err(_) => thread::park_timeout(Duration::from_millis(2)),
                }
            }
        });
        Self { ended, threads: vec![udp, tcp] }
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn serve_stream(mut stream: TcpStream) {
    let question = read_framed(&mut stream);
    let answer = answer(&question).unwrap().to_vec().unwrap();
    write_framed(&mut stream, &answer);
}

fn read_framed(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn write_framed(stream: &mut TcpStream, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], bytes].concat()).unwrap();
}

/// What the made-up internet says of a name; nothing of some.
fn answer(question: &[u8]) -> Option<Message> {
    let question = Message::from_vec(question).unwrap();
    let query = question.queries[0].clone();
    let mut message = Message::response(question.metadata.id, OpCode::Query);
    message.add_query(query.clone());
    let name = query.name().to_ascii();
    let addresses: Vec<Ipv4Addr> = match name.as_str() {
        "public.test." => vec![super::world::PUBLIC],
        "private.test." => vec![Ipv4Addr::new(10, 1, 2, 3)],
        "metadata.test." => vec![Ipv4Addr::new(169, 254, 169, 254)],
        "loopback.test." => vec![Ipv4Addr::LOCALHOST],
        "mixed.test." => vec![Ipv4Addr::new(192, 168, 1, 1), super::world::PUBLIC],
        "many.test." => (1..=200).map(|low| Ipv4Addr::new(11, 0, 0, low)).collect(),
        silent if silent.ends_with("silent.test.") => return None,
        _ => {
            message.metadata.response_code = ResponseCode::NXDomain;
            let zone = Name::from_str("test.").unwrap();
            let soa = SOA::new(zone.clone(), zone.clone(), 1, 1, 1, 1, 30);
            message.add_authority(Record::from_rdata(zone, 30, RData::SOA(soa)));
            Vec::new()
        }
    };
    for address in addresses {
        message.add_answer(Record::from_rdata(query.name().clone(), 60, RData::A(A(address))));
    }
    Some(message)
}

/// What a program of a sandbox learns of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Learned {
    pub(super) code: ResponseCode,
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) is_truncated: bool,
}

/// Asks over UDP, in the calling thread's namespace. `None` without an answer in time.
pub(super) fn ask(
    server: Ipv4Addr,
    name: &str,
    kind: RecordType,
    patience: Duration,
) -> Option<Learned> {
    let question = question(name, kind);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.connect((server, 53)).ok()?;
    socket.send(&question.to_vec().unwrap()).ok()?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).ok()?;
    Some(learned(&question, &buffer[..length]))
}

/// Asks for many names over UDP and leaves the answers unread.
pub(super) fn ask_without_waiting(server: Ipv4Addr, names: impl Iterator<Item = String>) {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect((server, 53)).unwrap();
    for name in names {
        socket.send(&question(&name, RecordType::A).to_vec().unwrap()).unwrap();
    }
}

/// Asks over TCP, in the calling thread's namespace.
pub(super) fn ask_by_stream(server: Ipv4Addr, name: &str) -> Option<Learned> {
    let question = question(name, RecordType::A);
    let mut stream = connect(SocketAddr::from((server, 53)))?;
    write_framed(&mut stream, &question.to_vec().unwrap());
    Some(learned(&question, &read_framed(&mut stream)))
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message
}

fn learned(question: &Message, answer: &[u8]) -> Learned {
    let answer = Message::from_vec(answer).unwrap();
    assert_eq!((answer.metadata.id, &answer.queries), (question.metadata.id, &question.queries));
    let addresses = answer.answers.iter().filter_map(|record| match &record.data {
        RData::A(address) => Some(address.0),
        _ => None,
    });
    Learned {
        code: answer.metadata.response_code,
        addresses: addresses.collect(),
        is_truncated: answer.metadata.truncation,
    }
}
