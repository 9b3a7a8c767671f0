//! What is told of exceptions.

use super::{Heard, failure, printed, run};
use crate::daemon::Daemon;

#[tokio::test]
async fn a_traceback_shows_the_lines_of_this_run_and_of_earlier_ones() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, "# a comment\ndef divide(a, b):\n    return a / b").await, "");
    assert_eq!(printed(&daemon, "\n\n\ny = 0").await, "");
    let [name, value, traceback] = failure(&daemon, "x = 1\ndivide(x, y)").await;
    assert_eq!((name.as_str(), value.as_str()), ("ZeroDivisionError", "division by zero"));
    let lines: Vec<&str> =
        traceback.lines().filter(|line| !line.trim().chars().all(|c| "^~".contains(c))).collect();
    assert_eq!(
        lines,
        [
            "Traceback (most recent call last):",
            "  File \"<stdin>\", line 2, in <module>",
            "    divide(x, y)",
            "  File \"<stdin>\", line 3, in divide",
            "    return a / b",
            "ZeroDivisionError: division by zero",
        ]
    );
}

#[tokio::test]
async fn code_that_is_no_python_is_told_with_its_line() {
    let daemon = Daemon::start();
    let [name, value, traceback] = failure(&daemon, "x = 1\nif x\n  pass").await;
    assert_eq!((name.as_str(), value.as_str()), ("SyntaxError", "expected ':' (<stdin>, line 2)"));
    assert!(traceback.starts_with("  File \"<stdin>\", line 2\n    if x\n"), "{traceback}");
    assert!(traceback.ends_with("SyntaxError: expected ':'\n"), "{traceback}");
    let [name, ..] = failure(&daemon, "def f():\nreturn").await;
    assert_eq!(name, "IndentationError");
}

#[tokio::test]
async fn causes_libraries_and_groups_are_in_a_traceback() {
    let daemon = Daemon::start();
    let code = "import json\ntry:\n    json.loads('{')\nexcept ValueError as error:\n    raise KeyError('k') from error";
    let [name, value, traceback] = failure(&daemon, code).await;
    assert_eq!((name.as_str(), value.as_str()), ("KeyError", "'k'"));
    for part in
        ["json/decoder.py", "direct cause", "File \"<stdin>\", line 3", "File \"<stdin>\", line 5"]
    {
        assert!(traceback.contains(part), "{part}: {traceback}");
    }
    assert!(!traceback.contains("<interpreter>") && !traceback.contains("<stdin-"), "{traceback}");
    let code = "raise ExceptionGroup('all', [ValueError(1), TypeError(2)])";
    let [name, _, traceback] = failure(&daemon, code).await;
    assert_eq!(name, "ExceptionGroup");
    assert!(
        traceback.contains("ValueError: 1") && traceback.contains("TypeError: 2"),
        "{traceback}"
    );
}

#[tokio::test]
async fn exceptions_that_cannot_be_told_are_told_all_the_same() {
    let daemon = Daemon::start();
    let code =
        "class Bad(Exception):\n    def __str__(self): raise RuntimeError('no')\nraise Bad()";
    let [name, value, traceback] = failure(&daemon, code).await;
    assert_eq!((name.as_str(), value.as_str()), ("Bad", "<exception str() failed>"));
    assert!(traceback.ends_with("Bad: <exception str() failed>\n"), "{traceback}");
    let code = "class Worse(Exception):\n    def __str__(self): raise SystemExit(9)\n    __repr__ = __str__\nraise Worse()";
    let [name, value, _] = failure(&daemon, code).await;
    assert_eq!((name.as_str(), value.as_str()), ("Worse", "<exception str() failed>"));
    let [_, value, _] = failure(&daemon, "raise ValueError('\\ud800 \\0')").await;
    assert_eq!(value, "\\ud800 \0");
    assert_eq!(printed(&daemon, "print('still here')").await, "still here\n");
}

#[tokio::test]
async fn huge_values_are_cut_in_their_middle() {
    let daemon = Daemon::start();
    let [name, value, traceback] =
        failure(&daemon, "raise ValueError('a' * 50_000_000 + 'z')").await;
    assert_eq!(name, "ValueError");
    for (text, most) in [(&value, 32 << 10), (&traceback, 64 << 10)] {
        assert!(text.len() > most / 2 && text.len() < most + 100, "{}", text.len());
        assert!(text.contains(" bytes are left out ...]"), "it is told");
    }
    assert!(value.starts_with("aaa") && value.ends_with("aaz"));
    let [name, _, traceback] = failure(&daemon, "def f(): f()\nf()").await;
    assert_eq!(name, "RecursionError");
    assert!(traceback.contains("Previous line repeated"), "{traceback}");
}

#[tokio::test]
async fn leaving_is_no_error() {
    let daemon = Daemon::start();
    assert_eq!(run(&daemon, "import sys; x = 5; sys.exit(3)").await, Heard::completed());
    assert_eq!(run(&daemon, "raise SystemExit").await, Heard::completed());
    let wanted = Heard { stderr: String::from("farewell\n"), ..Heard::completed() };
    assert_eq!(run(&daemon, "sys.exit('farewell')").await, wanted);
    assert_eq!(printed(&daemon, "print(x)").await, "5\n");
    let heard = run(&daemon, "raise KeyboardInterrupt('me')").await;
    assert_eq!(heard.controls, ["interrupted"]);
    assert_eq!(heard.errors[0][..2], ["KeyboardInterrupt", "me"]);
    assert_eq!(heard.close, Some((1000, String::new())));
}

#[tokio::test]
async fn sources_can_be_looked_at() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon, "def f():\n    return 1").await, "");
    let code = "import inspect; print(inspect.getsource(f), end='')";
    assert_eq!(printed(&daemon, code).await, "def f():\n    return 1\n");
}
