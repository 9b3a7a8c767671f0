//! Build contexts, in what a client was told of them; and as little of S3 as uploads them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::client::{Answer, Client};
use crate::ledger::{Ledger, Lost, tell};
use crate::server::Server;

/// Contexts that surely are there, by their hashes.
#[derive(Debug, Default)]
pub(crate) struct Contexts(BTreeMap<String, Vec<u8>>);

impl Ledger {
    /// Uploads a context in one piece.
    pub(crate) fn put_context(
        &mut self,
        client: &Client,
        hash: &str,
        contents: Vec<u8>,
    ) -> Result<(), Lost> {
        tell(Access::get(client)?.send("PUT", hash, "", &contents))?;
        self.contexts.0.insert(hash.to_owned(), contents);
        Ok(())
    }

    /// Uploads a context in parts.
    pub(crate) fn put_context_in_parts(
        &mut self,
        client: &Client,
        hash: &str,
        parts: &[Vec<u8>],
    ) -> Result<(), Lost> {
        let access = Access::get(client)?;
        let begun = tell(access.send("POST", hash, "uploads=", b""))?.text();
        let upload = begun.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next());
        let upload = upload.expect("an upload");
        let mut list = String::new();
        for (number, part) in (1..).zip(parts) {
            let query = format!("partNumber={number}&uploadId={upload}");
            tell(access.send("PUT", hash, &query, part))?;
            let tag = md5_of_listed(&access, hash, upload, number)?;
            list.push_str(&format!(
                "<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
            ));
        }
        let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
        tell(access.send("POST", hash, &format!("uploadId={upload}"), list.as_bytes()))?;
        self.contexts.0.insert(hash.to_owned(), parts.concat());
        Ok(())
    }

    /// Whether every context that was acknowledged is whole, and nothing half-done is left.
    pub(crate) fn check_contexts(&self, server: &Server) {
        let access = Access::get(&server.client()).unwrap();
        for (hash, wanted) in &self.contexts.0 {
            let found = access.send("GET", hash, "", b"").unwrap();
            assert_eq!((found.status, found.body == *wanted), (200, true), "{hash}");
        }
        let drafts = std::fs::read_dir(server.state().join("contexts/drafts")).unwrap();
        assert_eq!(drafts.count(), 0, "drafts are left");
    }
}

/// The tag that a part has, as a list says.
fn md5_of_listed(access: &Access, hash: &str, upload: &str, number: u32) -> Result<String, Lost> {
    let listed = tell(access.send("GET", hash, &format!("uploadId={upload}"), b""))?.text();
    let number = format!("<PartNumber>{number}</PartNumber>");
    let part = listed.split("<Part>").find(|part| part.contains(&number)).expect("the part");
    let tag = part.split("<ETag>").nth(1).and_then(|rest| rest.split("</ETag>").next());
    Ok(tag.expect("a tag").to_owned())
}

/// A key for uploads.
struct Access {
    address: String,
    told: Value,
}

impl Access {
    fn get(client: &Client) -> Result<Self, Lost> {
        let told = tell(client.get("/api/object-storage/push-access"))?.json();
        Ok(Self { address: client.address.clone(), told })
    }

    fn text(&self, name: &str) -> &str {
        self.told[name].as_str().expect("a text")
    }

    fn send(&self, method: &str, hash: &str, query: &str, body: &[u8]) -> std::io::Result<Answer> {
        let organization = self.text("organizationId");
        let path = format!("/{}/{organization}/{hash}/context.tar", self.text("bucket"));
        let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let fields = [
            ("host", self.address.as_str()),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
            ("x-amz-date", date.as_str()),
            ("x-amz-security-token", self.text("sessionToken")),
        ];
        let names = fields.map(|(name, _)| name).join(";");
        let fields: String = fields.map(|(name, value)| format!("{name}:{value}\n")).concat();
        let request = format!("{method}\n{path}\n{query}\n{fields}\n{names}\nUNSIGNED-PAYLOAD");
        let (day, region) = (&date[..8], self.text("region"));
        let scope = format!("{day}/{region}/s3/aws4_request");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let mut key = format!("AWS4{}", self.text("secret")).into_bytes();
        for part in [day, region, "s3", "aws4_request", &text] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key");
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        let credential = format!("{}/{scope}", self.text("accessKey"));
        let head = format!(
            "{method} {path}?{query} HTTP/1.0\r\n{}authorization: AWS4-HMAC-SHA256 \
             Credential={credential}, SignedHeaders={names}, Signature={}\r\n\
             content-length: {}\r\n\r\n",
            fields.replace('\n', "\r\n"),
            hex(&key),
            body.len()
        );
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let incomplete = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").ok_or_else(incomplete)?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok(Answer { status: status.ok_or_else(incomplete)?, body: answer.split_off(end + 4) })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
