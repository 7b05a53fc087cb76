//! `swarmgate validate`: reads documents as the operator would and prints every mistake. Changes nothing and makes no
//! connections.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::client_command::OutputFormat;
use serde_json::json;

use crate::declaration::spec_files;
use crate::intent::documents::{ClusterDocument, Declaration, SourceFile, read_documents};
use crate::report::{Finding, Severity, Subject};
use crate::types::visible_lines;

/// Arguments of `swarmgate validate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files, folders (their *.yaml and *.yml files), or - for standard input
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The output format
    #[arg(long, short, value_enum, default_value_t = OutputFormat::Text)]
    output: OutputFormat,
}

/// Runs it. The exit code is 0 if every document is valid, and 1 if one is invalid or a path has no files.
pub fn run(args: Args) -> ExitCode {
    let Args { paths, output } = args;
    let mut files: Vec<SourceFile> = paths.into_iter().flat_map(source_files).collect();
    // A file named twice, directly and through its folder, is read once.
    let mut seen = std::collections::BTreeSet::new();
    files.retain(|file| seen.insert(file.name.clone()));
    let declaration = read_documents(&files);
    let text = match output {
        OutputFormat::Text => visible_lines(&describe(&declaration)),
        OutputFormat::Json => describe_as_json(&declaration),
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    if declaration.is_valid() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The files at a path, read as the operator reads its spec. A path without files is a mistake here.
fn source_files(path: PathBuf) -> Vec<SourceFile> {
    if path.display().to_string() == "-" { vec![standard_input()] } else { spec_files::read(&[path]) }
}

fn standard_input() -> SourceFile {
    let (name, mut text) = ("(standard input)", String::new());
    match std::io::stdin().read_to_string(&mut text) {
        Ok(_) => SourceFile::new(name, text),
        Err(error) => SourceFile::unreadable(name, spec_files::unreadable(&error)),
    }
}

/// One line per finding and a summary.
pub fn describe(declaration: &Declaration) -> String {
    let mut text = String::new();
    for finding in &declaration.findings {
        let _ = writeln!(text, "{}", line(finding));
    }
    let count = |severity| declaration.findings.iter().filter(|finding| finding.severity == severity).count();
    let (valid, all) = (names(declaration, true).count(), declaration.documents);
    let (errors, warnings) = (counted(count(Severity::Error), "error"), counted(count(Severity::Warning), "warning"));
    let _ = writeln!(text, "{valid} of {} valid, {errors}, {warnings}", counted(all, "document"));
    text
}

fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `file:line: error[InvalidValue] spec.proxy.replicas: found "two": message; remedy`.
fn line(finding: &Finding) -> String {
    let position = match &finding.subject {
        Subject::Service(name) | Subject::Document(name) | Subject::Cluster(name) | Subject::Object(name) => name,
    };
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "info",
    };
    let mut text = format!("{position}: {severity}[{}] ", finding.code.as_str());
    if let Some(field) = &finding.field {
        let _ = write!(text, "{field}: ");
    }
    if let Some(value) = &finding.value {
        let _ = write!(text, "found \"{value}\": ");
    }
    let _ = write!(text, "{}; {}", finding.message, uncapitalised(&finding.remedy));
    text
}

/// A remedy is a sentence of its own; after a semicolon it continues in lower case.
fn uncapitalised(sentence: &str) -> String {
    let mut characters = sentence.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

/// The names of the documents that are valid, or of those that are not. Except for clusters, a name begins with its kind.
fn names(declaration: &Declaration, valid: bool) -> impl Iterator<Item = String> {
    let objects = declaration.objects.iter().filter(move |(_, object)| object.is_valid() == valid);
    objects.map(|((kind, name), object)| match object.of_type::<ClusterDocument>() {
        Some(_) => name.to_string(),
        None => format!("{kind}/{name}"),
    })
}

fn describe_as_json(declaration: &Declaration) -> String {
    let report = json!({
        "sound": declaration.is_valid(),
        "incomplete": declaration.incomplete,
        "valid": names(declaration, true).collect::<Vec<_>>(),
        "broken": names(declaration, false).collect::<Vec<_>>(),
        "findings": declaration.findings,
    });
    format!("{report:#}\n")
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::intent::documents::{ClaimsInForce, KINDS_WITH_ONE_MORE, SourceFile, read_kinds, site};

    #[test]
    fn objects_of_two_kinds_with_one_name_are_distinguished() {
        let cluster = "apiVersion: swarmgate/v1\nkind: ServiceCluster\nmetadata: {name: a}\nspec: {engine: apache}\n";
        let files = [SourceFile::new("0.yaml", cluster), SourceFile::new("1.yaml", site("a", "{port: many}"))];
        let declaration = read_kinds(KINDS_WITH_ONE_MORE, &files, &ClaimsInForce::default());
        assert_eq!(names(&declaration, false).collect::<Vec<_>>(), ["a", "Site/a"]);
    }
}
