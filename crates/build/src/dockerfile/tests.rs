use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Dockerfile {
    Dockerfile::parse(text).unwrap()
}

fn refusal(text: &str) -> String {
    Dockerfile::parse(text).unwrap_err().to_string()
}

/// The instructions of a Dockerfile of one stage.
fn actions(text: &str) -> Vec<(usize, Action)> {
    let file = parse(&format!("FROM a\n{text}"));
    let stage = file.stages.into_iter().next().unwrap();
    stage.instructions.into_iter().map(|found| (found.line, found.action)).collect()
}

fn expand(word: &str, variables: &impl Variables) -> Result<String, String> {
    Expander::new('\\').word(word, variables)
}

fn shell(text: &str) -> Command {
    Command::Shell(text.to_owned())
}

fn run(text: &str) -> Run {
    let found = actions(text).into_iter().next().unwrap().1;
    let Action::Run(run) = found else { panic!("{found:?}") };
    *run
}

#[test]
fn lines_go_on_over_comments_and_empty_lines() {
    let found = actions("RUN a \\\n# comment\n\n   && b \\  \n&& c\\\\\nENV A=1\n");
    let [(2, Action::Run(run)), (7, Action::Env(_))] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(run.command, shell("a    && b && c\\\\"));
    let file = parse("# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN dir C:\\ `\n x\n");
    assert_eq!(file.escape, '`');
    let windows = parse("FROM a\r\nRUN echo a \\\r\n b\r\n");
    let [instruction] = windows.stages[0].instructions.as_slice() else { panic!() };
    assert_eq!(instruction.text, "RUN echo a  b");
}

#[test]
fn here_documents_may_stand_anywhere_in_a_line() {
    let found = run("RUN cat <<A > /x && cat <<-\"B\"\n1\nRUN 2\nA\n\t$x\n\tB\nRUN next\n");
    assert_eq!(found.command, shell("cat <<A > /x && cat <<-\"B\""));
    let documents: Vec<_> = found
        .here_documents
        .iter()
        .map(|document| (document.name.as_str(), document.text(), document.expands))
        .collect();
    assert_eq!(documents, [("A", "1\nRUN 2\n".to_owned(), true), ("B", "$x\n".to_owned(), false)]);
    // Here-strings, and what is quoted, are none.
    assert_eq!(run("RUN cat <<<x\n").here_documents, []);
    assert_eq!(run("RUN echo \"a <<E\"\n").here_documents, []);
    assert_eq!(run("RUN [\"echo\", \"<<E\"]\n").here_documents, []);
}

#[test]
fn what_looks_like_a_list_and_is_none_is_a_line() {
    assert_eq!(run("RUN [\"a\", \"b c\"]").command, Command::Exec(vec!["a".into(), "b c".into()]));
    assert_eq!(run("RUN [ -f /x ]").command, shell("[ -f /x ]"));
    assert_eq!(actions("ENTRYPOINT []"), [(2, Action::Entrypoint(Command::Exec(vec![])))]);
    assert_eq!(actions("ENTRYPOINT ['a']"), [(2, Action::Entrypoint(shell("['a']")))]);
}

#[test]
fn every_refusal_names_the_line_and_what_is_possible() {
    let refusals = [
        "",
        "RUN x",
        "FROM a\nFOO x\n",
        "FROM a b",
        "FROM a AS 1x",
        "FROM a AS x\nFROM b AS X\n",
        "FROM --x=y a",
        "FROM a\nRUN\n",
        "FROM a\nRUN []\n",
        "FROM a\nRUN --mount=type=secret,target=/x ls\n",
        "FROM a\nRUN --mount=type=cache ls\n",
        "FROM a\nRUN --mount=type=cache,target=/x,colour=red ls\n",
        "FROM a\nRUN --network=host ls\n",
        "FROM a\nRUN --security=insecure ls\n",
        "FROM a\nRUN --privileged ls\n",
        "FROM a\nRUN <<E\nx\n",
        "FROM a\nCOPY x\n",
        "FROM a\nCOPY --parents x y\n",
        "FROM a\nCOPY --link=maybe x y\n",
        "FROM a\nADD --from=x y z\n",
        "FROM a\nADD https://example.org/x /x\n",
        "FROM a\nCOPY --from=x <<E /y\nE\n",
        "FROM a\nENV\n",
        "FROM a\nENV A\n",
        "FROM a\nENV A=1 B\n",
        "FROM a\nENV =1\n",
        "FROM a\nENV A='x\ny'\n",
        "FROM a\nARG 1x\n",
        "FROM a\nWORKDIR\n",
        "FROM a\nUSER\n",
        "FROM a\nEXPOSE\n",
        "FROM a\nVOLUME\n",
        "FROM a\nSHELL /bin/sh\n",
        "# escape=x\nFROM a\n",
        "FROM a\n\nRUN a\0b\n",
    ];
    let told: String =
        refusals.iter().map(|text| format!("{text:?}\n    {}\n", refusal(text))).collect();
    insta::assert_snapshot!(told);
}

#[test]
fn dockerfiles_are_bounded() {
    assert!(refusal(&"#".repeat(Dockerfile::MAX_BYTES + 1)).contains("at most"));
    let many = format!("FROM a\n{}", "RUN x\n".repeat(Dockerfile::MAX_INSTRUCTIONS));
    assert_eq!(refusal(&many), "Dockerfile line 1001: a Dockerfile has at most 1000 instructions");
    let stages = "FROM a\n".repeat(Dockerfile::MAX_STAGES + 1);
    assert_eq!(refusal(&stages), "Dockerfile line 65: a Dockerfile has at most 64 stages");
}

#[test]
fn one_image_and_nothing_else_needs_no_build() {
    let image = |text: &str| parse(text).plan().image().map(ToString::to_string);
    assert_eq!(image("FROM python:3.12-slim\n"), Some("python:3.12-slim".to_owned()));
    assert_eq!(image("# c\n\nFROM a AS b\n"), Some("a".to_owned()));
    for text in ["FROM scratch", "FROM $A", "FROM a\nENV A=1\n", "FROM a\nFROM b\n"] {
        assert_eq!(image(text), None, "{text}");
    }
    assert!(parse("FROM a\nCOPY x y\n").plan().needs_context());
    assert!(parse("FROM a\nRUN --mount=target=/x,source=y ls\n").plan().needs_context());
    assert!(!parse("FROM a\nCOPY --from=b x y\nCOPY <<E /f\nE\n").plan().needs_context());
}

#[test]
fn words_lose_quotes_and_get_their_variables() {
    let variables = |name: &str| match name {
        "A" => Some("1".to_owned()),
        "EMPTY" => Some(String::new()),
        "SPACE" => Some("a b".to_owned()),
        _ => None,
    };
    for (word, wanted) in [
        ("a", "a"),
        ("'a $A'", "a $A"),
        ("\"a $A\"", "a 1"),
        ("a\\ b", "a b"),
        ("\\$A", "$A"),
        ("\"\\$A \\x \\\"\"", "$A \\x \""),
        ("$A$A", "11"),
        ("${A}x", "1x"),
        ("$B", ""),
        ("${B:-two}", "two"),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY-two}", ""),
        ("${A:+yes}", "yes"),
        ("${EMPTY:+yes}", ""),
        ("${EMPTY+yes}", "yes"),
        ("${B:-${A:-x}}", "1"),
        ("${B:-'} $A'}", "} $A"),
        ("$SPACE", "a b"),
        ("$", "$"),
        ("$1", "$1"),
        ("a\\", "a\\"),
        ("'it'\"'\"'s'", "it's"),
    ] {
        let got = expand(word, &variables);
        assert_eq!(got.as_deref(), Ok(wanted), "{word}");
    }
    for (word, wanted) in [
        ("'a", "a ' is not closed"),
        ("\"a", "a \" is not closed"),
        ("${A", "${A is not closed"),
        ("${}", "${ is not followed by the name of a variable"),
        ("${B:?it must be}", "variable B: it must be"),
        ("${B?}", "variable B is not set"),
        ("${A%x}", "${A…} knows :-, :+, :?, -, + and ? after the name, and nothing else"),
        ("${A:-x", "'}' is missing"),
    ] {
        assert_eq!(expand(word, &variables), Err(wanted.to_owned()), "{word}");
    }
}

#[test]
fn words_do_not_grow_without_end() {
    let value = "x".repeat(100_000);
    let variables = |_: &str| Some(value.clone());
    assert!(expand(&"$A".repeat(1_000), &variables).is_err());
    let nested = format!("{}x{}", "${B:-".repeat(1_000), "}".repeat(1_000));
    let nothing = |_: &str| None;
    assert_eq!(expand(&nested, &nothing), Err("variables are nested too deep".to_owned()));
}

#[test]
fn the_words_of_a_build_have_an_end_together() {
    let value = "x".repeat(100_000);
    let variables = |_: &str| Some(value.clone());
    // Also what is looked at and not taken counts.
    for word in ["$A", "${A:+}", "\"${B:-$A}\""] {
        let expander = Expander::new('\\');
        let all: Result<Vec<String>, String> =
            (0..1_000).map(|_| expander.word(word, &variables)).collect();
        let wanted = "the variables of a build become more than 16777216 bytes";
        assert_eq!(all.unwrap_err(), wanted, "{word}");
    }
    let expander = Expander::new('\\');
    assert!(expander.text(&"${A:+}".repeat(1_000), &variables).is_err());
}

#[test]
fn flags_are_read_once() {
    // A flag that is looked for from the beginning of the line each time makes this take minutes.
    let flags = "--exclude=a ".repeat(80_000);
    let found = actions(&format!("COPY {flags} x y\n"));
    let [(2, Action::Copy(copy))] = found.as_slice() else { panic!("{}", found.len()) };
    assert_eq!(copy.flags.exclude.len(), 80_000);
    assert_eq!(copy.sources, [Source::Path("x".to_owned())]);
}

/// What the declarative images of Daytona's SDKs write.
#[test]
fn what_the_sdk_writes_is_understood() {
    let file = parse(
        r#"FROM python:3.12.10-slim-bookworm
RUN apt-get update
RUN apt-get install -y gcc gfortran build-essential
RUN pip install --upgrade pip
RUN echo 'debconf debconf/frontend select Noninteractive' | debconf-set-selections
RUN python -m pip install numpy 'pandas>=2' --find-links /x --index-url https://example.org --pre
COPY home/me/requirements.txt /.requirements.txt
RUN python -m pip install -r /.requirements.txt
COPY ["home/me/a file", "/home/daytona/a file"]
RUN "bash" "-c" "echo \\\"Hello\\\""
ENV GREETING='it'"'"'s me'
WORKDIR '/home/daytona/my project'
ENTRYPOINT ["/bin/bash"]
ENTRYPOINT []
CMD ["python", "-V"]
"#,
    );
    let [stage] = file.stages.as_slice() else { panic!() };
    assert_eq!(stage.instructions.len(), 14);
    let none = |_: &str| None;
    let Action::WorkDir(folder) = &stage.instructions[10].action else { panic!() };
    assert_eq!(expand(folder, &none).as_deref(), Ok("/home/daytona/my project"));
    let Action::Env(pairs) = &stage.instructions[9].action else { panic!() };
    assert_eq!(expand(&pairs[0].1, &none).as_deref(), Ok("it's me"));
}

proptest! {
    #[test]
    fn no_text_ends_the_parser(text in "(FROM|RUN|COPY|ENV|ARG|--|<<|E|\\[|\"|'|\\\\|\\$|\\{|:|-|=| |\n|\t|#|x|é){0,80}") {
        if let Ok(file) = Dockerfile::parse(&text) {
            prop_assert!(!file.stages.is_empty());
            prop_assert!(file.plan().stages() == file.stages.len());
        }
    }

    #[test]
    fn a_quoted_word_means_itself(text in "[^\0]{0,40}") {
        let quoted = format!("'{}'", text.replace('\'', "'\"'\"'"));
        let nothing = |_: &str| None;
        prop_assert_eq!(expand(&quoted, &nothing), Ok(text));
    }

    #[test]
    fn expansion_always_ends(word in "[$A{}:+?'\"\\\\-]{0,60}") {
        let one = |_: &str| Some("1".to_owned());
        let _either = expand(&word, &one);
    }
}
