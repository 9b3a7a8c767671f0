//! `COPY`, `ADD` and `.dockerignore`.

use pitlane_build::BuildRequest;

use crate::support::{Site, context, keep, request};

crate::trials! {
    files_go_where_docker_puts_them,
    what_is_ignored_is_not_copied,
    here_documents_are_files,
    links_at_the_destination_lead_within_the_image,
    archives_that_are_added_are_unpacked,
    what_is_no_part_of_an_image_is_not_written,
}

/// The image's files below some folders, with their contents.
const LOOK: &str = "cd /; find $(ls -d /d* /e* /f* /g* 2>/dev/null | grep -v '^/dev\\|^/etc') | sort | \
                    while read p; do if [ -L \"$p\" ]; then echo \"$p -> $(readlink \"$p\")\"; \
                    elif [ -f \"$p\" ]; then echo \"$p: $(cat \"$p\")\"; else echo \"$p/\"; fi; done";

async fn files_go_where_docker_puts_them() {
    let site = Site::start().await;
    let archive = context(
        site.folder.path(),
        &[
            ("a.txt", "a"),
            ("b.txt", "b"),
            ("src/x.py", "x"),
            ("src/sub/y.py", "y"),
            ("s p.txt", "sp"),
        ],
    );
    let dockerfile = r#"FROM default
USER root
RUN mkdir /d1
COPY a.txt /d1
COPY a.txt /d2
COPY a.txt /d3/
COPY a.txt b.txt /d4/
COPY *.txt /d5/
COPY src /d6
COPY src/ ./src/../src/sub /d7/
COPY ["s p.txt", "/d8/with space"]
WORKDIR /d9
COPY ./a.txt .
COPY /src/x.py deep/er/
COPY --exclude=sub src ex
COPY src/?.py .
"#;
    let request = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let seen = site.try_out(request, LOOK).await;
    assert_eq!(
        seen,
        "/d1/\n/d1/a.txt: a\n/d2: a\n/d3/\n/d3/a.txt: a\n/d4/\n/d4/a.txt: a\n/d4/b.txt: b\n/d5/\n\
         /d5/a.txt: a\n/d5/b.txt: b\n/d5/s p.txt: sp\n/d6/\n/d6/sub/\n/d6/sub/y.py: y\n/d6/x.py: x\n\
         /d7/\n/d7/sub/\n/d7/sub/y.py: y\n/d7/x.py: x\n/d7/y.py: y\n/d8/\n/d8/with space: sp\n/d9/\n\
         /d9/a.txt: a\n/d9/deep/\n/d9/deep/er/\n/d9/deep/er/x.py: x\n/d9/ex/\n/d9/ex/x.py: x\n\
         /d9/x.py: x\n"
    );
    site.close().await;
}

async fn what_is_ignored_is_not_copied() {
    let site = Site::start().await;
    let archive = context(
        site.folder.path(),
        &[
            (".dockerignore", "# comment\nnode_modules\n**/*.log\n!keep.log\n/secret\n"),
            ("keep.log", "k"),
            ("x.log", "x"),
            ("sub/x.log", "x"),
            ("sub/y", "y"),
            ("node_modules/m/index.js", "m"),
            ("secret", "s"),
        ],
    );
    let request_of =
        |dockerfile: &str| BuildRequest { contexts: vec![archive.clone()], ..request(dockerfile) };
    let seen = site.try_out(request_of("FROM default\nCOPY . /d\n"), "cd /d; find . | sort").await;
    assert_eq!(seen, ".\n./.dockerignore\n./keep.log\n./sub\n./sub/y\n");
    let refused = site.build(request_of("FROM default\nCOPY secret /d\n")).await;
    assert_eq!(
        refused.built.unwrap_err().to_string(),
        "line 2: COPY secret /d: \"secret\" is left out by .dockerignore or --exclude"
    );
    site.close().await;
}

async fn here_documents_are_files() {
    let site = Site::start().await;
    let dockerfile = "FROM default\nENV NAME=world\nCOPY <<a.txt <<\"b.txt\" /d/\nhello $NAME \\$NAME\na.txt\nhello $NAME\n\
                      b.txt\nCOPY --chmod=755 <<-EOF /e\n\t#!/bin/sh\n\techo run\n\tEOF\n";
    let seen = site.try_out(request(dockerfile), "cat /d/a.txt /d/b.txt; /e").await;
    assert_eq!(seen, "hello world $NAME\nhello $NAME\nrun\n");
    site.close().await;
}

async fn links_at_the_destination_lead_within_the_image() {
    let site = Site::start().await;
    let archive =
        context(site.folder.path(), &[("a.txt", "a"), ("tree/link", "file"), ("tree/f", "f")]);
    let dockerfile = r#"FROM default
USER root
RUN mkdir /d1 && ln -s /d1 /d2 && ln -s ../../../../d1/target /d3 && echo old > /d1/target && \
    mkdir /f1 && ln -s /etc/passwd /f1/link
COPY a.txt /d2/
COPY a.txt /d3
COPY tree /f1
"#;
    let request = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let seen = site.try_out(request, &format!("{LOOK}; head -1 /etc/passwd | cut -c1-4")).await;
    assert_eq!(
        seen,
        "/d1/\n/d1/a.txt: a\n/d1/target: a\n/d2 -> /d1\n/d3 -> ../../../../d1/target\n/f1/\n\
         /f1/f: f\n/f1/link: file\nroot\n"
    );
    site.close().await;
}

async fn archives_that_are_added_are_unpacked() {
    let site = Site::start().await;
    let mut inner = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o640);
    header.set_uid(1000);
    inner.append_data(&mut header, "top/file", b"abc".as_slice()).unwrap();
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Link);
    link.set_size(0);
    inner.append_link(&mut link, "top/second", "top/file").unwrap();
    let inner = inner.into_inner().unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &inner).unwrap();
    let packed = packed.finish().unwrap();
    let mut plain = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut plain, b"no archive").unwrap();
    let plain = plain.finish().unwrap();
    // What begins with nothing, for long, is not looked through for an archive.
    let nothing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let late = [nothing.finish().unwrap().repeat(20_000), packed.clone()].concat();
    let mut outer = tar::Builder::new(Vec::new());
    for (name, bytes) in [
        ("a.tar", inner.as_slice()),
        ("late.tar.gz", late.as_slice()),
        ("b.tar.gz", packed.as_slice()),
        ("c.gz", plain.as_slice()),
        ("d.tar.xz", b"\xfd7zXZ\0anything".as_slice()),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        outer.append_data(&mut header, name, bytes).unwrap();
    }
    let archive = keep(site.folder.path(), &outer.into_inner().unwrap());
    let request_of =
        |dockerfile: &str| BuildRequest { contexts: vec![archive.clone()], ..request(dockerfile) };
    let dockerfile = "FROM default\nADD a.tar /d1\nADD b.tar.gz /d2/\nADD c.gz /d3/\nCOPY a.tar /d4/\nADD late.tar.gz /d5/\n";
    let look = "cat /d1/top/file /d2/top/second; stat -c '%u %a %h' /d1/top/file; zcat /d3/c.gz; ls /d4 /d5";
    let seen = site.try_out(request_of(dockerfile), look).await;
    assert_eq!(seen, "abcabc1000 640 2\nno archive/d4:\na.tar\n\n/d5:\nlate.tar.gz\n");
    let refused = site.build(request_of("FROM default\nADD d.tar.xz /d\n")).await;
    assert_eq!(
        refused.built.unwrap_err().to_string(),
        "line 2: ADD d.tar.xz /d: ADD unpacks archives of tar and tar.gz, and d.tar.xz is of xz: use COPY, and RUN tar"
    );
    site.close().await;
}

async fn what_is_no_part_of_an_image_is_not_written() {
    let site = Site::start().await;
    let archive = context(site.folder.path(), &[("a.txt", "a")]);
    for destination in ["/proc/1/mem", "/dev/x", "/sys/x", "/proc/self/root/etc/x"] {
        let dockerfile = format!("FROM default\nCOPY a.txt {destination}\n");
        let request = BuildRequest { contexts: vec![archive.clone()], ..request(&dockerfile) };
        let reason = site.build(request).await.built.unwrap_err().to_string();
        assert!(reason.contains("is not part of the image"), "{destination}: {reason}");
    }
    let dockerfile = "FROM default\nUSER root\nRUN ln -s /proc/1 /d\nCOPY a.txt /d/environ\n";
    let request = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let reason = site.build(request).await.built.unwrap_err().to_string();
    assert!(reason.contains("is not part of the image"), "{reason}");
    site.close().await;
}
