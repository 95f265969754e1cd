//! Lua scripts, called by digest.

use redis::Cmd;

/// A script with a name for logs and errors.
#[derive(Debug)]
pub struct Script {
    name: &'static str,
    source: String,
    digest: String,
}

impl Script {
    /// `parts` are joined; the first ones are shared functions.
    pub fn new(name: &'static str, parts: &[&str]) -> Self {
        let source = parts.join("\n");
        let digest = redis::Script::new(&source).get_hash().to_owned();
        Self { name, source, digest }
    }

    /// What it is called in logs.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// `EVALSHA` with the digest; the keys and arguments follow.
    pub fn call(&self) -> Call<'_> {
        Call { script: self, keys: Vec::new(), args: Vec::new() }
    }

    pub(crate) fn load(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("SCRIPT").arg("LOAD").arg(&self.source);
        cmd
    }
}

/// One call of a script.
#[derive(Debug)]
pub struct Call<'a> {
    pub(crate) script: &'a Script,
    keys: Vec<Vec<u8>>,
    args: Vec<Vec<u8>>,
}

impl Call<'_> {
    /// The next key.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.push(key.as_ref().to_vec());
        self
    }

    /// The next argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.args.push(arg.as_ref().to_vec());
        self
    }

    /// The next argument, a number.
    #[must_use]
    pub fn number(self, number: impl std::fmt::Display) -> Self {
        self.arg(number.to_string())
    }

    pub(crate) fn cmd(&self) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVALSHA").arg(&self.script.digest).arg(self.keys.len()).arg(&self.keys).arg(&self.args);
        cmd
    }
}
