//! Requests that are answered before their bodies were read.

use crate::raw::{Told, Wire, head};
use crate::server::Server;

const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

async fn next(wire: &mut Wire, server: &Server) -> Option<Told> {
    wire.say(head(server, "GET /api/sandbox HTTP/1.1", "").as_bytes()).await;
    wire.answer().await
}

#[tokio::test]
async fn a_connection_goes_on_behind_a_refusal_whose_body_comes_late() {
    let server = Server::start().await;
    for first in [
        format!("POST /toolbox/{NOBODY}/process/execute HTTP/1.1"),
        format!("POST /api/sandbox/{NOBODY}/start HTTP/1.1"),
        "PUT /api/sandbox HTTP/1.1".to_owned(),
        "POST /api/nowhere HTTP/1.1".to_owned(),
    ] {
        for (length, body) in [
            ("content-length: 2\r\n", "{}"),
            ("transfer-encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"),
        ] {
            let mut wire = Wire::connect(server.address).await;
            wire.say(head(&server, &first, length).as_bytes()).await;
            // The refusal is decided long before this.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            wire.say(body.as_bytes()).await;
            let refusal = wire.answer().await.unwrap();
            assert!(refusal.status >= 400, "{first}: {refusal:?}");
            let next = next(&mut wire, &server).await;
            assert_eq!(next.map(|told| told.status), Some(200), "{first} {length}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_more_than_is_worth_reading_says_that_the_connection_ends() {
    let server = Server::start().await;
    for rest in [
        "content-length: 100000\r\n",
        "content-length: 2\r\nexpect: 100-continue\r\n",
        // What is promised never comes.
        "content-length: 3\r\n",
    ] {
        let first = format!("POST /toolbox/{NOBODY}/files/upload HTTP/1.1");
        let mut wire = Wire::connect(server.address).await;
        wire.say(head(&server, &first, rest).as_bytes()).await;
        let told = wire.rest().await;
        assert!(told.starts_with("HTTP/1.1 404 "), "{rest}: {told}");
        assert!(told.contains("\r\nconnection: close\r\n"), "{rest}: {told}");
    }
}
