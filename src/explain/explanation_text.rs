//! An explanation as text for people. Contains nothing that is not in the typed explanation.

use std::fmt;

use super::explanation::{ClusterTrace, Explanation, RefusedTarget, ServiceExplanation, TraceOutcome};
use crate::report::{Finding, RouteState};

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.url)?;
        self.clusters.iter().try_for_each(|trace| write!(f, "\n{trace}"))
    }
}

impl fmt::Display for ClusterTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cluster {}", self.cluster)?;
        for step in &self.steps {
            line(f, step.about.as_str(), &step.says)?;
        }
        self.findings.iter().try_for_each(|finding| line(f, "finding", &finding_text(finding, Position::Elsewhere)))?;
        end(f, &self.outcome.to_string(), self.caveat.as_deref())
    }
}

impl fmt::Display for TraceOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Application { services, target: Some(target) } => write!(f, "{} answers and receives {target}", services.join(" or ")),
            Self::Application { services, target: None } => write!(f, "{} answers", services.join(" or ")),
            Self::Redirect { status, location, refused: None } => write!(f, "redirect {status} to {location}"),
            Self::Redirect { status, location, refused: Some(RefusedTarget { reason, remedy }) } => {
                write!(f, "redirect {status} to {location}, where the TLS handshake is refused: {reason}. {remedy}")
            }
            Self::Nobody { status: Some(status), reason, remedy } => write!(f, "{status}: {reason}. {remedy}"),
            Self::Nobody { status: None, reason, remedy } => write!(f, "no answer: {reason}. {remedy}"),
        }
    }
}

impl fmt::Display for ServiceExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "service {}", self.service)?;
        line(f, "cluster", &self.cluster)?;
        line(f, "network", &self.network)?;
        self.held_until.iter().try_for_each(|until| line(f, "held", &super::held_back_labels::held_until_text(*until)))?;
        for label in &self.labels {
            writeln!(f, "  {} = {}", super::printable_line(&label.key), super::printable_line(&label.value))?;
            writeln!(f, "      {}", super::printable_line(&label.effect))?;
            for finding in &label.findings {
                writeln!(f, "      {}", super::printable_line(&finding_text(finding, Position::AtTheLabel)))?;
            }
        }
        self.routes.iter().try_for_each(|route| super::route_backend::write_route(f, route))?;
        self.findings.iter().try_for_each(|finding| line(f, "finding", &finding_text(finding, Position::Elsewhere)))?;
        let last_line = match (self.served, self.labels.is_empty(), self.routes.is_empty()) {
            (true, _, _) => "at least one route of the service is served",
            _ if self.routes.iter().any(|route| route.state == RouteState::Served) => "no route of the service leads to an answer",
            (false, true, _) => "the service has no Swarmgate labels, so it is not published",
            (false, false, true) => "the service has no route",
            (false, false, false) => "no route of the service is served by every proxy",
        };
        end(f, last_line, self.caveat.as_deref())
    }
}

fn line(f: &mut fmt::Formatter<'_>, word: &str, says: &str) -> fmt::Result {
    writeln!(f, "  {word:<10} {}", super::printable_line(says))
}

/// The last line, and what the outcome depends on.
fn end(f: &mut fmt::Formatter<'_>, says: &str, caveat: Option<&str>) -> fmt::Result {
    let caveat = caveat.map_or_else(String::new, |caveat| format!(" ({caveat})"));
    writeln!(f, "  => {}", super::printable_line(&format!("{says}{caveat}")))
}

/// The place where a finding is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Below the label that it is about.
    AtTheLabel,
    /// Separately, where the context does not name its subject.
    Elsewhere,
}

/// A finding as sentences.
fn finding_text(finding: &Finding, position: Position) -> String {
    let severity = format!("{:?}", finding.severity).to_lowercase();
    let about = match (position, &finding.field, &finding.value) {
        (Position::AtTheLabel, _, _) => String::new(),
        (Position::Elsewhere, Some(field), Some(value)) => format!(" {}, {field} = {value}", finding.subject),
        (Position::Elsewhere, Some(field), None) => format!(" {}, {field}", finding.subject),
        (Position::Elsewhere, None, _) => format!(" {}", finding.subject),
    };
    // If the value is a list item, it is only part of the label's value.
    let value =
        finding.value.as_ref().filter(|_| position == Position::AtTheLabel).map_or_else(String::new, |value| format!(" \"{value}\""));
    format!("{severity} {}{about}{value}: {}. {}", finding.code.as_str(), finding.message.trim_end_matches('.'), finding.remedy)
}
