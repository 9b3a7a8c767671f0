//! A process of the run's own that is asked in lines of JSON, and answers each with one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A running process that is asked. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Dialogue {
    program: String,
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Dialogue {
    /// Starts a process whose standard input and output are lines of JSON.
    pub(crate) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let program = command.get_program().display().to_string();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let (questions, answers) = (child.stdin.take(), child.stdout.take());
        let answers = BufReader::new(answers.context("a process without output")?);
        Ok(Self { program, child, questions, answers })
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    ///
    /// The process has ended, or its answer cannot be understood.
    pub(crate) fn ask<A: DeserializeOwned>(
        &mut self,
        question: &(impl Serialize + ?Sized),
    ) -> anyhow::Result<A> {
        let program = &self.program;
        let has_ended = || format!("{program} has ended");
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        let questions = self.questions.as_mut().with_context(has_ended)?;
        questions.write_all(&line).with_context(has_ended)?;
        let mut answer = String::new();
        ensure!(self.answers.read_line(&mut answer)? > 0, "{program} has ended");
        serde_json::from_str(&answer).with_context(|| format!("cannot understand {program}"))
    }

    /// Asks no more and waits for the end.
    ///
    /// # Errors
    ///
    /// It did not end well.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.questions = None;
        let status = self.child.wait()?;
        ensure!(status.success(), "{} ended with {status}", self.program);
        Ok(())
    }
}

impl Drop for Dialogue {
    fn drop(&mut self) {
        self.questions = None;
        if self.child.wait().is_err() {
            // It is not there any more.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::command;

    #[test]
    fn each_question_has_its_answer() {
        let mut dialogue = Dialogue::start(&mut command::<[&str; 0]>("cat", [])).unwrap();
        let answers: [String; 2] = ["one", "two"].map(|word| dialogue.ask(word).unwrap());
        assert_eq!(answers, ["one", "two"]);
        dialogue.end().unwrap();
    }

    #[test]
    fn a_process_that_ends_instead_is_told_with_its_name() {
        let mut dialogue =
            Dialogue::start(&mut command("sh", ["-c", "read line; exit 3"])).unwrap();
        let error = dialogue.ask::<String>("one").unwrap_err().to_string();
        assert_eq!(error, "sh has ended");
        assert_eq!(dialogue.end().unwrap_err().to_string(), "sh ended with exit status: 3");
    }
}
