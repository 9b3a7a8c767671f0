//! Code: which interpreter gets it, and how.
//!
//! An interpreter reads its source from standard input, which is a file: a source has no largest size, programs that
//! read their input find its end, relative imports start in the work folder, and nothing is left on the disk. Errors
//! show line numbers of `<stdin>` or `[stdin]`.
//!
//! TypeScript loses its types and is not checked. `esbuild` does that where the image has it; else Node itself, from
//! 22.18 on; else `ts-node`, through a file in `/tmp`, since it reads nothing else.

use std::ffi::{CStr, CString};

use pitlane_sys::ExitStatus;
use pitlane_wire::toolbox::CodeRunRequest;
use rustix::fs::{Access, access};

use super::job::{Prepared, exit_code, not_run, not_started, refuse};
use super::launch::{Launch, Surroundings};
use super::supervise::{Control, Kind, Sink, Source, supervise};
use crate::files::{Files, TemporaryFile};
use crate::http::Refusal;
use crate::toolbox::Toolbox;

/// The first Node that runs TypeScript without being asked.
const TYPE_STRIPPING_NODE: (u32, u32) = (22, 18);
/// The first Node that is not asked to turn enums and the like into code as well: whether it still knows the flag cannot
/// be told.
const NODE_WITHOUT_FLAG: (u32, u32) = (26, 0);
const TRANSFORM: &CStr = c"--experimental-transform-types";
/// The warning would be part of the result.
const QUIETLY: &CStr = c"--disable-warning=ExperimentalWarning";
/// What esbuild says about `await` outside functions, which needs the other module format.
const NEEDS_MODULE: &str = "Top-level await";
/// More than any compiled source.
const MAX_TOOL_OUTPUT: usize = 64 << 20;

/// Decides how code is run; compiles it where that is needed.
pub(super) async fn prepare(
    toolbox: &Toolbox,
    request: &CodeRunRequest,
    surroundings: &Surroundings,
    control: &Control,
) -> Result<Prepared, Refusal> {
    let arguments = request.argv.iter().flatten().map(|argument| CString::new(argument.as_str()));
    let arguments = arguments
        .collect::<Result<Vec<CString>, _>>()
        .map_err(|_contains_nul| Refusal::bad_request("an argument contains a NUL"))?;
    let preparation = Preparation { toolbox, surroundings, control, arguments };
    let code = request.code.as_bytes();
    match request.language.as_str() {
        "python" => preparation.python(code),
        "javascript" => preparation.node(&[c"-"], code),
        "typescript" => preparation.typescript(code).await,
        "" => Err(Refusal::bad_request("language is required")),
        other => Err(Refusal::bad_request(format!(
            "unsupported language {other:?}: use python, javascript or typescript"
        ))),
    }
}

struct Preparation<'a> {
    toolbox: &'a Toolbox,
    surroundings: &'a Surroundings,
    control: &'a Control,
    /// Those of the code.
    arguments: Vec<CString>,
}

/// What a tool that ran to its end has written.
#[derive(Debug, Default)]
struct ToolOutput {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Sink for ToolOutput {
    async fn take(&mut self, kind: Kind, bytes: &[u8]) {
        let output = match kind {
            Kind::Stdout => &mut self.stdout,
            Kind::Stderr => &mut self.stderr,
        };
        if output.len().saturating_add(bytes.len()) <= MAX_TOOL_OUTPUT {
            output.extend_from_slice(bytes);
        }
    }
}

impl Preparation<'_> {
    fn python(&self, code: &[u8]) -> Result<Prepared, Refusal> {
        self.surroundings.python(self.arguments.iter().cloned(), code).map(Prepared::Ready)
    }

    fn node(&self, flags: &[&CStr], code: &[u8]) -> Result<Prepared, Refusal> {
        self.launch(self.surroundings.environment.candidates("node"), flags, code)
    }

    fn launch(
        &self,
        candidates: Vec<CString>,
        flags: &[&CStr],
        input: &[u8],
    ) -> Result<Prepared, Refusal> {
        let flags = flags.iter().map(|flag| CString::from(*flag));
        let arguments = flags.chain(self.arguments.iter().cloned()).collect();
        self.surroundings.launch(candidates, arguments, input).map(Prepared::Ready)
    }

    async fn typescript(&self, code: &[u8]) -> Result<Prepared, Refusal> {
        let files = self.toolbox.files();
        if let Some(esbuild) = self.find(files, "esbuild").await? {
            return self.compile(esbuild, code).await;
        }
        let Some(node) = self.find(files, "node").await? else {
            return Ok(Prepared::Over(not_run(String::from(
                "cannot run TypeScript: the image has no node",
            ))));
        };
        match self.node_version(node).await? {
            Some(version) if version >= NODE_WITHOUT_FLAG => return self.node(&[c"-"], code),
            Some(version) if version >= TYPE_STRIPPING_NODE => {
                return self.node(&[TRANSFORM, QUIETLY, c"-"], code);
            }
            _ => {}
        }
        match self.find(files, "npx").await? {
            Some(npx) => self.ts_node(npx, code).await,
            None => Ok(Prepared::Over(not_run(String::from(
                "cannot run TypeScript: the image has neither esbuild, nor node 22.18 or later, nor npx with ts-node",
            )))),
        }
    }

    /// Removes the types with esbuild.
    async fn compile(&self, esbuild: CString, code: &[u8]) -> Result<Prepared, Refusal> {
        let (status, output) = self.esbuild(esbuild.clone(), c"--format=cjs", code).await?;
        if status == ExitStatus::Code(0) {
            return self.node(&[c"-"], &output.stdout);
        }
        if !String::from_utf8_lossy(&output.stderr).contains(NEEDS_MODULE) {
            return Ok(failed(status, &output));
        }
        let (status, output) = self.esbuild(esbuild, c"--format=esm", code).await?;
        if status == ExitStatus::Code(0) {
            return self.node(&[c"--input-type=module", c"-"], &output.stdout);
        }
        Ok(failed(status, &output))
    }

    async fn esbuild(
        &self,
        program: CString,
        format: &CStr,
        code: &[u8],
    ) -> Result<(ExitStatus, ToolOutput), Refusal> {
        let flags =
            [c"--loader=ts", format, c"--platform=node", c"--log-level=warning", c"--color=false"];
        let flags = flags.into_iter().map(CString::from).collect();
        self.run_tool(&self.surroundings.launch(vec![program], flags, code)?).await
    }

    async fn node_version(&self, node: CString) -> Result<Option<(u32, u32)>, Refusal> {
        let launch = self.surroundings.launch(vec![node], vec![c"--version".into()], b"")?;
        let (_, output) = self.run_tool(&launch).await?;
        Ok(parse_node_version(&String::from_utf8_lossy(&output.stdout)))
    }

    async fn ts_node(&self, npx: CString, code: &[u8]) -> Result<Prepared, Refusal> {
        let file = TemporaryFile::create(self.toolbox.files(), ".ts", code.to_vec()).await?;
        let path = CString::new(file.path())
            .map_err(|_contains_nul| Refusal::internal("a temporary path contains a NUL"))?;
        let mut arguments = vec![c"--no-install".into(), c"ts-node".into(), path];
        arguments.extend(self.arguments.iter().cloned());
        let mut launch = self.surroundings.launch(vec![npx], arguments, b"")?;
        launch.keeps = Some(file);
        Ok(Prepared::Ready(launch))
    }

    /// The first file of this name on the path that the user may execute.
    async fn find(&self, files: &Files, program: &str) -> Result<Option<CString>, Refusal> {
        let candidates = self.surroundings.environment.candidates(program);
        let find = move || {
            candidates.into_iter().find(|path| access(path.as_c_str(), Access::EXEC_OK).is_ok())
        };
        files.run(find).await.map_err(Refusal::from)
    }

    /// Runs a program that belongs to the preparation to its end.
    async fn run_tool(&self, launch: &Launch) -> Result<(ExitStatus, ToolOutput), Refusal> {
        let failed = |error| Refusal::internal(format!("cannot make a pipe: {error}"));
        let (output, stdout) = Source::pipe(Kind::Stdout).map_err(failed)?;
        let (errors, stderr) = Source::pipe(Kind::Stderr).map_err(failed)?;
        let mut started = match self.toolbox.processes().start(launch, &stdout, &stderr) {
            Ok(started) => started,
            Err(error) => return Err(Refusal::bad_request(not_started(launch, &error)?)),
        };
        drop((stdout, stderr));
        let mut sources = [output, errors];
        let mut collected = ToolOutput::default();
        let ending = supervise(&mut started, &mut sources, &mut collected, self.control).await;
        let status = refuse(&started, ending).await?;
        Ok((status, collected))
    }
}

fn failed(status: ExitStatus, output: &ToolOutput) -> Prepared {
    Prepared::Over(pitlane_wire::toolbox::ExecuteResponse {
        exit_code: exit_code(status),
        result: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn parse_node_version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_node_version;

    #[test]
    fn nodes_are_compared_by_number() {
        let versions = ["v22.18.0\n", "v9.1.0", "v100.0.0-nightly", "node", "v22"];
        let wanted = [Some((22, 18)), Some((9, 1)), Some((100, 0)), None, None];
        assert_eq!(versions.map(parse_node_version), wanted);
    }
}
