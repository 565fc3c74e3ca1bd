//! Stages that run beside one that mostly waits (`live`, for timeouts to pass).
//!
//! They run one after another in a process of their own, at the lowest priority, so that the stage that waits finds a processor as soon as
//! it wants one. What they print is shown as a whole when both are done. How they came out comes by a file, a line a stage or note.

use crate::command::{Failure, line};
use crate::repository::Repository;
use crate::stage::{Report, Stage};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The stages that are running.
pub(crate) struct Beside<'a> {
    stages: Vec<&'a Stage>,
    child: Child,
    /// What they print.
    output: PathBuf,
    /// How they came out.
    reports: PathBuf,
}

impl<'a> Beside<'a> {
    pub(crate) fn start(repository: &Repository, stages: Vec<&'a Stage>) -> Result<Self, Failure> {
        let folder = repository.target("beside");
        fs::create_dir_all(&folder)?;
        let (output, reports) = (folder.join("output"), folder.join("reports"));
        fs::write(&reports, "")?;
        let file = fs::File::create(&output)?;
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(std::env::current_exe()?).args(["test", "--reports"]).arg(&reports);
        command.arg("--only").args(stages.iter().map(|stage| stage.name));
        println!("$ {} &", line(&command));
        let child = command
            .current_dir(repository.root())
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        Ok(Self { stages, child, output, reports })
    }

    /// Waits for them all, and shows what they printed.
    pub(crate) fn finish(mut self) -> Vec<Report> {
        let status = self.child.wait();
        print!("{}", String::from_utf8_lossy(&fs::read(&self.output).unwrap_or_default()));
        let text = fs::read_to_string(&self.reports).unwrap_or_default();
        let mut reports = read(&text, &self.stages);
        for stage in &self.stages {
            if !reports.iter().any(|report| report.name() == stage.name) {
                let how = status.as_ref().map_or_else(ToString::to_string, ToString::to_string);
                reports.push(Report::failed(stage.name, format!("it did not come to its end: {how}")));
            }
        }
        reports
    }
}

/// What the process that runs them leaves for [`Beside::finish`].
pub(crate) fn write(path: &Path, reports: &[Report]) -> Result<(), Failure> {
    Ok(fs::write(path, reports.iter().map(Report::to_text).collect::<String>())?)
}

fn read(text: &str, stages: &[&Stage]) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix('\t') {
            Some(note) => reports.last_mut().into_iter().for_each(|report| report.add_note(note)),
            None => reports.extend(stages.iter().find_map(|stage| Report::from_text(stage.name, line))),
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::{Notes, Outcome};

    fn work(_: &Repository, notes: &mut Notes) -> Outcome {
        notes.skipped("a part");
        Outcome::Skipped("two words\nand a line".to_owned())
    }

    #[test]
    fn reports_come_through_a_file() {
        let stage = Stage { name: "some", about: "", quick: false, beside: true, run: work };
        let other = Stage { name: "other", ..stage };
        let repository = Repository::locate();
        let written: String = [&stage, &other].map(|stage| stage.report(&repository).to_text()).concat();
        let again: String = read(&written, &[&other, &stage]).iter().map(Report::to_text).collect();
        assert_eq!(again, written);
        assert_eq!(read("some\tcrashed\t1\t\n\tnote\n", &[&stage]).len(), 0);
    }
}
