//! `docs/settings.md`: its tables are what the programs' `--help` says.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use line_tests::Program;

use super::page;

const PAGE: &str = "docs/settings.md";
const PATIENCE: Duration = Duration::from_secs(15);
const BEGIN: &str = "<!-- generated from --help: begin -->\n";
const END: &str = "<!-- generated from --help: end -->\n";

/// What is read by whom, and its program with arguments.
const COMMANDS: [(&str, &str, &[&str]); 12] = [
    ("hook", "stream-dispatcher", &["hook"]),
    ("work", "stream-dispatcher", &["work"]),
    ("run", "stream-dispatcher", &["run"]),
    ("replay list", "stream-dispatcher", &["replay", "list"]),
    ("replay show", "stream-dispatcher", &["replay", "show"]),
    ("replay retry", "stream-dispatcher", &["replay", "retry"]),
    ("replay drop", "stream-dispatcher", &["replay", "drop"]),
    ("replay export", "stream-dispatcher", &["replay", "export"]),
    ("replay import", "stream-dispatcher", &["replay", "import"]),
    ("check", "stream-dispatcher", &["check"]),
    ("scaler", "stream-scaler", &[]),
    ("explain", "stream-scaler", &["explain"]),
];
const SECTIONS: [&str; 12] = [
    "Redis", "Stream", "Agents", "Alerts", "Hook", "Outbox", "Worker", "Process", "Scaler", "Explain", "Replay",
    "Check",
];

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    section: String,
    flag: String,
    variable: Option<String>,
    default: Option<String>,
    meaning: String,
}

/// The options of a help text with their headings, each on one line.
fn options(help: &str) -> Vec<(String, String)> {
    let (mut heading, mut open) = (String::new(), false);
    let mut options: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let text = line.trim();
        if let Some(name) = line.strip_suffix(':').filter(|_| !line.starts_with(' ')) {
            (heading, open) = (name.to_owned(), false);
        } else if text.starts_with("--") || text.starts_with('-') && text.contains(", --") {
            options.push((heading.clone(), text.to_owned()));
            open = true;
        } else if let Some((_, option)) = options.last_mut().filter(|_| open && !text.is_empty()) {
            option.push(' ');
            option.push_str(text);
        }
    }
    options
}

/// Takes `[name: value]` out of the text.
fn note(text: &mut String, name: &str) -> Option<String> {
    let (before, rest) = text.split_once(&format!("[{name}: "))?;
    let (value, after) = rest.split_once(']')?;
    let (value, rest) = (value.to_owned(), format!("{before} {after}"));
    *text = rest;
    Some(value)
}

fn setting(command: &str, heading: &str, option: &str) -> Option<Setting> {
    let mut text = option.to_owned();
    let variable = note(&mut text, "env");
    let default = note(&mut text, "default");
    let words: Vec<&str> = text.split_whitespace().collect();
    let values = |word: &&&str| word.starts_with('-') || word.starts_with('<');
    let (flag, meaning) = words.split_at(words.iter().take_while(values).count());
    let section = match heading {
        _ if command == "check" && heading == "Options" => "Check",
        _ if matches!(command, "scaler" | "explain") && heading == "Options" => "Scaler",
        "Options" | "Filters" | "Changing" | "Output" => "Replay",
        section => section,
    };
    let flag = flag.join(" ");
    let own = ["--help", "--version"].iter().all(|common| !flag.contains(common));
    own.then(|| Setting { section: section.to_owned(), flag, variable, default, meaning: meaning.join(" ") })
}

async fn settings() -> Result<Vec<(Setting, Vec<&'static str>)>> {
    let mut known: Vec<(Setting, Vec<&str>)> = Vec::new();
    for (command, program, arguments) in COMMANDS {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--help"]).collect();
        let mut help = Program::start(program, &arguments, &[])?;
        ensure!(help.exit_code(PATIENCE).await? == 0, "{program} {arguments:?}: {}", help.tail());
        for (heading, option) in options(&help.output()) {
            let Some(setting) = setting(command, &heading, &option) else { continue };
            match known.iter_mut().find(|(known, _)| *known == setting) {
                Some((_, commands)) => commands.push(command),
                None => known.push((setting, vec![command])),
            }
        }
    }
    Ok(known)
}

fn tables(settings: &[(Setting, Vec<&str>)]) -> Result<String> {
    let mut text = String::new();
    for section in SECTIONS {
        writeln!(text, "\n## {section}\n\n| variable | flag | default | meaning | read by |\n|---|---|---|---|---|")?;
        for (setting, commands) in settings.iter().filter(|(setting, _)| setting.section == section) {
            let code = |text: &String| format!("`{text}`");
            let variable = setting.variable.as_ref().map_or("–".to_owned(), code);
            // A default of several words describes one.
            let default = setting.default.as_ref().map_or("–".to_owned(), |default| {
                let default = default.trim_matches(['<', '>']);
                if default.contains(' ') { default.to_owned() } else { code(&default.to_owned()) }
            });
            let meaning = setting.meaning.replace("values: - ", "values: ").replace(" - ", "; ").replace('|', "\\|");
            let commands = commands
                .join(", ")
                .replace("replay list, replay show, replay retry, replay drop, replay export, replay import", "replay");
            writeln!(text, "| {variable} | `{}` | {default} | {meaning} | {commands} |", setting.flag)?;
        }
    }
    Ok(text + "\n")
}

#[tokio::test]
async fn the_page_of_settings_says_what_the_programs_say() -> Result<()> {
    let settings = settings().await?;
    ensure!(settings.len() > 50, "the help texts name too few settings: {settings:?}");
    let strangers: Vec<_> = settings.iter().filter(|(setting, _)| !SECTIONS.contains(&&*setting.section)).collect();
    ensure!(strangers.is_empty(), "settings without a section: {strangers:?}");
    let page = page::read(PAGE)?;
    let (head, rest) = page.split_once(BEGIN).context("the page has no generated part")?;
    let (_, tail) = rest.split_once(END).context("the generated part has no end")?;
    let right = format!("{head}{BEGIN}{}{END}{tail}", tables(&settings)?);
    if page != right {
        std::fs::write(concat!(env!("CARGO_TARGET_TMPDIR"), "/settings.md"), right)?;
        bail!("the programs say something else; take it over: cp target/tmp/settings.md {PAGE}");
    }
    Ok(())
}
