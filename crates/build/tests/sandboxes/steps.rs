//! Commands, variables, users, stages.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use pitlane_build::{BuildRequest, BuildSettings, Mirrors};

use crate::support::{Site, context, request};

crate::trials! {
    commands_run_in_every_form_and_what_they_wrote_is_in_the_image,
    what_an_image_says_is_what_its_dockerfile_says,
    folders_and_files_belong_to_whoever_works,
    stages_that_nobody_needs_are_not_built,
    a_second_build_finds_every_step,
    mounts_are_there_while_a_command_runs_and_not_after,
    mirrors_are_for_commands_alone,
    an_image_of_nothing_holds_what_was_copied,
    large_steps_follow_each_other,
}

async fn commands_run_in_every_form_and_what_they_wrote_is_in_the_image() {
    let site = Site::start().await;
    let dockerfile = r#"FROM default
USER root
RUN echo shell > /shell && \
    # a comment
    echo more >> /shell
RUN ["/bin/sh", "-c", "echo $0 exec > /exec"]
RUN <<EOF
echo here > /here
echo "$HOME" >> /here
EOF
RUN cat <<EOF > /cat && cat <<'RAW' >> /cat
home is $HOME
EOF
home is $HOME
RAW
RUN <<EOF
#!/usr/bin/env python3
open("/python", "w").write("from python\n")
EOF
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN [[ -n "$BASH_VERSION" ]] && echo bash > /bash
RUN "sh" "-c" "echo \"quoted words\" > /words"
"#;
    let seen =
        site.try_out(request(dockerfile), "cat /shell /exec /here /cat /python /bash /words").await;
    assert_eq!(
        seen,
        "shell\nmore\n/bin/sh exec\nhere\n/root\nhome is /root\nhome is $HOME\nfrom python\nbash\n\
         quoted words\n"
    );
    site.close().await;
}

async fn what_an_image_says_is_what_its_dockerfile_says() {
    let site = Site::start().await;
    let dockerfile = r#"ARG BASE=default
FROM ${BASE}
USER root
ARG VERSION=1
ARG OTHER
ENV A='it is' B="${A:-nothing} $VERSION" PATH=/opt/bin:$PATH
ENV C ${OTHER:+other} text
LABEL version="$VERSION" "two words"=yes
RUN echo "$A|$B|$C|$VERSION|$OTHER" > /said
WORKDIR /srv
WORKDIR app
USER 1000:1000
EXPOSE 80 5000/udp
ENTRYPOINT ["python3", "-m"]
CMD ["http.server"]
"#;
    let arguments = BTreeMap::from([("VERSION".to_owned(), "2".to_owned())]);
    let outcome = site.build(BuildRequest { arguments, ..request(dockerfile) }).await;
    let image = outcome.built.unwrap();
    let config = &image.config;
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(config.entrypoint, words(&["python3", "-m"]));
    assert_eq!(config.command, words(&["http.server"]));
    assert_eq!(config.work_dir.as_deref(), Some("/srv/app"));
    assert_eq!(config.user.as_deref(), Some("1000:1000"));
    assert_eq!(config.ports.iter().collect::<Vec<_>>(), ["5000/udp", "80/tcp"]);
    assert_eq!(config.labels["two words"], "yes");
    assert_eq!(config.labels["version"], "2");
    assert_eq!(config.environment["A"], "it is");
    // What an instruction sets, it does not see.
    assert_eq!(config.environment["B"], "nothing 2");
    assert_eq!(config.environment["C"], " text");
    assert!(!config.environment.contains_key("VERSION"));
    assert_eq!(site.run_in(&image, "cat /said").await, "it is|nothing 2| text|2|\n");
    site.close().await;
}

async fn folders_and_files_belong_to_whoever_works() {
    let site = Site::start().await;
    let archive = context(site.folder.path(), &[("a.txt", "a"), ("run.sh", "#!/bin/sh\n")]);
    let dockerfile = r#"FROM default
USER root
WORKDIR /root-made
USER daytona
WORKDIR /home/daytona/made
RUN id -un > who && touch mine
COPY a.txt plain
COPY --chown=daytona:root --chmod=600 a.txt run.sh owned/
"#;
    let request = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let seen = site
        .try_out(
            request,
            "cd /home/daytona/made; cat who; stat -c '%U:%G %a %n' /root-made . mine plain owned owned/*",
        )
        .await;
    assert_eq!(
        seen,
        "daytona\nroot:root 755 /root-made\ndaytona:daytona 755 .\ndaytona:daytona 644 mine\n\
         root:root 644 plain\ndaytona:root 755 owned\ndaytona:root 600 owned/a.txt\n\
         daytona:root 600 owned/run.sh\n"
    );
    site.close().await;
}

async fn stages_that_nobody_needs_are_not_built() {
    let site = Site::start().await;
    let dockerfile = r#"FROM default AS builder
USER root
RUN mkdir -p /out/deep && echo built > /out/deep/file && ln -s deep/file /out/link && chown 1000 /out/deep
FROM builder AS unneeded
RUN exit 3
FROM default AS tools
USER root
RUN echo tool > /tool
FROM builder AS final
COPY --from=builder /out /copied
COPY --from=tools /tool /usr/local/bin/
COPY --from=2 /too* /by-number/
RUN cat /out/deep/file > /inherited
"#;
    let look = "cat /copied/link /usr/local/bin/tool /by-number/tool /inherited; \
                readlink /copied/link; stat -c %u /copied/deep";
    let seen = site.try_out(request(dockerfile), look).await;
    assert_eq!(seen, "built\ntool\ntool\nbuilt\ndeep/file\n1000\n");
    let target = BuildRequest { target: Some("unneeded".to_owned()), ..request(dockerfile) };
    let failed = site.build(target).await.built.unwrap_err().to_string();
    assert_eq!(failed, "line 5: RUN exit 3: exit code 3\n");
    let target = BuildRequest { target: Some("missing".to_owned()), ..request(dockerfile) };
    let failed = site.build(target).await.built.unwrap_err().to_string();
    assert_eq!(
        failed,
        "Dockerfile line 1: there is no stage missing: builder, final, tools, unneeded"
    );
    site.close().await;
}

async fn a_second_build_finds_every_step() {
    let site = Site::start().await;
    let mut files: Vec<(String, String)> = Vec::new();
    for number in 0..200 {
        files.push((format!("src/{number}.py"), format!("print({number})\n").repeat(100)));
    }
    let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let dockerfile = "FROM default\nUSER root\nWORKDIR /app\nCOPY src src\nENV A=1\nRUN date +%N > /now\nRUN echo 2\n\
                      RUN echo 3\nRUN echo 4\nRUN echo 5\nRUN echo 6\n";
    let archive = context(site.folder.path(), &files);
    let first = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let one = site.try_out(first.clone(), "cat /now").await;
    // The same files, packed again.
    let again = BuildRequest { contexts: vec![context(site.folder.path(), &files)], ..first };
    let begun = Instant::now();
    let outcome = site.build(again.clone()).await;
    let took = begun.elapsed();
    assert_eq!(outcome.log.matches("CACHED").count(), 7, "{}", outcome.log);
    assert!(took < Duration::from_millis(500), "{took:?}");
    let image = outcome.built.unwrap();
    assert_eq!(site.run_in(&image, "cat /now").await, one);
    // What was changed is done anew, and all that follows; what was before is found.
    let changed = again.dockerfile.replace("RUN echo 4", "RUN echo four");
    let outcome = site.build(BuildRequest { dockerfile: changed, ..again.clone() }).await;
    assert_eq!(outcome.log.matches("CACHED").count(), 4, "{}", outcome.log);
    let anew = site.build(BuildRequest { no_cache: true, ..again.clone() }).await;
    assert_eq!(anew.log.matches("CACHED").count(), 0);
    let image = anew.built.unwrap();
    assert_ne!(site.run_in(&image, "cat /now").await, one);
    // Nobody else finds them.
    let mut elsewhere = again;
    elsewhere.access.owner = pitlane_model::ImageOwner::from_random([9; 16]);
    assert_eq!(site.build(elsewhere).await.log.matches("CACHED").count(), 0);
    site.close().await;
}

async fn mounts_are_there_while_a_command_runs_and_not_after() {
    let site = Site::start().await;
    let archive = context(site.folder.path(), &[("req.txt", "one\n"), ("lib/x", "x\n")]);
    let dockerfile = r#"FROM default AS other
USER root
RUN echo theirs > /theirs
FROM default
USER root
RUN mkdir -p /cache && echo kept > /cache/kept
WORKDIR /app
RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/scratch \
    ls /cache > /seen; echo x > /cache/new; echo y > /scratch/y
RUN --mount=type=bind,source=req.txt,target=req.txt --mount=source=lib,target=/lib2,ro \
    --mount=type=bind,from=other,source=/theirs,target=/mnt/theirs \
    cat req.txt /lib2/x /mnt/theirs >> /seen
"#;
    let request = BuildRequest { contexts: vec![archive], ..request(dockerfile) };
    let look = "cat /seen; ls /cache /app; ls -d /scratch /lib2 /mnt/theirs 2>&1 | wc -l; ls /mnt";
    let seen = site.try_out(request, look).await;
    assert_eq!(seen, "one\nx\ntheirs\n/app:\n\n/cache:\nkept\n3\n");
    site.close().await;
}

async fn mirrors_are_for_commands_alone() {
    const SECRET: &str = "http://mirror.example/simple";
    let variables = BTreeMap::from([("PIP_INDEX_URL".to_owned(), SECRET.to_owned())]);
    let settings = BuildSettings { mirrors: Mirrors { variables }, ..BuildSettings::default() };
    let site = Site::start_with(settings).await;
    let dockerfile = "FROM default\nRUN test \"$PIP_INDEX_URL\" = http://mirror.example/simple\n\
                      RUN test \"$HTTPS_PROXY\" = http://proxy.example\n";
    let arguments = BTreeMap::from([("HTTPS_PROXY".to_owned(), "http://proxy.example".to_owned())]);
    let outcome = site.build(BuildRequest { arguments, ..request(dockerfile) }).await;
    let image = outcome.built.unwrap();
    assert!(!format!("{:?}", image.config).contains("mirror.example"));
    let found = site
        .run_in(&image, "env; grep -rl mirror.example /etc /root /home /tmp /var/lib /opt; true")
        .await;
    assert!(!found.contains("example"), "{found}");
    // Nor do they name the steps: with other mirrors, these are found.
    let again = site.build(request(dockerfile)).await;
    assert_eq!(again.log.matches("CACHED").count(), 2, "{}", again.log);
    site.close().await;
}

async fn an_image_of_nothing_holds_what_was_copied() {
    let site = Site::start().await;
    let dockerfile = r#"FROM default AS builder
USER root
RUN echo in > /file && mkdir /folder && echo deep > /folder/deep
FROM scratch
COPY --from=builder /file /file
COPY --from=builder /folder /folder
ENTRYPOINT ["/file"]
FROM default
COPY --from=1 / /seen
"#;
    let seen = site.try_out(request(dockerfile), "cat /seen/file /seen/folder/deep").await;
    assert_eq!(seen, "in\ndeep\n");
    site.close().await;
}

async fn large_steps_follow_each_other() {
    let site = Site::start().await;
    let dockerfile = "FROM default\nUSER root\nRUN head -c 50M /dev/urandom > /one && sha256sum /one > /sums\n\
                      RUN echo small > /two\nRUN sha256sum -c /sums && rm /one\nRUN test ! -e /one\n";
    let seen = site.try_out(request(dockerfile), "cat /two; ls /one 2>&1").await;
    assert_eq!(seen, "small\nls: cannot access '/one': No such file or directory\n");
    site.close().await;
}
