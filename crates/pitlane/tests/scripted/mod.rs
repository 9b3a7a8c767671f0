//! A server that answers what a test wants, and whose one sandbox may lie.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// What a server answers to a request's method and path: the body of a success, or a status.
type Answers = dyn Fn(&str) -> Result<Vec<u8>, u16> + Send + Sync;

/// A server that answers what a test wants, as long as the test runs.
pub(crate) fn server(
    answers: impl Fn(&str) -> Result<Vec<u8>, u16> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let (answers, proxy): (Arc<Answers>, _) = (Arc::new(answers), format!("{origin}/toolbox"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answers, proxy) = (stream.unwrap(), Arc::clone(&answers), proxy.clone());
            std::thread::spawn(move || serve(stream, &*answers, &proxy));
        }
    });
    format!("{origin}/api")
}

fn serve(stream: TcpStream, answers: &Answers, proxy: &str) {
    let mut output = stream.try_clone().unwrap();
    let mut input = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if input.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        if head.contains("transfer-encoding: chunked") {
            let mut body = Vec::new();
            while !body.ends_with(b"\r\n0\r\n\r\n") {
                let mut byte = [0];
                if input.read(&mut byte).unwrap_or(0) == 0 {
                    return;
                }
                body.push(byte[0]);
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        input.read_exact(&mut body).unwrap();
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
        let answer = answers(&line.replace(&format!("/toolbox/{ID}"), ""));
        let answer = match line.split_once(" /api/sandbox") {
            Some(_) if answer.is_ok() => Ok(sandbox(proxy)),
            Some(("GET", _)) => Ok(sandbox(proxy)),
            Some(_) | None => answer,
        };
        let (status, body) = match answer {
            Ok(body) => (200, body),
            Err(status) => (status, b"{\"statusCode\":0,\"message\":\"no\"}".to_vec()),
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        if output.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

const ID: &str = "0b6ecb4e-0000-4000-8000-000000000000";

fn sandbox(proxy: &str) -> Vec<u8> {
    serde_json::to_vec(&serde_json::json!({
        "id": ID, "organizationId": "o", "name": "box", "user": "daytona", "env": {}, "labels": {}, "public": false,
        "networkBlockAll": false, "kvm": false, "target": "us", "cpu": 1, "gpu": 0, "memory": 1, "disk": 3,
        "toolboxProxyUrl": proxy
    }))
    .unwrap()
}
