//! Whether what was written to one master is in the history of the present one (pure).
//!
//! A promoted replica keeps the replication id of its old master as `master_replid2`, with the first offset that it did
//! not have: <https://redis.io/docs/latest/operate/oss_and_stack/management/replication/>.

/// A place in a history: everything up to it was seen written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The replication id.
    pub replid: String,
    /// The replication offset, bytes.
    pub offset: u64,
}

/// What `INFO replication` says of a node's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The present replication id and offset.
    pub now: Token,
    /// The history before it: its id, and the first offset that is not part of it.
    pub before: Option<Token>,
}

/// What became of what had been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All of it is there.
    Survived,
    /// Some of it is lost.
    Lost,
    /// The histories cannot be compared.
    Unknown,
}

impl Verdict {
    /// A fixed word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }
}

impl History {
    /// Reads `INFO replication`; `None` where it lacks the id or the offset.
    pub fn parse(info: &str) -> Option<Self> {
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let now =
            Token { replid: field("master_replid")?.to_owned(), offset: field("master_repl_offset")?.parse().ok()? };
        // -1 where there was none; the id is all zeros then.
        let before = field("second_repl_offset").and_then(|offset| offset.parse().ok());
        let before = before.zip(field("master_replid2")).map(|(offset, id)| Token { replid: id.to_owned(), offset });
        Some(Self { now, before })
    }

    /// Whether what was written up to `token` is part of this history.
    pub fn verdict(&self, token: &Token) -> Verdict {
        let covers = |known: bool| if known { Verdict::Survived } else { Verdict::Lost };
        if token.replid == self.now.replid {
            return covers(token.offset <= self.now.offset);
        }
        match &self.before {
            Some(before) if before.replid == token.replid => covers(token.offset < before.offset),
            _ => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(before: Option<(&str, u64)>) -> History {
        let token = |(id, offset): (&str, u64)| Token { replid: id.into(), offset };
        History { now: token(("now", 900)), before: before.map(token) }
    }

    fn verdict(history: &History, replid: &str, offset: u64) -> Verdict {
        history.verdict(&Token { replid: replid.into(), offset })
    }

    #[test]
    fn a_promoted_replica_has_what_it_had_received() {
        let promoted = history(Some(("old", 500)));
        assert_eq!(verdict(&promoted, "old", 499), Verdict::Survived);
        assert_eq!(verdict(&promoted, "old", 500), Verdict::Lost);
        assert_eq!(verdict(&promoted, "older", 1), Verdict::Unknown);
        assert_eq!(verdict(&promoted, "now", 900), Verdict::Survived);
        assert_eq!(verdict(&promoted, "now", 901), Verdict::Lost);
        assert_eq!(verdict(&history(None), "old", 1), Verdict::Unknown);
    }

    #[test]
    fn info_is_read() {
        let info = "# Replication\r\nrole:master\r\nmaster_replid:abc\r\nmaster_replid2:def\r\nmaster_repl_offset:77\r\n\
                    second_repl_offset:12\r\n";
        let history = History::parse(info).unwrap();
        assert_eq!((history.now.replid.as_str(), history.now.offset), ("abc", 77));
        assert_eq!(history.before, Some(Token { replid: "def".into(), offset: 12 }));
        let first = History::parse("master_replid:a\nmaster_repl_offset:0\nmaster_replid2:0\nsecond_repl_offset:-1\n");
        assert_eq!(first.unwrap().before, None);
        assert_eq!(History::parse("role:slave"), None);
    }
}
