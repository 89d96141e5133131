//! What belongs to an intrusion and how it is taken away: links, not names (ADR 9).
//!
//! Pure: a survey and the processes that were proved bad go in, an ordered plan comes out. What is odd and not linked is
//! in the plan for a person to decide (`review`), and what was left alone is named with the reason.

mod links;
mod steps;

use minesweep_model::{
    Bytes, FORMAT, Process, ProcessKey,
    clean::{CleanPlan, Survey},
};

use links::Links;

/// What is known to be bad before anything is linked.
#[derive(Clone, Debug, Default)]
pub struct Suspects {
    /// Processes that incidents and detections named.
    pub processes: Vec<Process>,
    /// Files that rules hit, absolute.
    pub files: Vec<Bytes>,
    /// Incidents and detections that named them.
    pub causes: Vec<String>,
    /// Never touched: the cleaner and those that started it.
    pub spared: Vec<ProcessKey>,
}

/// Makes the plan for a root.
pub fn plan(survey: &Survey, suspects: &Suspects, root: &[u8]) -> CleanPlan {
    let links = Links::draw(survey, suspects);
    let (steps, kept) = steps::of(survey, &links);
    CleanPlan {
        v: FORMAT,
        at_ms: survey.at_ms,
        root: Bytes(root.to_vec()),
        causes: suspects.causes.clone(),
        steps,
        kept,
        blind: survey.blind.clone(),
    }
}

#[cfg(test)]
mod tests;
