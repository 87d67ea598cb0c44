//! The broker as a process: started, killed with SIGKILL, started again. Its log lines go to a file.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::process::broker::{free_port, program_beside, quoted};

/// Name of the file in the data directory that gets what the broker writes to standard error.
const LOG_FILE: &str = "drill-broker.log";

/// A process that is killed when it is dropped, so that none outlives a drill that fails.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already: nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the broker is started.
pub(super) struct Broker {
    program: String,
    data: PathBuf,
    /// Options of `run`.
    options: Vec<String>,
    pub(super) address: SocketAddr,
}

impl Broker {
    /// `program`: the command that becomes the broker; without one it is the `millrace` beside this executable.
    /// `settings` are the user's; they win over the drill's own.
    pub(super) fn new(
        program: Option<&str>,
        data: &Path,
        port: Option<u16>,
        settings: &[String],
    ) -> Result<Broker, String> {
        let program = match program {
            Some(program) => program.to_owned(),
            None => quoted(&program_beside("millrace")?),
        };
        let port = port.map_or_else(free_port, Ok)?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        // Retention would take away what is to be counted.
        let own = [format!("listener.mqtt.bind={address}"), "log.retention_bytes=1TiB".to_owned()];
        let set = |setting: &String| ["--set".to_owned(), setting.clone()];
        let options = own.iter().chain(settings).flat_map(set).collect();
        Ok(Broker { program, data: data.to_owned(), options, address })
    }

    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Where the broker's log lines are.
    pub(super) fn log_file(&self) -> PathBuf {
        self.data.join(LOG_FILE)
    }

    /// The program with `args` and its data directory. The shell splits the user's command and then becomes it: the
    /// process that is killed must be the broker itself.
    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("exec {} \"$@\"", self.program)).arg("sh");
        command.args(args).arg("--data").arg(&self.data);
        command
    }

    pub(super) fn start(&self) -> Result<Running, String> {
        let path = self.log_file();
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log: File = log.map_err(|error| format!("{}: {error}", path.display()))?;
        let mut command = self.command(&["run"]);
        command.args(&self.options).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map(Running).map_err(|error| format!("cannot start `{}`: {error}", self.program))
    }

    /// Says how the broker ended without being killed.
    pub(super) fn ended(&self, status: ExitStatus) -> String {
        format!("the broker ended by itself: {status}; its last words are in {}", self.log_file().display())
    }
}
