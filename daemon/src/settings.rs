//! Reading settings so that an operator sees every mistake at once.
//!
//! The caller brings the raw strings; nothing here reads the environment.

pub mod parse;
mod secret;

use std::fmt;

pub use secret::Secret;

/// One setting that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Name of the variable, or a path into the settings file.
    pub setting: String,
    /// What is wrong and what is accepted. Never holds a secret.
    pub problem: String,
}

/// All mistakes found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a mistake that needs more than one setting to see.
    pub fn add(&mut self, setting: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Mistake { setting: setting.into(), problem: problem.into() });
    }

    /// The value of a setting. Not given, or only blanks: the default. A value that does not parse is noted.
    pub fn take<T>(
        &mut self,
        name: &str,
        raw: Option<&str>,
        default: T,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        self.take_optional(name, raw, parse).unwrap_or(default)
    }

    /// The value of a setting without a default.
    pub fn take_optional<T>(
        &mut self,
        name: &str,
        raw: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        match parse(given(raw)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.add(name, problem);
                None
            }
        }
    }

    /// The value of a setting that must be given; `None` has been noted.
    pub fn take_required<T>(
        &mut self,
        name: &str,
        raw: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        if given(raw).is_none() {
            self.add(name, "must be given");
        }
        self.take_optional(name, raw, parse)
    }

    /// A secret, given as `name` or as a path in `name_FILE`. Both, or a file that cannot be read, is noted.
    pub fn take_secret(&mut self, name: &str, value: Option<&str>, file: Option<&str>) -> Option<Secret> {
        let file_name = format!("{name}_FILE");
        match (given(value), given(file)) {
            (None, None) => None,
            (Some(_), Some(_)) => {
                self.add(name, format!("is given together with {file_name}; give one of them"));
                None
            }
            // As it was given: blanks may be part of a password.
            (Some(_), None) => value.map(|value| Secret::Inline(value.into())),
            (None, Some(path)) => {
                let secret = Secret::File(path.into());
                match secret.read() {
                    Ok(_) => Some(secret),
                    Err(error) => {
                        self.add(file_name, format!("{path:?} cannot be read: {error}"));
                        None
                    }
                }
            }
        }
    }

    /// Whether anything is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mistakes, in the order they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Mistake> {
        self.0.iter()
    }

    /// Adds those of another part of the settings.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Fine, or all that is wrong.
    pub fn finish(self) -> Result<(), Self> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }
}

impl<'a> IntoIterator for &'a Mistakes {
    type Item = &'a Mistake;
    type IntoIter = std::slice::Iter<'a, Mistake>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A manifest sets a variable to nothing where it means "not set".
fn given(raw: Option<&str>) -> Option<&str> {
    raw.map(str::trim).filter(|raw| !raw.is_empty())
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{mistake}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match flag(&self.setting) {
            Some(flag) => write!(f, "{} ({flag}): {}", self.setting, self.problem),
            None => write!(f, "{}: {}", self.setting, self.problem),
        }
    }
}

/// `REDIS_DB` is `--redis-db`; a path into the settings file has no flag.
fn flag(setting: &str) -> Option<String> {
    let is_variable = !setting.is_empty()
        && setting.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_variable.then(|| format!("--{}", setting.to_ascii_lowercase().replace('_', "-")))
}

#[cfg(test)]
mod tests;
