//! What `INFO` and `CONFIG GET` say (pure). <https://redis.io/docs/latest/commands/info/>

use std::collections::HashMap;

/// Fields by name; a field that is missing was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info(HashMap<String, String>);

impl Info {
    /// Reads the lines `name:value`; headings and blank lines are left out.
    pub fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|line| line.trim_end().split_once(':'));
        Self(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Adds a setting of the server.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    /// Whether a field is there and says this.
    pub fn is(&self, name: &str, value: &str) -> bool {
        self.get(name) == Some(value)
    }

    /// The replicas that are connected: `slave0:ip=...,port=...,state=online,offset=...,lag=...`.
    pub fn replicas(&self) -> Vec<Replica> {
        let count = self.int("connected_slaves").unwrap_or(0).clamp(0, 100);
        (0..count).filter_map(|index| Replica::parse(self.get(&format!("slave{index}"))?)).collect()
    }
}

/// A replica as its master sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Host, as it announces itself.
    pub host: String,
    /// Port, as it announces itself.
    pub port: u16,
    /// In sync.
    pub online: bool,
    /// Bytes of the replication stream that it has.
    pub offset: i64,
    /// Seconds since it last said so.
    pub lag: i64,
}

impl Replica {
    fn parse(row: &str) -> Option<Self> {
        let fields: HashMap<&str, &str> = row.split(',').filter_map(|field| field.split_once('=')).collect();
        let number = |name| fields.get(name).and_then(|text: &&str| text.parse().ok()).unwrap_or(0);
        Some(Self {
            host: (*fields.get("ip")?).to_owned(),
            port: fields.get("port")?.parse().ok()?,
            online: fields.get("state") == Some(&"online"),
            offset: number("offset"),
            lag: number("lag"),
        })
    }
}

/// A version as two numbers; `7.0.15` is (7, 0).
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_replicas() {
        let text = "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
                    slave0:ip=10.0.0.2,port=6379,state=online,offset=42,lag=1\r\n\
                    slave1:ip=host,port=6380,state=wait_bgsave,offset=0,lag=0\r\n";
        let info = Info::parse(text);
        assert!(info.is("role", "master") && info.int("connected_slaves") == Some(2) && info.get("x").is_none());
        let replicas = info.replicas();
        assert_eq!(replicas.len(), 2);
        assert_eq!((replicas[0].host.as_str(), replicas[0].offset, replicas[0].online), ("10.0.0.2", 42, true));
        assert!(!replicas[1].online);
        assert_eq!((version("7.0.15"), version("8.0-rc1"), version("x")), (Some((7, 0)), None, None));
    }
}
