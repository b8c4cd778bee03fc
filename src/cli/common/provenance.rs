//! What is written down about the job besides its results: by which program and command, and on which machine.

use std::env;
use std::path::Path;
use std::process::Command;

use onelayer::dataset::store::RecordFile;
use onelayer::train::provenance::{Commit, JobProvenance};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

/// Where this program's source was when it was built.
const SOURCE: &str = env!("CARGO_MANIFEST_DIR");
/// What the program itself writes there, which makes no difference to the program.
const NOT_SOURCE: &str = ":!results";

/// The provenance of a job that runs now, with `seed`, on `files`.
pub fn of_this_job(seed: u64, files: &[RecordFile]) -> JobProvenance {
    // The program's own name, not the place from which it was started.
    let arguments = env::args_os().skip(1);
    let command = std::iter::once(env!("CARGO_BIN_NAME").into()).chain(arguments);
    JobProvenance {
        version: env!("CARGO_PKG_VERSION").into(),
        commit: commit(Path::new(SOURCE)),
        command: command.map(|word| word.to_string_lossy().into_owned()).collect(),
        seed,
        data: files.iter().map(|&file| file.into()).collect(),
        processor: processor(),
        threads: rayon::current_num_threads(),
        platform: format!("{} {}", env::consts::OS, env::consts::ARCH),
    }
}

/// The processor's name, as the operating system gives it.
fn processor() -> String {
    let what = RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing());
    let system = System::new_with_specifics(what).ok();
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    match cpu.map_or("", |cpu| cpu.brand().trim()) {
        "" => "unknown".into(),
        name => name.into(),
    }
}

/// The commit of the working tree whose topmost folder is `source`; `None` when it is none, or there is no git.
fn commit(source: &Path) -> Option<Commit> {
    // A package's source may lie somewhere inside a working tree of something else.
    let head = git(source, &["rev-parse", "--show-prefix", "HEAD"])?;
    let (prefix, id) = head.split_once('\n')?;
    let changes = git(source, &["status", "--porcelain", "--untracked-files=no", "--", NOT_SOURCE])?;
    prefix.is_empty().then(|| Commit { id: id.trim().into(), modified: !changes.is_empty() })
}

/// What git says in `folder`; `None` when it fails.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    // A hook of git sets these; they would lead to another working tree.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        git.env_remove(variable);
    }
    git.env("GIT_OPTIONAL_LOCKS", "0").arg("-C").arg(folder);
    let output = git.args(arguments).output().ok()?;
    let text = output.status.success().then_some(output.stdout)?;
    String::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Whether git did it; there may be none.
    fn did(folder: &Path, arguments: &[&str]) -> bool {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        git(folder, &[&identity, arguments].concat()).is_some()
    }

    #[test]
    fn a_commit_is_named_and_a_changed_file_noticed_unless_it_is_a_result() {
        let tree = tempfile::tempdir().unwrap();
        let path = tree.path();
        let write = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
        assert_eq!(commit(path), None, "a folder without git has no commit");
        if !did(path, &["init", "-q"]) {
            eprintln!("skipped: there is no git");
            return;
        }
        fs::create_dir_all(path.join("results/inner")).unwrap();
        write("source", "1");
        write("results/table", "1");
        assert_eq!(commit(path), None, "nothing is committed yet");
        assert!(did(path, &["add", "."]) && did(path, &["commit", "-q", "-m", "a"]));

        let found = commit(path).unwrap();
        assert_eq!((found.id.len(), found.modified), (40, false));
        assert_eq!(commit(&path.join("results")), None, "a folder inside is not the source");
        write("results/table", "2");
        write("untracked", "1");
        assert!(!commit(path).unwrap().modified);
        write("source", "2");
        assert!(commit(path).unwrap().modified);
    }

    #[test]
    fn the_command_line_begins_with_the_programs_name_alone() {
        let provenance = of_this_job(7, &[]);
        assert_eq!((provenance.command[0].as_str(), provenance.seed), ("onelayer", 7));
        assert!(!provenance.processor.is_empty() && provenance.threads > 0);
    }
}
