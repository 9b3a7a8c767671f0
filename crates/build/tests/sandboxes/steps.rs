//! Commands, variables, users, stages.

use crate::support::{Site, request};

crate::trials! {
    commands_run_in_every_form_and_what_they_wrote_is_in_the_image,
}

async fn commands_run_in_every_form_and_what_they_wrote_is_in_the_image() {
    let site = Site::start().await;
    let dockerfile = r#"FROM default
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
"#;
    let seen = site.try_out(request(dockerfile), "cat /shell /exec /here /cat /python /bash").await;
    assert_eq!(
        seen,
        "shell\nmore\n/bin/sh exec\nhere\n/root\nhome is /root\nhome is $HOME\nfrom python\nbash\n"
    );
    site.close().await;
}
